"""Checks of results: codes, reasons, messages and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio

from infrablocks.base import InfrastructureResult, Reason
from infrablocks.testing._contract import contract, expect, expect_equal
from infrablocks.testing._driving import run_to_the_end
from infrablocks.testing._kit import Kit

if TYPE_CHECKING:
    from infrablocks.testing._kit import MakeBlock

# An engine has a clock of its own, and some tell times in whole seconds.
_CLOCK_TOLERANCE = timedelta(seconds=2)


class ResultChecks(Kit):
    """A result says how the workload ended."""

    @contract()
    async def test_status_codes(self, make_block: MakeBlock) -> None:
        """`status_code` is the exit code of the command, and a result is true when it is 0."""
        results = await self._results(make_block, 0, 1, 3, 137)
        expect_equal({code: result.status_code for code, result in results.items()}, {c: c for c in results}, "Codes")
        truth = {code: bool(result) for code, result in results.items()}
        expect_equal(truth, {0: True, 1: False, 3: False, 137: False}, "What is true")

    @contract()
    async def test_reasons(self, make_block: MakeBlock) -> None:
        """The reason is `Completed` for a command that has succeeded and `Error` for one that has failed by itself."""
        reasons = {code: result.reason for code, result in (await self._results(make_block, 0, 3)).items()}
        expect_equal(reasons, {0: Reason.COMPLETED, 3: Reason.ERROR}, "The reasons by exit code")

    @contract()
    async def test_messages(self, make_block: MakeBlock) -> None:
        """The message tells a person what happened; that of a failed run has the status code in it."""
        for code, result in (await self._results(make_block, 0, 3)).items():
            expect(result.message.strip(), f"The message of a run with exit code {code} is empty.")
            expect(code == 0 or str(code) in result.message, f"The message does not say {code}: {result.message!r}")

    @contract()
    async def test_times(self, make_block: MakeBlock) -> None:
        """The times of a result are aware, in UTC, in order and true; a run that has started and ended has them all."""
        before = datetime.now(UTC)
        result, _ = await run_to_the_end(self, self.block(make_block, "sleep 0.1"))
        after = datetime.now(UTC)
        times = {name: getattr(result, name) for name in ("created_at", "started_at", "finished_at")}
        expect(None not in times.values(), f"A time is missing: {times}")
        expect(all(time.utcoffset() == timedelta(0) for time in times.values()), f"A time is not in UTC: {times}")
        ordered = [before - _CLOCK_TOLERANCE, *times.values(), after + _CLOCK_TOLERANCE]
        expect(ordered == sorted(ordered), f"They are not in order, or not between {before} and {after}: {times}")

    @contract()
    async def test_results_are_data(self, make_block: MakeBlock) -> None:
        """A result is an InfrastructureResult with an identifier, and its JSON makes the same result again."""
        result, _ = await run_to_the_end(self, self.block(make_block, "exit 3"))
        expect(isinstance(result, InfrastructureResult), f"`run` has returned {result!r}.")
        expect(result.identifier, "The identifier is empty.")
        expect_equal(type(result).model_validate_json(result.model_dump_json()), result, "What its JSON makes")

    async def _results(self, make_block: MakeBlock, *codes: int) -> dict[int, InfrastructureResult]:
        results: dict[int, InfrastructureResult] = {}

        async def run(code: int) -> None:
            results[code], _ = await run_to_the_end(self, self.block(make_block, f"exit {code}"))

        async with anyio.create_task_group() as tasks:
            for code in codes:
                tasks.start_soon(run, code)
        return {code: results[code] for code in codes}
