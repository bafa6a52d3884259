"""How far the log of one container was delivered, and where it goes on behind that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infrablocks._output.position import StreamPosition
from infrablocks.docker._log_search import Resumption, StreamScan, tail_after

if TYPE_CHECKING:
    from infrablocks._output import Output, StreamName
    from infrablocks._output.position import OutputPosition
    from infrablocks.docker._log_search import LogLimits

_BEGINNING = StreamPosition()


class LogPlace:
    """What was delivered of the two streams of a container.

    Attributes:
        limits: Whether the log may be rotated; None: that is not known yet.
    """

    def __init__(self) -> None:
        self.limits: LogLimits | None = None
        self._delivered: dict[StreamName, StreamPosition] = {"stdout": _BEGINNING, "stderr": _BEGINNING}
        self._tails: dict[StreamName, bytes] = {"stdout": b"", "stderr": b""}

    def note(self, stream: StreamName, data: bytes) -> None:
        """Count what was delivered."""
        self._delivered[stream] = self._delivered[stream].after(data)
        self._tails[stream] = tail_after(self._tails[stream], data)

    def scans(self) -> dict[StreamName, StreamScan]:
        """Give what looks through the log."""
        return {stream: StreamScan(place, self._tails[stream]) for stream, place in self._delivered.items()}

    def resumptions(self, *, checked: bool) -> dict[StreamName, Resumption]:
        """Give what leaves out of the log what was delivered.

        Args:
            checked: Whether to see that it is that.
        """
        return {
            stream: Resumption(place, self._tails[stream] if checked else None)
            for stream, place in self._delivered.items()
        }

    def move(self, scans: dict[StreamName, StreamScan], output: Output) -> bool:
        """Find the place in a log that was looked through. True: output may be lost.

        Where nothing of what was delivered is left in the log, all that it holds is new. That is so for one of the
        streams, too, where the end of the other is still there: the log has both in the order of their times.
        """
        if not self._may_be_rotated(scans):
            for stream, scan in scans.items():
                if scan.found is not None and scan.times == 1:  # a log may count other lines than the container printed
                    self._delivered[stream] = scan.found
            return False
        for stream, scan in scans.items():
            scan.search_beginning()
            place = scan.found
            if place is None:
                if self._delivered[stream].bytes_of_line:
                    output.write_from_thread(stream, b"\n")  # what was begun has no end that is known
                place, self._tails[stream] = _BEGINNING, b""
            self._delivered[stream] = place
        times = [0 if scan.found is None else scan.times for scan in scans.values()]
        was_silent = not any(scan.is_searching for scan in scans.values())
        return self._is_limited if was_silent else max(times) != 1

    @property
    def _is_limited(self) -> bool:
        return self.limits is not None and self.limits.room is not None

    def _may_be_rotated(self, scans: dict[StreamName, StreamScan]) -> bool:
        size = sum(scan.size for scan in scans.values())
        if self.limits is None or not self.limits.may_be_rotated(size):
            return False
        return not any(scan.times == 1 and scan.found == self._delivered[stream] for stream, scan in scans.items())


def may_be_lost_after(after: OutputPosition, scans: dict[StreamName, StreamScan], limits: LogLimits) -> bool:
    """Say whether a log that was looked through may lack lines which follow a cursor.

    A cursor says only how many lines were delivered: whether a log that may be rotated has lost some, and how many, is
    known where it is smaller than it could be then, or has fewer lines.
    """
    size = sum(scan.size for scan in scans.values())
    is_short = any(after.of(stream).lines > scan.end.lines for stream, scan in scans.items())
    return limits.may_be_rotated(size) and (is_short or limits.room is not None)


def leave_out_after(output: Output, scans: dict[StreamName, StreamScan]) -> None:
    """Have a run that goes on after a cursor leave out no more lines than its log holds now: later ones are new."""
    for stream, scan in scans.items():
        if (missing := output.after.of(stream).lines - scan.end.lines) > 0:
            output.begin_later(stream, missing)
