"""Answers that are read bit by bit: their socket, their lines of JSON, and the frames of a container's output."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import Response

    from infrablocks._output import StreamName

_HEADER = struct.Struct(">BxxxL")
_STREAMS: dict[int, StreamName] = {0: "stdout", 1: "stdout", 2: "stderr"}


def stream_socket(response: Response) -> socket.socket | None:
    """Give the socket of an answer that is not read to its end, to set its time limit or to end the reading."""
    sock = getattr(response.raw.connection, "sock", None)
    return sock if isinstance(sock, socket.socket) else None


def shut_down(sock: socket.socket | None) -> None:
    """Have a thread that reads from a socket come to its end."""
    if sock is not None:
        with suppress(OSError):  # the other side was faster
            sock.shutdown(socket.SHUT_RDWR)


def close_stream(response: Response) -> None:
    """Close an answer that was not read to its end, and its connection, which nobody can use again."""
    sock = stream_socket(response)
    shut_down(sock)  # a thread that still reads has the lock that closing needs
    response.close()
    if sock is not None:
        sock.close()


def json_lines(response: Response) -> Iterator[dict[str, Any]]:
    """Give the objects of an answer that has one a line, as they come."""
    rest = b""
    for chunk in response.iter_content(chunk_size=None):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)
    if rest.strip():
        yield json.loads(rest)


class Frames:
    """Takes a container's output as the engine sends it, and gives what belongs to which stream.

    https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Container/operation/ContainerAttach

    Args:
        tty: The container has a terminal: its output comes as it is, all of it stdout.
    """

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty
        self._header = b""
        self._stream: StreamName = "stdout"
        self._left = 0

    @property
    def is_broken_off(self) -> bool:
        """Whether the rest of a frame is missing."""
        return self._left > 0 or bool(self._header)

    def feed(self, data: memoryview) -> list[tuple[StreamName, bytes]]:
        """Take what has come; give what it holds in order, neighbouring frames of the same stream in one piece."""
        if self._tty:
            return [("stdout", bytes(data))]
        pieces: list[tuple[StreamName, list[memoryview]]] = []
        position, end = 0, len(data)
        while position < end:
            if not self._left:
                position = self._read_header(data, position)
                continue
            stop = min(position + self._left, end)
            if pieces and pieces[-1][0] == self._stream:
                pieces[-1][1].append(data[position:stop])
            else:
                pieces.append((self._stream, [data[position:stop]]))
            self._left -= stop - position
            position = stop
        return [(stream, b"".join(parts)) for stream, parts in pieces]

    def _read_header(self, data: memoryview, position: int) -> int:
        missing = _HEADER.size - len(self._header)
        self._header += bytes(data[position : position + missing])
        if len(self._header) == _HEADER.size:
            number, self._left = _HEADER.unpack(self._header)
            self._stream = _STREAMS.get(number, "stderr")  # 3: the engine's own complaint
            self._header = b""
        return position + missing
