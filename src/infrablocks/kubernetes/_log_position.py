"""How far the log of one container was delivered, and what of it, read once more, is new.

The API gives each line behind its time. A log that was cut is asked for again from the second of the last line, which
is all the precision that the API server passes on to the node; of what then comes, as many lines are left out as were
delivered of that second. Lines are counted and not compared by their times: those of stdout and stderr may stand in the
log in another order than that of their times.

A node begins a new file when one is full, and gives the newest only. A line that is being written then stands in both,
its rest as a line with a time of its own (containerd's
[CRI logger](https://github.com/containerd/containerd/blob/v2.2.0/internal/cri/io/logger.go)).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

_LONGEST_TIME = 40
_SECONDS = 19  # as in 2026-11-24T08:54:50
_ALL = -1
# Nodes look every few seconds whether a file is full: within one, what was begun goes on in the next file.
_LONGEST_IN_LINE = timedelta(seconds=1)


class _Mode(Enum):
    UNKNOWN = auto()
    COUNT = auto()
    TIMES = auto()


@dataclass
class _Delivered:
    """What of a log that is read once more is known already.

    Attributes:
        first: The time of the first line that was delivered of the last second.
        last: The time of the last line, which may not be complete.
        lines: How many complete lines were delivered of that second.
        rest: How many bytes of the incomplete line were.
        mode: How what is known is told from what is not.
    """

    first: bytes
    last: bytes
    lines: int
    rest: int
    mode: _Mode = _Mode.UNKNOWN


class LogPosition:
    """Takes the log of one container as it comes and gives what the container printed, each byte once.

    Attributes:
        has_gap: Whether lines were lost: the log was rotated or removed between two attempts to read it.
        complaints: What the node itself wrote into the answer.
    """

    def __init__(self) -> None:
        self.has_gap = False
        self.complaints: list[str] = []
        self._second = b""
        self._first = b""
        self._last = b""
        self._lines = 0
        self._rest = 0
        self._known: _Delivered | None = None
        self._prefix = b""
        self._in_line = False
        self._in_complaint = False
        self._is_counted = True
        self._skip = 0

    @property
    def since(self) -> str | None:
        """From when the log is to be read on; None: from its beginning."""
        if not self._last:
            return None
        return (self._last[:_SECONDS] + self._last[_SECONDS:].lstrip(b".0123456789")).decode()

    def begin(self) -> None:
        """Say that the log is now read once more, as `since` says."""
        self._prefix, self._in_line, self._in_complaint, self._skip = b"", False, False, 0
        self._known = _Delivered(self._first, self._last, self._lines, self._rest) if self._last else None

    def feed(self, data: bytes) -> bytes:
        """Take what has come; give what of it is new, without the times."""
        new: list[bytes] = []
        position, end = 0, len(data)
        while position < end:
            if self._in_line:
                newline = data.find(b"\n", position)
                stop = newline + 1 if newline >= 0 else end
                self._take(data[position:stop], new, is_whole=newline >= 0)
                position = stop
            elif self._in_complaint:
                position = self._read_complaint(data, position)
            else:
                position = self._read_time(data, position, new)
        return b"".join(new)

    def _read_time(self, data: bytes, position: int, new: list[bytes]) -> int:
        blank = data.find(b" ", position, position + _LONGEST_TIME)
        time = self._prefix + data[position : blank if blank >= 0 else position + _LONGEST_TIME]
        if blank >= 0 and len(time) > _SECONDS and time[10:11] == b"T" and b"\n" not in time:
            self._prefix, self._in_line = b"", True
            self._begin_line(time, new)
            return blank + 1
        if blank < 0 and len(time) < _LONGEST_TIME and b"\n" not in time:
            self._prefix = time  # the rest of the time is still to come
            return len(data)
        self._in_complaint = True
        return position

    def _read_complaint(self, data: bytes, position: int) -> int:
        newline = data.find(b"\n", position)
        stop = newline + 1 if newline >= 0 else len(data)
        self._prefix += data[position:stop]
        if newline >= 0:
            self.complaints.append(self._prefix.decode(errors="replace").strip())
            self._prefix, self._in_complaint = b"", False
        return stop

    def _begin_line(self, time: bytes, new: list[bytes]) -> None:
        if self._known is None:
            self._note(time)
        else:
            self._skip = self._known_bytes(self._known, time, new)

    def _note(self, time: bytes) -> None:
        second = time[:_SECONDS]
        if second > self._second:
            self._second, self._first, self._lines = second, time, 0
        self._is_counted = second == self._second
        if self._is_counted:
            self._last = time
        self._rest = 0

    def _take(self, piece: bytes, new: list[bytes], *, is_whole: bool) -> None:
        if self._skip != _ALL:
            left_out = min(self._skip, len(piece))
            self._skip -= left_out
            if fresh := piece[left_out:]:
                new.append(fresh)
            self._rest = 0 if is_whole else self._rest + len(fresh)
            self._lines += is_whole and self._is_counted
        if is_whole:
            self._in_line, self._skip = False, 0

    def _known_bytes(self, known: _Delivered, time: bytes, new: list[bytes]) -> int:
        """Say how much of a line that begins is known already: `_ALL`, or a number of bytes."""
        if known.mode is _Mode.UNKNOWN:
            if time < known.first:
                return _ALL  # the end of a long line that began before that second
            if time > known.last:
                self._go_on_behind_gap(time, new)
                return 0
            known.mode = _Mode.COUNT if time == known.first else _Mode.TIMES
        if known.mode is _Mode.COUNT:
            is_known, is_rest = known.lines > 0, known.rest > 0
            known.lines -= 1
        else:  # the log was rotated in the middle of what is known
            is_rest = time == known.last and known.rest > 0
            is_known = time <= known.last and not is_rest
        if is_known:
            return _ALL
        self._known = None
        if is_rest:
            return known.rest
        self._note(time)
        return 0

    def _go_on_behind_gap(self, time: bytes, new: list[bytes]) -> None:
        self.has_gap = True
        self._known = None
        if self._rest and not _is_soon_after(self._last, time):
            new.append(b"\n")  # what was begun has no end that is known
        self._note(time)


def _is_soon_after(earlier: bytes, later: bytes) -> bool:
    try:
        between = datetime.fromisoformat(later.decode()) - datetime.fromisoformat(earlier.decode())
    except (ValueError, TypeError):  # no time, or one without a zone
        return False
    return between <= _LONGEST_IN_LINE
