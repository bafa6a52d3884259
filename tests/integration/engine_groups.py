"""Which process of the session runs a test: all tests of one engine run in one process, one after the other.

Tests restart engines, fill them and count what is in them; so two processes never share one. The registry is the
exception: no test stops it, and each test has repositories of its own.
"""

from __future__ import annotations

import fcntl
from typing import IO, TYPE_CHECKING

import pytest

from tests.engines import ENGINES
from tests.engines.paths import state_directory

if TYPE_CHECKING:
    from collections.abc import Iterable

# The processes take the groups in this order, the longest first.
_GROUPS = {
    "kubernetes": ("kubernetes", "kubernetes2"),
    "docker29 and prefect": ("docker29", "prefect", "sshd"),
    "podman5": ("podman5",),
    "podman": ("podman",),
    "docker20": ("docker20",),
    "prefect2": ("prefect2",),
    "no engine": (),
}
_GROUP_OF = {engine: group for group, engines in _GROUPS.items() for engine in engines}
_SHARED = frozenset({"registry"})

_ENGINE_OF_FIXTURE = {
    "cluster": "kubernetes",
    "second_cluster": "kubernetes2",
    "server": "prefect",
    "ssh_server": "sshd",
}


def engines_of(item: pytest.Item) -> frozenset[str]:
    """Return the engines that a test may ask for: by its parameters, its fixtures and its marker `engines`."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    named = {value for value in parameters.values() if isinstance(value, str)} & set(ENGINES)
    fixtures = set(getattr(item, "fixturenames", ())) - set(parameters)  # a parameter says itself which engine it is
    by_fixture = {_ENGINE_OF_FIXTURE[name] for name in fixtures if name in _ENGINE_OF_FIXTURE}
    marked = {name for marker in item.iter_markers("engines") for name in marker.args}
    return frozenset(named | by_fixture | marked) | _SHARED


def assign_groups(items: list[pytest.Item]) -> None:
    """Give each test its group, and sort the tests by it; a test of several groups runs alone."""
    for item in items:
        groups = _groups(engines_of(item))
        if len(groups) > 1:
            item.add_marker(pytest.mark.alone(f"uses the engines of several processes: {', '.join(sorted(groups))}"))
        item.add_marker(pytest.mark.xdist_group(groups[0]))
    order = list(_GROUPS)
    items.sort(key=lambda item: order.index(_groups(engines_of(item))[0]))


# The locks of the groups that this process uses now.
_held: dict[str, IO[str]] = {}


def hold(engines: Iterable[str]) -> None:
    """Keep other processes from the engines that the next test uses, until a test uses others.

    The test fails if another process has them.
    """
    groups = _groups(engines)
    for group in set(_held) - set(groups):
        _held.pop(group).close()
    for group in set(groups) - set(_held) - {"no engine"}:
        path = state_directory() / f"{group}.tests.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            pytest.fail(f"another process runs tests of: {group}", pytrace=False)
        _held[group] = lock


def _groups(engines: Iterable[str]) -> list[str]:
    """Return the groups of engines, in the order of the table."""
    needed = {_GROUP_OF[engine] for engine in engines if engine not in _SHARED} or {"no engine"}
    return [group for group in _GROUPS if group in needed]
