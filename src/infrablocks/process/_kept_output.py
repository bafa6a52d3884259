"""Reading what the supervisor of a detached process keeps of its output, while it may still write."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from infrablocks._output import OutputPosition, StreamPosition
from infrablocks.exceptions import InfrastructureError

if TYPE_CHECKING:
    from infrablocks._output import StreamName
    from infrablocks.process._run_folder import RunFolder

_PREFIX = "output-"
_MAGIC = b"IBO1"
_HEADER_BYTES = len(_MAGIC) + 4 * 8
_FRAME_HEADER_BYTES = 5
_LONGEST_FRAME = 64 * 1024
_READ_BYTES = 256 * 1024
_STREAMS: dict[int, StreamName] = {1: "stdout", 2: "stderr"}
# Where the beginning is gone, what is left begins with a whole line, unless that is too long to look for its end.
_LONGEST_LINE = 64 * 1024


class Piece(NamedTuple):
    """What comes next in a stream.

    Attributes:
        stream: The stream.
        data: What was printed.
        begins_at: Where it begins, if what would have come before is not there any more.
    """

    stream: StreamName
    data: bytes
    begins_at: StreamPosition | None = None


class KeptOutput:
    """Reads the files of one run in turn. All calls block, and are made by one thread at a time.

    Args:
        folder: The run's folder.
        after: What was delivered before; files that hold nothing else are not read.
    """

    def __init__(self, folder: RunFolder, after: OutputPosition | None) -> None:
        self._folder = folder
        self._after = after or OutputPosition()
        self._places: dict[StreamName, StreamPosition] = {"stdout": StreamPosition(), "stderr": StreamPosition()}
        self._looks_for_line: dict[StreamName, int] = {}
        self._number = 0
        self._descriptor: int | None = None
        self._header_read = False
        self._rest = b""
        self._pieces: list[Piece] = []

    def close(self) -> None:
        """Close the file that is being read."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read(self) -> list[Piece]:
        """Give what is there, some 256 KiB of it; nothing when all that was written by now is read.

        Raises:
            InfrastructureError: A file is damaged.
        """
        self._pieces = []
        while not self._pieces:
            later = self._next_number()
            data = b"" if self._descriptor is None else os.read(self._descriptor, _READ_BYTES)
            if data:
                self._take(self._rest + data)
            elif later is None:
                break
            else:
                self._open(later)
        return _joined(self._pieces)

    def finish(self) -> list[Piece]:
        """Give the gaps that nothing has followed."""
        return [Piece(stream, b"", self._places[stream]) for stream in self._looks_for_line]

    def _next_number(self) -> int | None:
        """Find the file after this one. It is complete by then: the next was begun when it was full."""
        names = os.listdir(self._folder.descriptor)  # noqa: PTH208 (not a path)
        numbers = (int(name.removeprefix(_PREFIX)) for name in names if name.startswith(_PREFIX))
        later = sorted(number for number in numbers if number > self._number)
        if self._number or not later:
            return later[0] if later else None
        return self._first_wanted(later)

    def _first_wanted(self, numbers: list[int]) -> int:
        """Choose the last file that begins before what is wanted."""
        wanted = numbers[0]
        for number in numbers[1:]:
            descriptor = self._open_file(number)
            if descriptor is None:
                continue
            try:
                header = os.read(descriptor, _HEADER_BYTES)
            finally:
                os.close(descriptor)
            if len(header) < _HEADER_BYTES:
                break
            if any(place > self._after.of(stream) for stream, place in self._read_header(header, number).items()):
                break
            wanted = number
        return wanted

    def _open(self, number: int) -> None:
        self.close()
        self._number, self._rest, self._header_read = number, b"", False
        self._descriptor = self._open_file(number)

    def _open_file(self, number: int) -> int | None:
        with suppress(FileNotFoundError):  # removed just now, for newer output
            return os.open(self._name(number), os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder.descriptor)
        return None

    def _take(self, data: bytes) -> None:
        position = 0
        if not self._header_read:
            if len(data) < _HEADER_BYTES:
                self._rest = data
                return
            self._begin_at(self._read_header(data, self._number))
            self._header_read, position = True, _HEADER_BYTES
        while len(data) - position >= _FRAME_HEADER_BYTES:
            stream = _STREAMS.get(data[position])
            length = int.from_bytes(data[position + 1 : position + _FRAME_HEADER_BYTES], "big")
            if stream is None or not 0 < length <= _LONGEST_FRAME:
                raise self._damaged(self._number)
            end = position + _FRAME_HEADER_BYTES + length
            if end > len(data):
                break
            self._add(stream, data[position + _FRAME_HEADER_BYTES : end])
            position = end
        self._rest = data[position:]

    def _begin_at(self, places: dict[StreamName, StreamPosition]) -> None:
        for stream, place in places.items():
            if place == self._places[stream]:
                continue
            self._places[stream] = place
            if place.bytes_of_line and place > self._after.of(stream):
                self._looks_for_line[stream] = 0
            else:
                self._looks_for_line.pop(stream, None)
                self._pieces.append(Piece(stream, b"", place))

    def _add(self, stream: StreamName, data: bytes) -> None:
        looked_at = self._looks_for_line.get(stream)
        if looked_at is None:
            self._places[stream] = self._places[stream].after(data)
            self._pieces.append(Piece(stream, data))
            return
        newline = data.find(b"\n")
        left_out = newline + 1 if newline >= 0 else len(data)
        self._places[stream] = self._places[stream].after(data[:left_out])
        if newline < 0 and looked_at + left_out < _LONGEST_LINE:
            self._looks_for_line[stream] = looked_at + left_out
            return
        del self._looks_for_line[stream]
        self._pieces.append(Piece(stream, data[left_out:], self._places[stream]))
        self._places[stream] = self._places[stream].after(data[left_out:])

    def _read_header(self, data: bytes, number: int) -> dict[StreamName, StreamPosition]:
        if not data.startswith(_MAGIC):
            raise self._damaged(number)
        values = [int.from_bytes(data[at : at + 8], "big") for at in range(len(_MAGIC), _HEADER_BYTES, 8)]
        return {"stdout": StreamPosition(*values[:2]), "stderr": StreamPosition(*values[2:])}

    def _name(self, number: int) -> str:
        return f"{_PREFIX}{number:08d}"

    def _damaged(self, number: int) -> InfrastructureError:
        return InfrastructureError(
            f"The kept output in {self._folder.path}/{self._name(number)} is damaged. Attach with stream_output=False "
            "to have the result without it."
        )


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Make one piece of those that follow each other in the same stream."""
    joined: list[Piece] = []
    parts: list[bytes] = []
    for index, piece in enumerate(pieces):
        parts.append(piece.data)
        following = pieces[index + 1] if index + 1 < len(pieces) else None
        if following is None or following.stream != piece.stream or following.begins_at is not None:
            first = pieces[index + 1 - len(parts)]
            joined.append(Piece(piece.stream, b"".join(parts), first.begins_at))
            parts = []
    return joined
