"""Where lines go: which sink a stream gets, and what becomes of broken, closed and narrow ones."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import anyio
import pytest

from infrablocks._output import Output
from tests.processes import WAIT_SECONDS, Lines

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


async def pass_on(output: Output, stdout: bytes = b"", stderr: bytes = b"") -> None:
    """Pass bytes on to the end, as a run does."""
    try:
        with anyio.fail_after(WAIT_SECONDS):
            await output.write("stdout", stdout)
            await output.write("stderr", stderr)
            await output.finish()
    finally:
        output.close()


async def test_the_standard_streams(capfd: pytest.CaptureFixture[str]) -> None:
    """Stdout goes to stdout and stderr to stderr, to the last byte."""
    await pass_on(Output(), b"out\nlast", b"err\n\n")
    assert tuple(capfd.readouterr()) == ("out\nlast", "err\n\n")


async def test_replaced_standard_streams(capsys: pytest.CaptureFixture[str]) -> None:
    """Streams that Python code has put in their place get the text."""
    await pass_on(Output(), "é☃\n".encode(), b"err")
    assert tuple(capsys.readouterr()) == ("é☃\n", "err")


async def test_streams_are_looked_up_when_the_run_begins() -> None:
    """The stream that is in place when the output is made counts, not the one when something is printed."""
    first, second = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(first):
        output = Output()
    with contextlib.redirect_stdout(second):
        await pass_on(output, b"here\n")
    assert (first.getvalue(), second.getvalue()) == ("here\n", "")


async def test_a_stream_is_touched_for_lines_only() -> None:
    """Once all lines are written, no thread holds a lock of the stream, which the interpreter needs when it ends."""
    stream = _Recorded()
    with contextlib.redirect_stdout(stream):
        first, second = Output(), Output()
    await first.write("stdout", b"one\nt")
    await first.write("stdout", b"w")
    await first.write("stdout", b"o\n")
    await first.finish()
    await second.write("stdout", b"three\n")  # by the same thread, after all that it had to do before
    await second.finish()
    first.close()
    second.close()
    assert (stream.written, stream.flushed) == (["one\n", "two\n", "three\n"], 3)


class _Recorded(io.StringIO):
    """A stream that notes what is done with it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []
        self.flushed = 0

    def write(self, text: str) -> int:
        self.written.append(text)
        return super().write(text)

    def flush(self) -> None:
        self.flushed += 1


async def test_a_callable_gets_whole_lines() -> None:
    """A callable is called with the stream's name and one line, its end included."""
    lines = Lines()
    await pass_on(Output(lines), b"a\n\n  b \r\nc", b"\xc3\xa9\n")
    assert sorted(lines) == sorted(
        [("stdout", "a\n"), ("stdout", "\n"), ("stdout", "  b \r\n"), ("stdout", "c"), ("stderr", "é\n")]
    )
    assert lines.text() == "a\n\n  b \r\nc"


async def test_an_object_with_write() -> None:
    """The method `write` of an object is called in the same way, one call at a time."""

    class Sink:
        def __init__(self) -> None:
            self.lines: list[tuple[str, str]] = []
            self.busy = threading.Lock()

        def write(self, stream: str, line: str) -> None:
            assert self.busy.acquire(blocking=False)
            self.lines.append((stream, line))
            self.busy.release()

    sink = Sink()
    await pass_on(Output(sink), b"a\n" * 500, b"b\n" * 500)
    assert sorted(sink.lines) == [("stderr", "b\n")] * 500 + [("stdout", "a\n")] * 500


async def test_bytes_that_are_no_text() -> None:
    """What is not UTF-8 becomes U+FFFD; nothing fails."""
    lines = Lines()
    await pass_on(Output(lines), b"\xff\n\xc3\n\xe2\x98\nok\xed\xa0\x80\n\0\n")
    assert lines.text() == "�\n�\n�\nok���\n\0\n"


@pytest.mark.parametrize("pieces", [1, 2, 3])
async def test_characters_cut_between_chunks(pieces: int) -> None:
    """A character that comes in several chunks is one character."""
    lines = Lines()
    output = Output(lines)
    data = "é☃𝄞\n".encode() * 20
    for start in range(0, len(data), pieces):
        await output.write("stdout", data[start : start + pieces])
    await pass_on(output)
    assert lines.text() == data.decode()


