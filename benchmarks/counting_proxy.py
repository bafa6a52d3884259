"""Stands between a client and an engine and counts the requests that pass; here both are on unix sockets."""

from __future__ import annotations

import asyncio
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_PIECE_BYTES = 64 * 1024
_READY_SECONDS = 10.0
BACKLOG = 1000
"""How many clients may wait to be let in."""

_VERSION = re.compile(r"^/v[0-9.]+(?=/)")

Connected: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
"""What is called for each client."""


class Requests:
    """The requests that have passed so far, each as its method and its path without the version of the API."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._connections = 0
        self._lock = threading.Lock()

    def add(self, head: bytes) -> None:
        """Note the request with this head."""
        method, target, *_ = head.decode("latin-1").split(" ", 2)
        line = f"{method} {_VERSION.sub('', target.partition('?')[0])}"
        with self._lock:
            self._lines.append(line)

    def take(self) -> list[str]:
        """Give those that have come since this was last called."""
        with self._lock:
            lines, self._lines = self._lines, []
        return lines

    def add_connection(self) -> None:
        """Note that a client has connected."""
        with self._lock:
            self._connections += 1

    def take_connections(self) -> int:
        """Give how many clients have connected since this was last called."""
        with self._lock:
            count, self._connections = self._connections, 0
        return count


class Proxy(ABC):
    """A proxy that runs in a thread for as long as its `with` block lasts; that gives the `Requests`."""

    def __init__(self) -> None:
        self._requests = Requests()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="counting-proxy")
        self._ready = threading.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event

    @abstractmethod
    async def _listen(self, connected: Connected) -> asyncio.Server:
        """Listen for clients."""

    @abstractmethod
    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the engine."""

    def _answer(self, _line: str, _client: asyncio.StreamWriter) -> bytes | None:
        """Give an answer in the engine's place to the request that begins with this line; None: let it pass."""
        return None

    def __enter__(self) -> Requests:
        self._thread.start()
        if not self._ready.wait(_READY_SECONDS):
            raise SystemExit(f"{type(self).__name__}: nothing listens")
        return self._requests

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await self._listen(self._connected)
        self._ready.set()
        await self._end.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not a coroutine: asyncio would complain about each of those tasks that is cancelled at the end.
        self._requests.add_connection()
        connection = asyncio.create_task(self._pass(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(OSError):
            answers, engine = await self._reach()
            forward = _Forward(reader, engine, self._requests, writer, self._answer)
            there = asyncio.create_task(forward.to_the_end())
            with closing(engine):
                try:
                    # An engine that is done closes; a client may close its half long before.
                    await _copy(answers, writer)
                finally:
                    there.cancel()
                    await asyncio.gather(there, return_exceptions=True)


class CountingProxy(Proxy):
    """Between two unix sockets.

    Args:
        path: The socket that it listens on, which must not exist.
        engine: The socket of the engine.
    """

    def __init__(self, path: Path, engine: Path) -> None:
        super().__init__()
        self._path = path
        self._engine = engine

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._path.unlink(missing_ok=True)

    async def _listen(self, connected: Connected) -> asyncio.Server:
        return await asyncio.start_unix_server(connected, self._path, backlog=BACKLOG)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self._engine)


class _Forward:
    """What a client sends on one connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        requests: Requests,
        client: asyncio.StreamWriter,
        answer: Callable[[str, asyncio.StreamWriter], bytes | None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._requests = requests
        self._client = client
        self._answer = answer

    async def to_the_end(self) -> None:
        """Pass the requests on, one after the other, and then the end."""
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await self._reader.readuntil(b"\r\n\r\n")
                self._requests.add(head)
                line = head.partition(b"\r\n")[0].decode("latin-1")
                if (answer := self._answer(line, self._client)) is not None:
                    self._client.write(answer)  # to a request without a body
                    continue
                self._writer.write(head)
                await self._pass_body(_fields(head))
                await self._writer.drain()
        with suppress(OSError):
            if self._writer.can_write_eof():  # TLS cannot
                self._writer.write_eof()
            else:
                self._writer.close()

    async def _pass_body(self, fields: dict[str, str]) -> None:
        if "upgrade" in fields:  # what follows is no HTTP any more
            while piece := await self._reader.read(_PIECE_BYTES):
                self._writer.write(piece)
                await self._writer.drain()
        elif fields.get("transfer-encoding") == "chunked":
            await self._pass_chunks()
        else:
            self._writer.write(await self._reader.readexactly(int(fields.get("content-length", "0"))))

    async def _pass_chunks(self) -> None:
        size = -1
        while size != 0:
            line = await self._reader.readuntil(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            self._writer.write(line + await self._reader.readexactly(size + 2))


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip().lower() for name, _, value in pairs}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
