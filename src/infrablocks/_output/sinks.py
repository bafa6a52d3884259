"""Where lines can go: a file descriptor, a text stream of Python, or a callable of the user's."""

from __future__ import annotations

import codecs
import inspect
import io
import logging
import os
import select
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from infrablocks._output.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import TextIO

    from infrablocks._output.cursor import DeliveryCount

logger = logging.getLogger("infrablocks.output")

T = TypeVar("T")

StreamName: TypeAlias = Literal["stdout", "stderr"]


@runtime_checkable
class SupportsWriteLine(Protocol):
    """An object that takes lines."""

    def write(self, stream: StreamName, line: str, /) -> object:
        """Take one line of a stream, its end included."""


OutputSink: TypeAlias = Callable[[StreamName, str], object] | SupportsWriteLine
"""Where the lines of a run may go: what is called with a stream and a line, or an object with such a `write`."""


class Sink(Protocol):
    """What a writer thread writes to."""

    @property
    def key(self) -> Hashable:
        """Sinks with the same key end in the same place and share one writer."""

    def write(self, stream: StreamName, data: bytes) -> None:
        """Write whole lines. May block; called from the writer's thread only."""


def standard_sink(standard: TextIO | None) -> Sink | None:
    """Choose the sink for what `sys.stdout` or `sys.stderr` is. None: this process has no such stream."""
    if standard is None:
        return None
    plain_file = _plain_file(standard)
    return TextSink(standard) if plain_file is None else DescriptorSink(plain_file)


def check_output_sink(output: OutputSink | None) -> None:
    """Refuse what is not a sink before anything is made.

    Raises:
        TypeError: It is not a callable and has no method `write`, or it is a file, whose `write` takes no stream, or a
            coroutine function, which nobody would await.
    """
    if isinstance(output, io.IOBase):
        raise TypeError(
            f"output={output!r} is a file; give a callable instead, such as `lambda stream, line: file.write(line)`"
        )
    if output is not None and not callable(output) and not callable(getattr(output, "write", None)):
        raise TypeError(f"output={output!r} is neither a callable (stream, line) nor has it write(stream, line)")
    if inspect.iscoroutinefunction(getattr(output, "write", output)):
        raise TypeError(f"output={output!r} is asynchronous; give a plain function: it is called from a thread")


class LineSink:
    """Calls the user's own sink, once a line, which is counted already when the sink is called."""

    def __init__(self, output: OutputSink, count: DeliveryCount | None) -> None:
        self._output = output
        self._count = count
        self._write = output.write if isinstance(output, SupportsWriteLine) else output

    @property
    def key(self) -> Hashable:
        return ("object", id(self._output))

    def write(self, stream: StreamName, data: bytes) -> None:
        for line in split_lines(data):
            text = line.decode("utf-8", "replace")
            if self._count is None:
                self._write(stream, text)
            else:
                with self._count.delivering(stream, line):
                    self._write(stream, text)


class TextSink:
    """Writes to a text stream of Python that is not a plain file: in a notebook, under a test runner, redirected."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._warn_of_encoding = _EncodingWarning()

    @property
    def key(self) -> Hashable:
        return ("object", id(self._stream))

    def write(self, stream: StreamName, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        try:
            self._stream.write(text)
        except UnicodeEncodeError as error:
            # The error names all one-byte encodings "charmap".
            encoding = getattr(self._stream, "encoding", None) or error.encoding
            self._warn_of_encoding(stream, encoding)
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self._stream.flush()


class DescriptorSink:
    """Writes the bytes straight to the file below a standard stream.

    Python's own buffer is passed by, because a thread that waits inside of it for a slow reader holds its lock, and an
    interpreter that cannot have this lock when it ends is aborted.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream
        self._descriptor = stream.fileno()
        self._encoding = stream.encoding
        self._is_utf8 = codecs.lookup(self._encoding).name == "utf-8"
        self._warn_of_encoding = _EncodingWarning()
        self._writable = select.poll()
        self._writable.register(self._descriptor, select.POLLOUT)

    @property
    def key(self) -> Hashable:
        # stdout and stderr of a process are often the same pipe or terminal.
        status = os.fstat(self._descriptor)
        return ("file", status.st_dev, status.st_ino)

    def write(self, stream: StreamName, data: bytes) -> None:
        self._writable.poll()
        self._wait_while_full(self._stream.flush)  # what the program itself printed before comes first
        rest = memoryview(self._encoded(stream, data))
        while rest:
            rest = rest[self._wait_while_full(partial(os.write, self._descriptor, rest)) :]

    def _wait_while_full(self, write: Callable[[], T]) -> T:
        while True:
            try:
                return write()
            except BlockingIOError:  # somebody made the file non-blocking
                self._writable.poll()

    def _encoded(self, stream: StreamName, data: bytes) -> bytes:
        if data.isascii():
            return data
        text = data.decode("utf-8", "replace")
        if self._is_utf8:
            return text.encode() if "\ufffd" in text else data
        try:
            return text.encode(self._encoding)
        except UnicodeEncodeError:
            self._warn_of_encoding(stream, self._encoding)
            return text.encode(self._encoding, "backslashreplace")


class _EncodingWarning:
    """Says once that a stream cannot show what a workload prints."""

    def __init__(self) -> None:
        self._given = False

    def __call__(self, stream: StreamName, encoding: str) -> None:
        if not self._given:
            self._given = True
            logger.warning("%s has the encoding %s: other characters are written as \\x… escapes", stream, encoding)


def _plain_file(stream: object) -> io.TextIOWrapper | None:
    """Give a stream back if it is exactly what Python makes of a file descriptor, which bytes may be written to."""
    if sys.platform == "win32" or type(stream) is not io.TextIOWrapper or _is_shut(stream):
        return None
    raw = getattr(stream.buffer, "raw", stream.buffer)  # unbuffered (-u): there is no layer between
    if type(raw) is not io.FileIO or "\n".encode(stream.encoding) != b"\n":
        return None
    return stream


def _is_shut(stream: io.TextIOWrapper) -> bool:
    try:
        return stream.closed
    except ValueError:  # detached from its buffer
        return True