@pytest.mark.parametrize(
    "error", [OSError("disk full"), ValueError("disk full"), SystemExit("disk full"), KeyboardInterrupt("disk full")]
)
async def test_a_sink_that_raises(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a sink raises, the run goes on, one warning says so, and the sink is left alone from then on."""
    calls = []

    def sink(stream: str, line: str) -> None:
        calls.append((stream, line))
        raise error

    output = Output(sink)
    for _ in range(100):
        await output.write("stdout", b"line\n" * 10_000)
    await pass_on(output)
    assert calls == [("stdout", "line\n")]
    assert [(record.name, record.levelno) for record in caplog.records] == [("infrablocks.output", logging.WARNING)]
    assert "disk full" in caplog.text


async def test_an_error_without_text_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """The warning says what was raised even where the exception has no text."""

    def sink(_stream: str, _line: str) -> NoReturn:
        raise AssertionError

    await pass_on(Output(sink), b"x\n")
    assert "AssertionError()" in caplog.text


async def test_one_broken_stream_leaves_the_other(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stdout that is closed loses what is printed there, with one warning; stderr goes on."""
    closed = io.StringIO()
    closed.close()
    with contextlib.redirect_stdout(closed):
        output = Output()
    await pass_on(output, b"lost\n", b"kept\n")
    assert capsys.readouterr().err == "kept\n"
    assert [record.message.split(" ", 1)[0] for record in caplog.records] == ["stdout"]


async def test_no_stdout_at_all(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A program without stdout (sys.stdout is None) loses the output, which is nothing to warn of."""
    monkeypatch.setattr(sys, "stdout", None)
    await pass_on(Output(), b"nowhere\n")
    assert caplog.records == []


def plain_stream(descriptor: int) -> io.TextIOWrapper:
    """Make a stream as Python makes its own stdout."""
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False)), encoding="utf-8")


@pytest.mark.parametrize("shut", ["close", "detach", "close the descriptor", "close the reader"])
async def test_a_plain_stdout_that_is_shut(
    shut: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However a stdout was closed, the run goes on with one warning."""
    reader, writer = os.pipe()
    stream = plain_stream(writer)
    monkeypatch.setattr(sys, "stdout", stream)
    match shut:
        case "close":
            stream.close()
        case "detach":
            stream.detach()
        case "close the descriptor":
            os.close(writer)
        case _:
            os.close(reader)
    await pass_on(Output(), b"lost\n")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    for descriptor in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(descriptor)


@pytest.mark.parametrize("make", [io.StringIO, io.BytesIO, tempfile.TemporaryFile])
def test_a_file_is_no_sink(make: Callable[[], Any]) -> None:
    """A file is refused at once, with what to give instead: its `write` does not take a stream."""
    with make() as file, pytest.raises(TypeError, match="is a file; give a callable instead"):
        Output(file)


@pytest.mark.parametrize("sink", ["file.txt", 5, b"", [], object()])
def test_what_is_no_sink(sink: Any) -> None:
    """Anything that cannot be called and has no `write` is refused at once."""
    with pytest.raises(TypeError, match="neither a callable"):
        Output(sink)


def test_a_coroutine_function_is_no_sink() -> None:
    """A coroutine function is refused, which nobody would await."""

    async def sink(stream: str, line: str) -> None:
        """Never called."""

    class Sink:
        async def write(self, stream: str, line: str) -> None:
            """Never called."""

    for wrong in (sink, Sink()):
        with pytest.raises(TypeError, match="is asynchronous"):
            Output(wrong)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("ascii", "a\\xe9\\u2603\\u20ac\\x81\n"), ("cp1252", "aé\\u2603€\\x81\n"), ("utf-8", "aé☃€\x81\n")],
)
async def test_a_text_stream_that_cannot_show_everything(
    encoding: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Characters that a stream does not have are escaped, with one warning for the stream; all others are shown."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with contextlib.redirect_stdout(stream):
        output = Output()
    await output.write("stdout", "aé☃€\x81\n".encode())
    await pass_on(output, "aé☃€\x81\n".encode())
    buffer: Any = stream.buffer
    assert buffer.getvalue().decode(encoding) == 2 * text
    assert len(caplog.records) == (0 if encoding == "utf-8" else 1)
