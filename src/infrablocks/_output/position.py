"""Where in a run's output something stands: counted in lines, and in bytes only within a line that is not complete.

Bytes alone would not do: the log of an engine may hold other bytes than the workload printed where these are no UTF-8.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from infrablocks._output.sinks import StreamName
from infrablocks.exceptions import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSION = 1
_STREAMS: tuple[StreamName, ...] = get_args(StreamName)
_SHOWN_CHARACTERS = 100


class StreamPosition(NamedTuple):
    """A place in one stream. Places compare as they follow each other.

    Attributes:
        lines: How many whole lines stand before it.
        bytes_of_line: How many bytes of the next line stand before it.
    """

    lines: int = 0
    bytes_of_line: int = 0

    def after(self, data: bytes) -> StreamPosition:
        """Give the place that follows this one by some bytes."""
        last = data.rfind(b"\n")
        if last < 0:
            return StreamPosition(self.lines, self.bytes_of_line + len(data))
        return StreamPosition(self.lines + data.count(b"\n"), len(data) - last - 1)


_BEGINNING = StreamPosition()


@dataclass(frozen=True)
class OutputPosition:
    """A place in the output of a run: what a cursor says, read.

    Attributes:
        stdout: How far stdout was delivered.
        stderr: How far stderr was delivered.
        source: Whose output is counted, where a run has several in turn, such as the pods of a Job. Those before it
            were delivered to the end. None: the run has only one.
    """

    stdout: StreamPosition = _BEGINNING
    stderr: StreamPosition = _BEGINNING
    source: str | None = None

    def of(self, stream: StreamName) -> StreamPosition:
        """Give the place in one stream."""
        return self.stdout if stream == "stdout" else self.stderr

    def json(self) -> str:
        """Write it as a cursor."""
        positions = {stream: self.of(stream) for stream in _STREAMS}
        cursor: dict[str, Any] = {
            "version": _VERSION,
            "lines": {stream: position.lines for stream, position in positions.items()},
        }
        begun = {stream: position.bytes_of_line for stream, position in positions.items() if position.bytes_of_line}
        if begun:
            cursor["bytes_of_line"] = begun
        if self.source is not None:
            cursor["source"] = self.source
        return json.dumps(cursor, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> OutputPosition:
        """Read a cursor.

        Raises:
            InvalidSettings: It is none.
        """
        try:
            cursor = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise _malformed(text, "it is not JSON") from error
        if not isinstance(cursor, dict):
            raise _malformed(text, "it is not a JSON object")
        if cursor.get("version") != _VERSION:
            raise _malformed(text, f"its version is {cursor.get('version')!r}, and this library reads {_VERSION}")
        unknown = sorted(set(cursor) - {"version", "lines", "bytes_of_line", "source"})
        if unknown:
            raise _malformed(text, f"it has unknown parts: {', '.join(map(str, unknown))}")
        source = cursor.get("source")
        if source is not None and not isinstance(source, str):
            raise _malformed(text, "its source is no text")
        lines = _numbers(text, cursor, "lines", required=True)
        begun = _numbers(text, cursor, "bytes_of_line", required=False)
        places = {stream: StreamPosition(lines.get(stream, 0), begun.get(stream, 0)) for stream in _STREAMS}
        return cls(source=source, **places)


def _numbers(text: str, cursor: dict[str, Any], part: str, *, required: bool) -> Mapping[str, int]:
    numbers = cursor.get(part, None if required else {})
    if not isinstance(numbers, dict) or not set(numbers) <= set(_STREAMS):
        raise _malformed(text, f"its {part!r} are not those of stdout and stderr")
    if not all(type(number) is int and number >= 0 for number in numbers.values()):
        raise _malformed(text, f"its {part!r} are not whole numbers from 0 on")
    return numbers


def _malformed(text: object, problem: str) -> InvalidSettings:
    shown = repr(text)
    if len(shown) > _SHOWN_CHARACTERS:
        shown = shown[:_SHOWN_CHARACTERS] + "…"
    return InvalidSettings(f"after={shown} is not a cursor of infrablocks: {problem}. Give str(cursor) of a run's own.")


class Skipper:
    """Leaves out of one stream what lies between two places.

    Args:
        begin: Where the stream that comes begins.
        end: Where it is wanted from.
    """

    def __init__(self, begin: StreamPosition, end: StreamPosition) -> None:
        self._lines = max(0, end.lines - begin.lines)
        begun = begin.bytes_of_line if begin.lines == end.lines else 0
        self._bytes = max(0, end.bytes_of_line - begun) if begin <= end else 0

    @property
    def is_done(self) -> bool:
        """Whether nothing more is left out."""
        return not self._lines and not self._bytes

    def skip(self, data: bytes) -> bytes:
        """Give what of this is wanted."""
        position = 0
        while self._lines:
            position = data.find(b"\n", position) + 1
            if not position:
                return b""
            self._lines -= 1
        left = min(self._bytes, len(data) - position)
        self._bytes -= left
        return data[position + left :]
