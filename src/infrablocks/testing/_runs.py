"""Checks of `run`: who may call it, what it reports, and what reaches the workload."""

from __future__ import annotations

import inspect
import logging
import threading
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread
from pydantic import SecretStr

from infrablocks.base import InfrastructureResult
from infrablocks.testing._capability import Capability
from infrablocks.testing._contract import contract, expect, expect_equal
from infrablocks.testing._driving import OBEDIENT, Lines, Running, is_live, run_to_the_end
from infrablocks.testing._kit import Kit
from infrablocks.testing._previews import SECRET

if TYPE_CHECKING:
    import pytest

    from infrablocks.testing._kit import MakeBlock

_ODD_VALUE = " two  blanks, 'quotes', \"doubles\", $HOME, `id`, \\ and ü\nand a second line"
_ODD_ARGUMENTS = ("two words", "$HOME", "*", "'", '"', "\\", "", "--flag=ä")


class RunChecks(Kit):
    """`run` can be called from everywhere, reports its workload, and gives the workload what the fields say."""

    @contract()
    def test_run_from_a_script(self, make_block: MakeBlock) -> None:
        """In a plain script `run` returns the result itself."""
        block = self.block(make_block, "exit 3")
        outcome: list[object] = []

        def script() -> None:
            try:
                outcome.append(block.run())
            except BaseException as error:  # noqa: BLE001 (told below)
                outcome.append(error)

        # In a thread, which has no event loop either, so that there can be a time limit.
        thread = threading.Thread(target=script, daemon=True)
        thread.start()
        thread.join(self.seconds_per_check)
        expect(outcome, f"`run` has not returned within {self.seconds_per_check:g} seconds.")
        (result,) = outcome
        expect(isinstance(result, InfrastructureResult), f"`run` has given {result!r} and no result.")
        expect_equal(getattr(result, "status_code", None), 3, "The status code")

    @contract()
    async def test_run_in_a_loop_and_in_its_worker_threads(self, make_block: MakeBlock) -> None:
        """In an event loop `run` returns an awaitable, and in a worker thread of anyio the result itself."""
        block = self.block(make_block, "exit 3")
        awaitable: Any = block.run()
        expect(inspect.isawaitable(awaitable), f"In the event loop `run` has returned {awaitable!r}.")
        expect_equal((await awaitable).status_code, 3, "The status code in the loop")
        result: Any = await to_thread.run_sync(block.run)
        expect(isinstance(result, InfrastructureResult), f"In a worker thread `run` has returned {result!r}.")
        expect_equal(result.status_code, 3, "The status code in a worker thread")

    @contract()
    async def test_started_gets_the_identifier(self, make_block: MakeBlock) -> None:
        """`task_status.started` gets the identifier of the result, once."""
        running = Running(self, self.block(make_block, "exit 0"))
        async with anyio.create_task_group() as tasks:
            await tasks.start(running)
            result = await running.end()
        expect_equal([str(value) for value in running.reported], [result.identifier], "What `started` was given")

    @contract(Capability.LIFE_CYCLE)
    async def test_started_comes_while_the_workload_runs(self, make_block: MakeBlock) -> None:
        """`task_status.started` is called as soon as the workload exists, and not at its end."""
        block = self.block(make_block, OBEDIENT)
        running = Running(self, block)
        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(self.seconds_per_check / 2) as limit:
                identifier = await tasks.start(running)
            if limit.cancelled_caught:
                tasks.cancel_scope.cancel()
                expect(holds=False, found="`started` is not called although the workload runs.")
            expect(await is_live(block, identifier), "`started` was called, and `status` says that nothing runs.")
            await running.first_line()
            await block.kill(identifier, grace_seconds=self.slack_seconds)

    @contract()
    async def test_many_runs_of_one_block(self, make_block: MakeBlock) -> None:
        """A block can be run several times at once; each run has its own workload, and the block stays as it was."""
        block = self.block(make_block, 'echo "$1"; exit 4', "hello", env={"KIT": "1"}, labels={"kit": "1"})
        fields = block.model_dump()
        runs: list[tuple[InfrastructureResult, Lines]] = []

        async def run() -> None:
            runs.append(await run_to_the_end(self, block))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(run)
        expect_equal(len({result.identifier for result, _ in runs}), 3, "The number of different identifiers")
        expect_equal([result.status_code for result, _ in runs], [4, 4, 4], "The status codes")
        if self.has(Capability.OUTPUT):
            expect_equal([lines.text() for _, lines in runs], ["hello\n"] * 3, "What each run has printed")
        expect_equal(block.model_dump(), fields, "The block after its runs")

    @contract(Capability.OUTPUT)
    async def test_variables(self, make_block: MakeBlock) -> None:
        """A variable of `env` reaches the workload exactly, whatever characters it has, as does a SecretStr."""
        env = {"KIT_ODD": _ODD_VALUE, "KIT_EMPTY": "", "KIT_SECRET": SecretStr(SECRET)}
        script = 'printf "<%s>\\n" "$KIT_ODD" "${KIT_EMPTY-unset}" "$KIT_SECRET"'
        _, lines = await run_to_the_end(self, self.block(make_block, script, env=env))
        expect_equal(lines.text(), f"<{_ODD_VALUE}>\n<>\n<{SECRET}>\n", "What the workload sees")

    @contract(Capability.OUTPUT)
    async def test_prefect_settings(self, make_block: MakeBlock, monkeypatch: pytest.MonkeyPatch) -> None:
        """The Prefect settings in force reach the workload; `env` overrides them, and None takes one away."""
        for name in ("KEPT", "CHANGED", "REMOVED"):
            monkeypatch.setenv(f"PREFECT_KIT_{name}", "setting")
        env = {"PREFECT_KIT_CHANGED": "own", "PREFECT_KIT_REMOVED": None}
        script = 'echo "$PREFECT_KIT_KEPT ${PREFECT_KIT_CHANGED} ${PREFECT_KIT_REMOVED-unset}"'
        _, lines = await run_to_the_end(self, self.block(make_block, script, env=env))
        expect_equal(lines.text(), "setting own unset\n", "What the workload sees")

    @contract(Capability.OUTPUT)
    async def test_arguments(self, make_block: MakeBlock) -> None:
        """The command gets its arguments as they are: nothing is split, expanded or left out."""
        block = self.block(make_block, 'printf "<%s>\\n" "$@"', *_ODD_ARGUMENTS)
        _, lines = await run_to_the_end(self, block)
        expect_equal(lines.text(), "".join(f"<{word}>\n" for word in _ODD_ARGUMENTS), "The arguments")

    @contract(Capability.OUTPUT)
    async def test_nothing_on_stdin(self, make_block: MakeBlock) -> None:
        """Nobody types for the workload: its standard input is empty, so that a command that reads does not hang."""
        _, lines = await run_to_the_end(self, self.block(make_block, "cat; echo end"))
        expect_equal(lines.text(), "end\n", "What a command prints that reads its input")

    @contract()
    async def test_names_and_labels(self, make_block: MakeBlock) -> None:
        """Any `name` and any `labels` are accepted, and two runs of the same name do not disturb each other."""
        labels = {"team": "data", "example.com/a_key": "Some value, 100 % ü", "empty": ""}
        block = self.block(make_block, "exit 0", name="Nightly ETL für Ärzte (no. 1)", labels=labels)
        codes: list[int] = []

        async def run() -> None:
            result, _ = await run_to_the_end(self, block)
            codes.append(result.status_code)

        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(run)
        expect_equal(codes, [0, 0], "The status codes")

    @contract()
    async def test_secrets_are_not_told(self, make_block: MakeBlock, caplog: pytest.LogCaptureFixture) -> None:
        """The value of a SecretStr is in no log line, at any level, and not in the result."""
        caplog.set_level(logging.DEBUG)
        block = self.block(make_block, "exit 3", env={"KIT_PASSWORD": SecretStr(SECRET)})
        result, _ = await run_to_the_end(self, block)
        for where, text in {"The log": caplog.text, "The result": repr(result)}.items():
            expect(SECRET not in text, f"{where} holds the secret:\n{text}")
