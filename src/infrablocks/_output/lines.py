"""Bytes as they come are joined into whole lines, before anything is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE_BYTES = 64 * 1024
"""A longer line is passed on in pieces, so that a workload that prints no newline cannot fill the memory."""

_CONTINUATION = 0b1000_0000  # the first two bits of every byte of a UTF-8 character but its first


class LineAssembler:
    """Joins the chunks of one stream. What comes out does not depend on where the chunks were cut."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Take a chunk and give what is complete: whole lines, and pieces of a line that is too long."""
        end = data.rfind(b"\n") + 1
        if not end:
            self._rest += data
            return self._take_pieces()
        complete = data[:end]
        if self._rest:
            complete = bytes(self._rest) + complete
            self._rest.clear()
        self._rest += data[end:]
        return complete + self._take_pieces()

    def finish(self) -> bytes:
        """Give the last line where it has no newline."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def _take_pieces(self) -> bytes:
        cut = 0
        while len(self._rest) - cut > MAX_LINE_BYTES:
            cut += _piece_length(self._rest, cut)
        pieces = bytes(self._rest[:cut])
        del self._rest[:cut]
        return pieces


def split_lines(data: bytes) -> Iterator[bytes]:
    """Split what an assembler gave into lines, their ends included, and pieces of at most `MAX_LINE_BYTES`."""
    start = 0
    while start < len(data):
        newline = data.find(b"\n", start)
        end = newline if newline >= 0 else len(data)
        while end - start > MAX_LINE_BYTES:
            piece = _piece_length(data, start)
            yield data[start : start + piece]
            start += piece
        stop = end + 1 if newline >= 0 else end
        yield data[start:stop]
        start = stop


def _piece_length(data: bytes | bytearray, start: int) -> int:
    """Give the length of the piece that begins at `start`: the most that does not cut a UTF-8 character in two."""
    end = start + MAX_LINE_BYTES
    for boundary in range(end, end - 4, -1):
        if data[boundary] & 0b1100_0000 != _CONTINUATION:  # a character begins here
            return boundary - start
    return MAX_LINE_BYTES  # not UTF-8 anyway
