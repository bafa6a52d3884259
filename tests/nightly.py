"""Which tests run with every change, and which only in `nox -s nightly`.

A test that costs minutes and finds little carries the marker ``nightly``, whose text says why. With ``except_on`` it
stays in the gate on that one engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

OPTION = "--nightly"


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
        TypeError: Its marker gives no reason.
    """
    marker = item.get_closest_marker("nightly")
    if marker is None:
        return None
    if len(marker.args) != 1 or not isinstance(marker.args[0], str):
        raise TypeError(f"{item.nodeid}: the marker `nightly` takes one text, the reason")
    engine = marker.kwargs.get("except_on")
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return None if engine is not None and engine in parameters.values() else marker.args[0]


def list_nightly(items: list[pytest.Item]) -> list[str]:
    """Return a line for each test that is not in the gate, parameters put together, with the reason."""
    reasons = {item.nodeid.partition("[")[0]: reason for item in items if (reason := reason_not_in_gate(item))}
    return [f"{name}: {reason}" for name, reason in sorted(reasons.items())]
