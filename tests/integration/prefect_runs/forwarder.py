"""Passes connections on: into an engine's room, or to a server that a test lets go away and come back."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def forwarded(listener: socket.socket, port: int) -> Iterator[None]:
    """Pass what connects to a listening socket on to a port of the machine's loopback address.

    A socket from `Namespace.listen` lets containers in an engine's room reach a server of the machine. At the end the
    socket is closed and every connection is cut.
    """
    connections: list[socket.socket] = []
    thread = threading.Thread(target=_accept, args=(listener, port, connections))
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def _accept(listener: socket.socket, port: int, connections: list[socket.socket]) -> None:
    copiers: list[threading.Thread] = []
    with contextlib.suppress(OSError):  # shut down: the test is over
        while True:
            client, _ = listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", port))
            except OSError:  # the server is away, which the client shall see
                client.close()
                continue
            connections += [client, server]
            copiers += [threading.Thread(target=_copy, args=pair) for pair in ((client, server), (server, client))]
            for copier in copiers[-2:]:
                copier.start()
    for connection in connections:
        _end(connection)
    for copier in copiers:
        copier.join()
    for connection in connections:
        connection.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
