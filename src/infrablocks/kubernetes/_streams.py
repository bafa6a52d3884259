"""Answers that are read bit by bit: watches and logs."""

from __future__ import annotations

import socket
import threading
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

from infrablocks.kubernetes._errors import ClusterUnreachable, unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

_PIECE = 1 << 16
_AHEAD = 1 << 16


class ApiStream:
    """One answer, read by one thread, and ended from any.

    Args:
        address: The cluster's, for messages.
        send: Sends the request; gets a function that takes the connection before the answer is waited for.
        counted: Counts the request while its connection may be given back: the beginning of the answer is then read
            at once, and if that was all of it, others can use the connection. None: the answer goes on for long.
    """

    def __init__(
        self,
        address: str,
        send: Callable[[Callable[[Any], None]], Any],
        *,
        counted: AbstractContextManager[None] | None = None,
    ) -> None:
        self._address = address
        self._send = send
        self._counted = counted
        self._lock = threading.Lock()
        self._connection: Any = None
        self._socket: socket.socket | None = None
        self._response: Any = None
        self._ahead: list[bytes] = []
        self._error: Exception | None = None  # that came after what was read ahead
        self._rest: Iterator[bytes] = iter(())
        self._ended = False

    @property
    def is_ended(self) -> bool:
        """Whether somebody has called `end`."""
        return self._ended

    def open(self) -> None:
        """Send the request and wait for the headers of the answer, which for a log may be long.

        Raises:
            ApiRefusal: The API server says no.
            ClusterUnreachable: It is out of reach, or `end` was called.
        """
        with self._counted or nullcontext():
            self._response = self._send(self._take_connection)
            # Its connection is closed with it. The pool would give it to another request, which `end` could then hit.
            self._response.release_conn = _keep_connection
            self._rest = self._pieces()
            if self._counted is not None:
                self._read_ahead()

    def chunks(self) -> Iterator[bytes]:
        """Give what comes, as it comes. It ends with the answer, or when `end` is called.

        Raises:
            ClusterUnreachable: The connection broke, or nothing came for longer than `read_seconds`.
        """
        from infrablocks.kubernetes._transport import TRANSPORT_ERRORS  # noqa: PLC0415 - loads the SDK

        try:
            for chunk in self._all_pieces():
                if self._ended:
                    return
                yield chunk
        except (*TRANSPORT_ERRORS, ValueError, AttributeError) as error:  # the latter two of a response that was closed
            if self._ended:
                return
            raise unreachable(self._address, error, sent=True) from error

    def lines(self) -> Iterator[bytes]:
        """Give whole lines without their ends; see `chunks`. What stands behind the last end comes at the end."""
        begun: list[bytes] = []
        for chunk in self.chunks():
            first, *others = chunk.split(b"\n")
            begun.append(first)
            if others:
                yield b"".join(begun)
                yield from others[:-1]
                begun = [others[-1]]
        if (rest := b"".join(begun)) and not self._ended:
            yield rest

    def end(self) -> None:
        """Have the reader come to its end at once; from any thread, at any time, and safe to call twice."""
        with self._lock:
            self._ended = True
            if self._socket is not None:
                _shut_down(self._socket)

    def close(self) -> None:
        """Close the connection, which nobody can use again; by the reader. Safe to call twice."""
        with self._lock:
            self._ended = True
            sock, self._socket, self._connection = self._socket, None, None
            response, self._response = self._response, None
        if sock is not None:
            _shut_down(sock)
        if response is not None:
            response.close()
        if sock is not None:
            sock.close()

    def _take_connection(self, connection: Any) -> None:
        with self._lock:
            self._connection, self._socket = connection, connection.sock
            if self._ended:
                raise ClusterUnreachable("The stream was ended.", sent=True)

    def _read_ahead(self) -> None:
        size = 0
        try:
            for piece in self._rest:
                self._ahead.append(piece)
                size += len(piece)
                if size > _AHEAD:
                    return
        except Exception as error:  # noqa: BLE001 (raised by `chunks`)
            self._error = error
            return
        with self._lock:
            if self._ended:
                return
            connection, self._connection, self._socket = self._connection, None, None
        connection.is_used_up = False
        del self._response.release_conn
        self._response.release_conn()

    def _all_pieces(self) -> Iterator[bytes]:
        yield from self._ahead
        if self._error is not None:
            raise self._error
        yield from self._rest

    def _pieces(self) -> Iterator[bytes]:
        response = self._response
        if response.chunked and response.supports_chunked_reads():
            yield from response.read_chunked(decode_content=False)
            return
        while piece := response.read1(_PIECE):
            yield piece


def _keep_connection() -> None:
    """Stand in for what gives a connection back to the pool once its answer was read to the end."""


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError, TypeError):  # the other side was faster; TLS inside of TLS has no such socket
        # Not the method of a TLS socket: that takes the session away from the thread that reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
