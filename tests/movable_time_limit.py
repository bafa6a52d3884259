"""A time limit of a run that passes when a test says so, and not because the machine is busy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from infrablocks._threads import ThreadsafeEvent

if TYPE_CHECKING:
    import pytest


class MovableTimeLimit:
    """Stands in for the clock that runs wait for with their time limit; to be made in the event loop.

    A short real limit could pass before the workload has done what the test is about.

    Args:
        monkeypatch: Undoes it after the test.
    """

    seconds = 1000.0
    """The `timeout_seconds` of the runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._passed = ThreadsafeEvent()
        monkeypatch.setattr("infrablocks._life_cycle.anyio.sleep_until", self._sleep_until)

    def pass_now(self) -> None:
        """Let the time limit of the one run pass, from any thread."""
        self._passed.set()

    async def _sleep_until(self, deadline: float) -> None:
        assert 0 < deadline - anyio.current_time() <= self.seconds
        await self._passed.wait()
