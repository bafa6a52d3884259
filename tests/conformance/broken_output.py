"""Back ends whose output is wrong in one point each."""

# mypy: disable-error-code="override"
# They have whatever arguments the base has, and pass them on.

from __future__ import annotations

from typing import Any

from infrablocks import (
    Process,
)
from infrablocks.process._watch import StartedProcess
from tests.conformance.broken_workloads import Fields, WithFields, WithWorkload, breaks, printing


@breaks("test_output_goes_to_the_standard_streams", "What came to `sys.stdout`")
class PrintsNothing(Process):
    async def run(self, task_status: Any = None, *, output: Any = None, **named: Any) -> Any:
        return await super().run(task_status, output=output or (lambda _stream, _line: None), **named)


@breaks("test_streams_are_kept_apart", "'stderr': []")
class HasOneStream(WithWorkload):
    _started = printing(lambda _stream, data: ("stdout", data))


@breaks("test_lines_are_exact", "['  two blanks  \\n', '\\n', '\\ttab")
class DropsEmptyLines(WithWorkload):
    _started = printing(lambda stream, data: (stream, data.replace(b"\n\n", b"\n")))


@breaks("test_many_lines", "1999 of 2000 lines have come; the first wrong one: 1500")
class LosesALine(WithWorkload):
    _started = printing(lambda stream, data: (stream, data.replace(b"line 1500\n", b"")))


@breaks("test_characters_that_come_in_pieces", "gr\ufffd\ufffdn end")
class DecodesTooEarly(WithWorkload):
    _started = printing(lambda stream, data: (stream, data.decode("utf-8", "replace").encode()))


@breaks("test_bytes_that_are_no_text", "UnicodeDecodeError was raised")
class WantsText(WithWorkload):
    _started = printing(lambda stream, data: (stream, data.decode().encode()))


@breaks("test_long_lines", "One piece has 204801 characters")
class JoinsPieces(Process):
    async def run(self, task_status: Any = None, *, output: Any = None, **named: Any) -> Any:
        pieces: list[str] = []

        def joined(stream: str, line: str) -> None:
            pieces.append(line)
            if line.endswith("\n"):
                output(stream, "".join(pieces))
                pieces.clear()

        return await super().run(task_status, output=joined, **named)


@breaks("test_sinks_with_a_write_method", "[]")
class WantsACallable(Process):
    async def run(self, task_status: Any = None, *, output: Any = None, **named: Any) -> Any:
        return await super().run(task_status, output=output if callable(output) else None, **named)


@breaks("test_a_sink_that_fails", "RuntimeError was raised: this sink is full")
class FailsWithItsSink(Process):
    async def run(self, task_status: Any = None, *, output: Any = None, **named: Any) -> Any:
        errors: list[Exception] = []

        def kept(stream: str, line: str) -> None:
            try:
                output(stream, line)
            except RuntimeError as error:
                errors.append(error)

        result = await super().run(task_status, output=kept, **named)
        if errors:
            raise errors[0]
        return result


@breaks("test_output_that_is_not_wanted", "(3, 'hello")
class AlwaysStreams(WithFields):
    def _changed(self) -> Fields:
        return {"stream_output": True}


@breaks("test_what_is_left_behind_does_not_hold_the_run_up", "It took ")
class WaitsForEverybody(WithWorkload):
    class _started(StartedProcess):  # noqa: N801
        async def _drain(self, copies: Any) -> None:
            for copy in copies:
                await copy.wait_for_close()
