"""Which process of the session runs a test: all tests of one engine run in one process, one after the other.

Tests restart engines, fill them and count what is in them; so two processes never share one. The registry is the
exception: no test stops it, and each test has repositories of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engines import ENGINES

if TYPE_CHECKING:
    from collections.abc import Iterable

# The processes take the groups in this order, the longest first.
_GROUPS = {
    "kubernetes": ("kubernetes", "kubernetes2"),
    "docker29 and prefect": ("docker29", "prefect"),
    "podman": ("podman",),
    "docker20": ("docker20",),
    "no engine": (),
}
_GROUP_OF = {engine: group for group, engines in _GROUPS.items() for engine in engines}
_SHARED = frozenset({"registry"})

_ENGINE_OF_FIXTURE = {"cluster": "kubernetes", "second_cluster": "kubernetes2", "server": "prefect"}


def engines_of(item: pytest.Item) -> frozenset[str]:
    """Return the engines that a test may ask for: by its parameters, its fixtures and its marker `engines`."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    named = {value for value in parameters.values() if isinstance(value, str)} & set(ENGINES)
    by_fixture = {_ENGINE_OF_FIXTURE[name] for name in getattr(item, "fixturenames", ()) if name in _ENGINE_OF_FIXTURE}
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


def _groups(engines: Iterable[str]) -> list[str]:
    """Return the groups of engines, in the order of the table."""
    needed = {_GROUP_OF[engine] for engine in engines if engine not in _SHARED} or {"no engine"}
    return [group for group in _GROUPS if group in needed]
