"""Where a log goes on behind what was delivered, also when its engine has put its beginning away.

An engine that rotates a log gives what is left of it, and nothing says what that begins with: the lines have no
numbers, and an attached stream, from which most of a run's output comes, has no times. So the place is found by the
text that was delivered last.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from infrablocks._output.position import Skipper, StreamPosition

if TYPE_CHECKING:
    from collections.abc import Mapping

TAIL_BYTES = 1024
"""How much of what was delivered last is kept."""

# A log of JSON holds U+FFFD in place of bytes that are no UTF-8: where there are such bytes, only ASCII is compared.
_NOT_ASCII = bytes(range(128, 256))
_INSIDE_CHARACTER = bytes(range(0x80, 0xC0))
_WRITTEN_AS_IT_IS = bytes(set(range(32, 127)) - set(b'\\"<>&'))
_LONGEST_ESCAPE = 6  # as in \u001b
# What stands around each line, or each 16 KiB of a longer one, in the files of `json-file` and `local`.
_AROUND_LINE = 150
_LONGEST_PIECE = 16 * 1024
_SIZE = re.compile(r"(\d+)(?:\.\d+)? ?([kmgt]?)i?b?", re.IGNORECASE)
_LOCAL = {"max-size": "20m", "max-file": "5"}


def tail_after(tail: bytes, data: bytes) -> bytes:
    """Give the end of what was delivered when more was."""
    return data[-TAIL_BYTES:] if len(data) >= TAIL_BYTES else (tail + data)[-TAIL_BYTES:]


class LogLimits:
    """Whether the engine may put the beginning of a log away, and from which size on.

    Args:
        inspected: What the engine says about the container.
    """

    def __init__(self, inspected: Mapping[str, Any]) -> None:
        config = (inspected.get("HostConfig") or {}).get("LogConfig") or {}
        driver, options = config.get("Type"), config.get("Config")
        is_known = driver in {"json-file", "local"} and isinstance(options, dict)  # Podman does not tell
        options = {**(_LOCAL if driver == "local" else {}), **(options or {})}
        loses_lines = options.get("mode") == "non-blocking"
        self.rotates = not is_known or "max-size" in options or loses_lines
        self.room: int | None = None
        """A log that is smaller is whole; None: that is not known."""
        if is_known:
            has_extras = bool(set(options) - {"max-size", "max-file", "compress"})  # labels stand in each line
            files = int(options.get("max-file") or 1)
            self.room = 0 if has_extras else _bytes(options.get("max-size")) * (files - 1)

    def may_be_rotated(self, size: int) -> bool:
        """Say whether the beginning of a log may be gone whose files have at most this size."""
        return self.rotates and (self.room is None or size >= self.room)


def _bytes(size: Any) -> int:
    match = _SIZE.fullmatch(str(size))
    return 0 if match is None else int(match[1]) * 1000 ** " kmgt".index(match[2].lower() or " ")


class StreamScan:
    """Looks through one stream of a log for the place behind what was delivered of it.

    Args:
        delivered: Where that would be, if the log had all its lines.
        tail: The end of what was delivered.
    """

    def __init__(self, delivered: StreamPosition, tail: bytes) -> None:
        self.end = StreamPosition()
        self.size = 0
        self.found: StreamPosition | None = None
        self.times = 0
        self._delivered = delivered
        text = _from_line_start(tail)
        self._only_ascii = not _is_utf8(text)
        self._text = text.translate(None, _NOT_ASCII) if self._only_ascii else text
        self._is_all = len(tail) < TAIL_BYTES  # if it is still there, then where it is due
        self._needle = _whole_lines(self._text) or self._text
        self._head = b""
        self._window = b"\n"  # as if a line had ended before the log
        self._lines, self._bytes_of_line = -1, 0  # before the window

    @property
    def is_searching(self) -> bool:
        """Whether there is something to look for."""
        return bool(self._needle)

    def feed(self, data: bytes) -> None:
        """Take what comes next."""
        self.end = self.end.after(data)
        escaped = len(data.translate(None, _WRITTEN_AS_IT_IS))
        pieces = data.count(b"\n") + len(data) // _LONGEST_PIECE + 1
        self.size += len(data) + (_LONGEST_ESCAPE - 1) * escaped + _AROUND_LINE * pieces
        if not self._needle:
            return
        data = data.translate(None, _NOT_ASCII) if self._only_ascii else data
        if len(self._head) < TAIL_BYTES:
            self._head += data[: TAIL_BYTES - len(self._head)]
        self._window += data
        self._search()
        self._leave(max(0, len(self._window) - len(self._needle) + 1))

    def search_beginning(self) -> None:
        """Find the place where the log begins in the middle of what is looked for."""
        begin = 0
        while self.found is None and (begin := self._text.find(b"\n", begin) + 1):
            end = self._text[begin:]
            lines = end.count(b"\n")
            if lines and self._head.startswith(end):
                self.found = StreamPosition(lines, self._delivered.bytes_of_line)
                self.times = self._text.count(end) if lines > 1 else 2  # one line may stand there by chance

    def _search(self) -> None:
        window, needle = self._window, self._needle
        first, last = window.find(needle), window.rfind(needle)
        if first < 0 or self.found == self._delivered:  # none is as good as the one where it is due
            self.times += first >= 0
            return
        self.times += 1 if first == last else 2
        place = self._place_behind(last)
        if not self._is_all:
            self.found = place
        if self._lines <= self._delivered.lines <= place.lines and self._is_due(first, last):
            self.found = self._delivered

    def _is_due(self, first: int, last: int) -> bool:
        """Say whether one of some occurrences is where it would be, if nothing were gone."""
        end = first + len(self._needle)
        lines = self._lines + self._window.count(b"\n", 0, end)
        while first < last and lines < self._delivered.lines:
            first, before = self._window.find(self._needle, first + 1), end
            end = first + len(self._needle)
            lines += self._window.count(b"\n", before, end)
        return self._place_behind(first) == self._delivered

    def _place_behind(self, start: int) -> StreamPosition:
        end = start + len(self._needle)
        lines = self._lines + self._window.count(b"\n", 0, end)
        if b"\n" in self._needle:
            return StreamPosition(lines, self._delivered.bytes_of_line)
        newline = self._window.rfind(b"\n", 0, end)
        return StreamPosition(lines, end - newline - 1 if newline >= 0 else self._bytes_of_line + end)

    def _leave(self, size: int) -> None:
        lines = self._window.count(b"\n", 0, size)
        self._lines += lines
        if lines:
            self._bytes_of_line = 0
        self._bytes_of_line += size - (self._window.rfind(b"\n", 0, size) + 1)
        self._window = self._window[size:]


def _from_line_start(tail: bytes) -> bytes:
    """Leave out what stands before the first newline; where there is none, all is in one line."""
    if len(tail) < TAIL_BYTES:
        return b"\n" + tail if tail else b""
    return tail[max(0, tail.find(b"\n")) :].lstrip(_INSIDE_CHARACTER)


def _whole_lines(text: bytes) -> bytes:
    """Give what ends with a line, if that is more than a newline."""
    lines = text[: text.rfind(b"\n") + 1]
    return lines if len(lines) > 1 else b""


def _is_utf8(data: bytes) -> bool:
    try:
        return "\N{REPLACEMENT CHARACTER}" not in data.decode()
    except UnicodeDecodeError:
        return False


class Resumption:
    """Leaves out of one stream of the log what was delivered.

    Args:
        place: Where that ends.
        tail: The end of what was delivered, if what is left out is to be compared with it.
    """

    def __init__(self, place: StreamPosition, tail: bytes | None) -> None:
        self._skipper = Skipper(StreamPosition(), place)
        self._expected = tail
        self._tail = b""

    @property
    def is_done(self) -> bool:
        """Whether nothing more is left out."""
        return self._skipper.is_done

    def skip(self, data: bytes) -> bytes:
        """Give what of this is wanted.

        Raises:
            LogMovedError: What was left out is not what was delivered.
        """
        if self._skipper.is_done:
            return data
        rest = self._skipper.skip(data)
        if self._expected is not None:
            self._tail = tail_after(self._tail, data[: len(data) - len(rest)])
            if self._skipper.is_done and not _are_alike(self._tail, self._expected):
                raise LogMovedError
        return rest


class LogMovedError(Exception):
    """The log was rotated after its place had been looked for."""


def _are_alike(one: bytes, other: bytes) -> bool:
    one, other = one.translate(None, _NOT_ASCII), other.translate(None, _NOT_ASCII)
    return one.endswith(other) or other.endswith(one)
