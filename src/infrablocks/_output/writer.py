"""One thread per sink writes what all runs have for it: lines never mix, and no event loop waits for a reader."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable

    from infrablocks._output.sinks import Sink, StreamName

MAX_PENDING_BYTES = 256 * 1024
"""A stream that has more than this waiting to be written reads no further, so that its workload waits as for a pipe."""


class SettableEvent(Protocol):
    """An event of a thread or of an event loop."""

    def set(self) -> None:
        """Wake who waits."""


class Channel:
    """One stream of one run on its way to a sink. Only `put`, `await_room` and `close` are for the run."""

    def __init__(self, stream: StreamName, sink: Sink) -> None:
        self._stream: StreamName = stream
        self._sink = sink
        self._writer = acquire_writer(sink.key)
        self._lock = threading.Lock()
        self._pending = 0
        self._waiting: tuple[int, SettableEvent] | None = None
        self._dropping = False
        self.error: BaseException | None = None

    def put(self, data: bytes) -> None:
        """Hand whole lines over to the writer; never waits."""
        if not data:
            # Nobody waits for it: the writer could still be flushing the stream when the interpreter ends, which then
            # cannot have the stream's lock and aborts.
            return
        with self._lock:
            if self._dropping:
                return
            self._pending += len(data)
        try:
            self._writer.put(self, data)
        except RuntimeError as error:  # no thread can be started
            self._fail(error)

    def await_room(self, event: SettableEvent, at_most: int = MAX_PENDING_BYTES) -> bool:
        """Have an event set once at most so many bytes are pending. False: that is so already."""
        with self._lock:
            if self._pending <= at_most:
                return False
            self._waiting = (at_most, event)
            return True

    def drop(self) -> None:
        """Give up what is pending and what still comes."""
        with self._lock:
            self._dropping = True
            self._pending = 0
            self._wake()

    def close(self) -> None:
        """Leave the writer, dropping what is pending."""
        self.drop()
        release_writer(self._writer)

    def write(self, data: bytes) -> None:
        """Called by the writer's thread: write to the sink, whose failure ends the copying and not the run."""
        if self._dropping:
            return
        try:
            self._sink.write(self._stream, data)
        except BaseException as error:  # noqa: BLE001 (whatever a sink of the user's raises, also SystemExit)
            self._fail(error)
        else:
            with self._lock:
                self._pending = max(0, self._pending - len(data))
                self._wake()

    def _fail(self, error: BaseException) -> None:
        self.error = error
        self.drop()

    def _wake(self) -> None:
        if self._waiting is not None and self._pending <= self._waiting[0]:
            self._waiting[1].set()
            self._waiting = None


class Writer:
    """A daemon thread that writes to one sink, from its first line until the last run that uses the sink has ended.

    A thread that hangs then, in a sink that nobody reads, is not waited for. It stays the sink's only one: a later run
    whose lines another thread wrote would have them mixed with the rest of what this one has begun to write.
    """

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.users = 0
        self._queue: deque[tuple[Channel, bytes]] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None

    def put(self, channel: Channel, data: bytes) -> None:
        """Queue data; starts the thread where there is none yet."""
        with self._changed:
            if self._thread is None:
                # A daemon: a reader that has stalled must not keep the interpreter from ending.
                thread = threading.Thread(target=self._write_all, name="infrablocks-output", daemon=True)
                thread.start()
                self._thread = thread
            self._queue.append((channel, data))
            self._changed.notify()

    def end_if_unused(self) -> None:
        """Let the thread end when it has nothing left to write and nobody uses it."""
        with self._changed:
            if self._thread is None:
                _forget_if_unused(self)
            else:
                self._changed.notify()

    def _write_all(self) -> None:
        while (item := self._next()) is not None:
            channel, data = item
            channel.write(data)

    def _next(self) -> tuple[Channel, bytes] | None:
        with self._changed:
            while not self._queue:
                if _forget_if_unused(self):
                    return None
                self._changed.wait()
            return self._queue.popleft()


_writers: dict[Hashable, Writer] = {}
_writers_lock = threading.Lock()


def acquire_writer(key: Hashable) -> Writer:
    """Give the writer of a sink; every call is to be followed by `release_writer`."""
    with _writers_lock:
        writer = _writers.get(key)
        if writer is None:
            writer = _writers[key] = Writer(key)
        writer.users += 1
        return writer


def release_writer(writer: Writer) -> None:
    """Give a writer back; the last one to do so ends its thread."""
    with _writers_lock:
        writer.users -= 1
    writer.end_if_unused()


def _forget_if_unused(writer: Writer) -> bool:
    with _writers_lock:
        if writer.users:
            return False
        if _writers.get(writer.key) is writer:
            del _writers[writer.key]
        return True


def _forget_writers() -> None:
    global _writers_lock  # noqa: PLW0603 (its holder may be a thread that the child does not have)
    _writers_lock = threading.Lock()
    _writers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_writers)
