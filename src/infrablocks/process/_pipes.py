"""Copying what a process prints, from its pipes to the run's output."""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import termios
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from anyio import wait_readable
from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from io import FileIO

    from infrablocks._output import Output, StreamName

logger = logging.getLogger("infrablocks.process")

# Linux gives a pipe 64 KiB, and lets an ordinary user have 64 MiB in all pipes together: more is for those who fill it.
# https://man7.org/linux/man-pages/man7/pipe.7.html
_USUAL_PIPE_BYTES = 64 * 1024
_LARGE_PIPE_BYTES = 256 * 1024


class _Buffer(threading.local):
    """The buffer that all pipes of a thread are read into, one after the other: a waiting run needs none of its own."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_LARGE_PIPE_BYTES))


_buffer = _Buffer()


class PipeCopy:
    """Copies one pipe. Everything that was printed by the time the command ended is copied, however long that takes."""

    def __init__(self, pipe: FileIO, stream: StreamName, output: Output) -> None:
        os.set_blocking(pipe.fileno(), False)
        self._pipe = pipe
        self._stream: StreamName = stream
        self._output = output
        self._taken = 0
        self._copied = 0
        self._needed: int | None = None
        self._enlarged = False
        self._complete = anyio.Event()
        self._closed = anyio.Event()

    async def run(self) -> None:
        """Copy until all who may write to the pipe have closed it."""
        while data := await self._read():
            self._taken += len(data)
            await self._output.write(self._stream, data)
            self._copied = self._taken
            if self._needed is not None and self._copied >= self._needed:
                self._complete.set()
            await checkpoint()  # a process that prints all the time must not keep the loop for itself
        self._complete.set()
        self._closed.set()

    async def _read(self) -> bytes:
        while True:
            try:
                count = self._pipe.readinto(_buffer.view)
            except OSError as error:
                logger.warning("Reading the %s of a process failed: %s", self._stream, error)
                return b""
            if count is not None:
                if count == _USUAL_PIPE_BYTES and not self._enlarged:
                    self._enlarge()
                return bytes(_buffer.view[:count])
            await wait_readable(self._pipe.fileno())

    def _enlarge(self) -> None:
        """Give a process that fills its pipe a larger one, so that it waits for us less often."""
        self._enlarged = True
        with suppress(OSError):  # the user has no more to give
            fcntl.fcntl(self._pipe.fileno(), fcntl.F_SETPIPE_SZ, _LARGE_PIPE_BYTES)

    @property
    def closed(self) -> bool:
        """Whether nobody can print any more and everything is copied."""
        return self._closed.is_set()

    async def wait_for_rest(self) -> None:
        """Wait, after the command has ended, until all it printed is copied, however slow the reader is."""
        self._needed = self._taken + self._unread()
        if self._copied < self._needed:
            await self._complete.wait()

    async def wait_for_close(self) -> None:
        """Wait until nobody can print any more."""
        await self._closed.wait()

    def _unread(self) -> int:
        return int(struct.unpack("i", fcntl.ioctl(self._pipe.fileno(), termios.FIONREAD, b"\0\0\0\0"))[0])
