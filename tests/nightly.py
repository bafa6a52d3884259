"""Which tests run with every change, in the gate, and which only in `nox -s nightly`.

There are two rules:

- A test that costs minutes and finds little carries the marker ``nightly``, whose text says why.
- Docker 29, Podman 5.8 and the server of Prefect 3, the engines of today, run every other test. Docker 20.10, Podman
  4.3 and the server of Prefect 2 run those with the marker ``differs_between_engines``, whose text says what differs,
  and leave the rest to the night: a fault of our own code shows on the engines of today.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

OPTION = "--nightly"

OLDER_ENGINES = frozenset({"docker20", "podman", "prefect2"})
"""The engines that run in the gate only what differs between engines."""

_OLDER_ENGINE = "an older engine, on which only what differs between engines runs with every change"


def leave_out_nightly(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of the nightly session, unless the option asks for everything."""
    if config.getoption(OPTION):
        return
    left_out = [item for item in items if reason_not_in_gate(item) is not None]
    if left_out:
        items[:] = [item for item in items if reason_not_in_gate(item) is None]
        config.hook.pytest_deselected(items=left_out)


def reason_not_in_gate(item: pytest.Item) -> str | None:
    """Return why a test runs only at night, or None if it runs with every change.

    Raises:
        TypeError: One of its markers gives no reason.
    """
    if (marker := item.get_closest_marker("nightly")) is not None:
        return _reason(item, marker)
    differs = item.get_closest_marker("differs_between_engines")
    if differs is not None:
        _reason(item, differs)
    elif OLDER_ENGINES.intersection(parameters_of(item)):
        return _OLDER_ENGINE
    return None


def list_nightly(items: list[pytest.Item]) -> list[str]:
    """Return a line for each test that is not in the gate, parameters put together, with the reason."""
    reasons = {(item.nodeid.partition("[")[0], reason) for item in items if (reason := reason_not_in_gate(item))}
    return [f"{name}: {reason}" for name, reason in sorted(reasons)]


def parameters_of(item: pytest.Item) -> Iterator[str]:
    """Give the parameters of a test that are texts; a test on an engine has its name as one of them."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return (value for value in parameters.values() if isinstance(value, str))


def _reason(item: pytest.Item, marker: pytest.Mark) -> str:
    if len(marker.args) != 1 or not isinstance(marker.args[0], str) or marker.kwargs:
        raise TypeError(f"{item.nodeid}: the marker `{marker.name}` takes one text, the reason")
    return marker.args[0]
