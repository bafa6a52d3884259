"""Checks of the output: whole, exact, and without power over the run."""

from __future__ import annotations

import contextlib
import io
import logging
import time
from typing import TYPE_CHECKING

import pytest

from infrablocks.testing._capability import Capability
from infrablocks.testing._contract import contract, expect, expect_equal
from infrablocks.testing._driving import Lines, run_to_the_end
from infrablocks.testing._kit import Kit

if TYPE_CHECKING:
    from infrablocks.testing._kit import MakeBlock

_LONGEST_PIECE = 64 * 1024
_MANY_LINES = 2000


class OutputChecks(Kit):
    """What a workload prints arrives as it was printed, and whatever becomes of it does not change the result."""

    @contract(Capability.OUTPUT)
    async def test_output_goes_to_the_standard_streams(self, make_block: MakeBlock) -> None:
        """Without `output=`, the workload's stdout goes to what `sys.stdout` is when the run begins."""
        block = self.block(make_block, "echo hello")
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            _ = await block.run()
        expect_equal(stdout.getvalue(), "hello\n", "What came to `sys.stdout`")

    @contract(Capability.OUTPUT, Capability.SEPARATE_STREAMS)
    async def test_streams_are_kept_apart(self, make_block: MakeBlock) -> None:
        """The workload's stdout and stderr are told apart."""
        block = self.block(make_block, "echo out; echo err >&2; echo out again; echo err again >&2")
        _, lines = await run_to_the_end(self, block)
        streams = {"stdout": lines.of("stdout"), "stderr": lines.of("stderr")}
        expected = {"stdout": ["out\n", "out again\n"], "stderr": ["err\n", "err again\n"]}
        expect_equal(streams, expected, "The lines of each stream")

    @contract(Capability.OUTPUT)
    async def test_lines_are_exact(self, make_block: MakeBlock) -> None:
        """Lines arrive one by one with their ends, with blanks and empty lines, the last one without a newline too."""
        script = r"printf '  two blanks  \n\n\n\ttab\nlast'"
        _, lines = await run_to_the_end(self, self.block(make_block, script))
        expected = ["  two blanks  \n", "\n", "\n", "\ttab\n", "last"]
        expect_equal(lines.of("stdout"), expected, "The lines")

    @contract(Capability.OUTPUT)
    async def test_many_lines(self, make_block: MakeBlock) -> None:
        """All lines arrive, each once and in order, before `run` returns."""
        script = f'i=0; while [ "$i" -lt {_MANY_LINES} ]; do echo "line $i"; i=$((i + 1)); done'
        _, lines = await run_to_the_end(self, self.block(make_block, script))
        found, expected = lines.of("stdout"), [f"line {number}\n" for number in range(_MANY_LINES)]
        differs = next((at for at, pair in enumerate(zip(found, expected, strict=False)) if len(set(pair)) > 1), None)
        expect(found == expected, f"{len(found)} of {_MANY_LINES} lines have come; the first wrong one: {differs}")

    @contract(Capability.OUTPUT)
    async def test_characters_that_come_in_pieces(self, make_block: MakeBlock) -> None:
        """Bytes are joined into lines before they are decoded: a character that comes in two pieces stays whole."""
        script = r"printf 'gr\303'; sleep 0.15; printf '\274n'; sleep 0.15; printf ' end\n'"
        _, lines = await run_to_the_end(self, self.block(make_block, script))
        expect_equal(lines.of("stdout"), ["grün end\n"], "The lines")

    @contract(Capability.OUTPUT)
    async def test_bytes_that_are_no_text(self, make_block: MakeBlock) -> None:
        """What is not UTF-8 becomes U+FFFD and fails nothing."""
        result, lines = await run_to_the_end(self, self.block(make_block, r"printf 'a\377b\nc\n'; exit 3"))
        found = (result.status_code, lines.of("stdout"))
        expect_equal(found, (3, ["a\N{REPLACEMENT CHARACTER}b\n", "c\n"]), "Status code and lines")

    @contract(Capability.OUTPUT)
    async def test_long_lines(self, make_block: MakeBlock) -> None:
        """A line over 64 KiB arrives in pieces of at most 64 KiB, complete."""
        count, piece = 200, "0123456789abcde_" * 64
        script = f'i=0; while [ "$i" -lt {count} ]; do printf %s {piece}; i=$((i + 1)); done; echo; echo end'
        _, lines = await run_to_the_end(self, self.block(make_block, script))
        expect(lines.text() == piece * count + "\nend\n", f"{len(lines.text())} characters are not those printed.")
        longest = max(len(line) for line in lines.of("stdout"))
        expect(longest <= _LONGEST_PIECE, f"One piece has {longest} characters.")

    @contract(Capability.OUTPUT)
    async def test_sinks_with_a_write_method(self, make_block: MakeBlock) -> None:
        """`output=` may be an object with `write(stream, line)`."""
        sink = _Sink()
        _ = await self.block(make_block, "echo hello").run(output=sink)
        expect_equal(sink.lines.of("stdout"), ["hello\n"], "The lines")

    @contract(Capability.OUTPUT)
    async def test_a_sink_that_fails(self, make_block: MakeBlock, caplog: pytest.LogCaptureFixture) -> None:
        """A sink that raises ends the copying with one warning; the run goes on to its own result."""

        def sink(_stream: str, _line: str) -> None:
            raise RuntimeError("this sink is full")

        script = 'i=0; while [ "$i" -lt 200 ]; do echo "line $i"; i=$((i + 1)); done; exit 3'
        result = await self.block(make_block, script).run(output=sink)
        expect_equal(result.status_code, 3, "The status code")
        warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
        told = [text for text in warnings if "this sink is full" in text]
        expect_equal(len(told), 1, f"The number of warnings about it, among {warnings},")

    @contract(Capability.OUTPUT)
    async def test_output_that_is_not_wanted(self, make_block: MakeBlock) -> None:
        """With `stream_output=False` nothing of the output arrives, and the result is the same."""
        block = self.block(make_block, "echo hello; exit 3")
        if "stream_output" not in type(block).model_fields:
            pytest.skip(f"{type(block).__name__} has no field stream_output")
        result, lines = await run_to_the_end(self, block.model_copy(update={"stream_output": False}))
        expect_equal((result.status_code, lines.text()), (3, ""), "Status code and output")

    @contract(Capability.OUTPUT)
    async def test_what_is_left_behind_does_not_hold_the_run_up(self, make_block: MakeBlock) -> None:
        """A process that the command leaves behind, and that holds its output open, does not keep `run` waiting."""
        before = time.monotonic()
        seconds = 2 * self.slack_seconds + self.time_limit_seconds
        result, lines = await run_to_the_end(self, self.block(make_block, f"sleep {seconds:g} & echo out; exit 5"))
        took = time.monotonic() - before
        expect_equal((result.status_code, lines.text()), (5, "out\n"), "Status code and output")
        expect(took < seconds, f"It took {took:.1f} seconds.")


class _Sink:
    """An object that takes lines."""

    def __init__(self) -> None:
        self.lines = Lines()

    def write(self, stream: str, line: str) -> None:
        """Take a line."""
        self.lines(stream, line)
