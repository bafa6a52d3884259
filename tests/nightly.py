"""Which tests run with every change, and which only in `nox -s nightly`.

A test that costs minutes and finds little carries the marker ``nightly``, whose text says why. With ``except_on`` it
stays in the gate on that one engine.

A server of Prefect 2 runs in the gate the tests with the marker ``differs_between_engines``, whose text says what
differs; a fault of our own code shows on the server of Prefect 3, which runs them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

OPTION = "--nightly"

OLDER_ENGINES = frozenset({"prefect2"})
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
    parameters = _parameters(item)
    differs = item.get_closest_marker("differs_between_engines")
    if differs is not None:
        _reason(item, differs)
    if (marker := item.get_closest_marker("nightly")) is not None:
        reason = _reason(item, marker)
        return None if marker.kwargs.get("except_on") in parameters else reason
    return _OLDER_ENGINE if differs is None and parameters & OLDER_ENGINES else None


def list_nightly(items: list[pytest.Item]) -> list[str]:
    """Return a line for each test that is not in the gate, parameters put together, with the reason."""
    reasons = {item.nodeid.partition("[")[0]: reason for item in items if (reason := reason_not_in_gate(item))}
    return [f"{name}: {reason}" for name, reason in sorted(reasons.items())]


def _parameters(item: pytest.Item) -> set[str]:
    """Return the parameters of a test that are texts; a test on an engine has its name as one of them."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return {value for value in parameters.values() if isinstance(value, str)}


def _reason(item: pytest.Item, marker: pytest.Mark) -> str:
    if len(marker.args) != 1 or not isinstance(marker.args[0], str):
        raise TypeError(f"{item.nodeid}: the marker `{marker.name}` takes one text, the reason")
    return marker.args[0]
