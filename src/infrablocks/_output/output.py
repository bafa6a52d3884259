"""The output of one run: what its back end hands its bytes to."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

from infrablocks._output.cursor import CountedSink
from infrablocks._output.lines import LineAssembler
from infrablocks._output.position import OutputPosition, Skipper, StreamPosition
from infrablocks._output.sinks import LineSink, check_output_sink, standard_sink
from infrablocks._output.writer import MAX_PENDING_BYTES, Channel
from infrablocks._threads import ThreadsafeEvent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from infrablocks._output.cursor import DeliveryCount, OutputCursor
    from infrablocks._output.sinks import OutputSink, Sink, StreamName

logger = logging.getLogger("infrablocks.output")

_BEGINNING = OutputPosition()

# One for all runs: since Python 3.14 the garbage collector goes over every empty dictionary, too.
_NO_STREAMS: Mapping[StreamName, _Stream] = {}

# One for all runs: it is held for a moment, and there may be thousands of them.
_opening = threading.Lock()


class Output:
    """Takes the bytes of a run's two streams and passes whole lines on to where they belong.

    A back end calls `write` (or, in a thread of its own, `write_from_thread`) with chunks as they come, one call per
    stream at a time, and `finish` at the end. All of them wait while the sink is behind, so that a workload never runs
    ahead of its reader by more than some 100 KiB; they return at once when the sink has failed. Nothing here raises for
    what a workload prints or what becomes of the sink.

    What an earlier run has delivered, as `after` says, is left out here: a back end hands the output over from its
    beginning. One that begins elsewhere says so with `begin_at`. One whose runs have several workloads in turn, such as
    the pods of a Job, says with `begin_source` whose output comes next.

    Args:
        sink: Where the lines go; None: `sys.stdout` and `sys.stderr`, as they are now.
        cursor: Counts what is delivered.
        after: How far the output was delivered before.
    """

    def __init__(
        self,
        sink: OutputSink | None = None,
        *,
        cursor: OutputCursor | None = None,
        after: OutputPosition | None = None,
    ) -> None:
        check_output_sink(sink)
        self._sink = sink
        self._stdout, self._stderr = sys.stdout, sys.stderr
        self._after = after or _BEGINNING
        self._count = None if cursor is None else cursor.count_from(self._after)
        # Made for the first bytes: thousands of runs may print nothing for hours, or nobody may want what they print.
        self._streams = _NO_STREAMS
        self._closed = False
        if after is not None and after.source is None:
            self._leave_out_delivered()

    async def write(self, stream: StreamName, data: bytes) -> None:
        """Pass a chunk of a stream on. Cancelled: what was not yet written may be dropped."""
        channel = self._made_streams()[stream].feed(data)
        if channel is not None:
            await _wait(channel)

    def write_from_thread(self, stream: StreamName, data: bytes) -> None:
        """Pass a chunk of a stream on, from a thread. `close` ends the waiting."""
        channel = self._made_streams()[stream].feed(data)
        if channel is not None:
            _wait_in_thread(channel)

    async def begin_source(self, source: str) -> None:
        """Say whose output comes next; waits until all that came before is written.

        The cursor then names this source. Where the run goes on after a cursor that names it, what that has counted is
        left out; sources before that one are for the back end to leave out, and it is safe to name one twice.
        """
        await self.finish()
        self._begin_source(source)

    def begin_source_from_thread(self, source: str) -> None:
        """Do as `begin_source`, from a thread. `close` ends the waiting."""
        for stream in self._streams.values():
            channel = stream.finish()
            if channel is not None:
                _wait_in_thread(channel, at_most=0)
        self._begin_source(source)

    async def begin_at(self, stream: StreamName, place: StreamPosition, notice: str) -> None:
        """Say that a stream goes on at a place which is not where it was: what lies between is not there any more.

        Args:
            stream: The stream.
            place: Where what comes next stands in the whole of it.
            notice: A line that says so; it is written where something is missing that was not delivered before.
        """
        await self._made_streams()[stream].begin_at(place, self._after.of(stream), notice)

    @property
    def after(self) -> OutputPosition:
        """How far the output was delivered by an earlier run."""
        return self._after

    def begin_later(self, stream: StreamName, lines: int) -> None:
        """Say, before all else, that so many of the lines that were delivered before are not there any more."""
        self._made_streams()[stream].leave_out(StreamPosition(lines), self._after.of(stream))

    async def finish(self) -> None:
        """Pass on what has no newline, and wait until everything is written.

        There is no time limit: how long it takes is up to whoever reads the output. Cancelling ends the wait.
        """
        for stream in self._streams.values():
            channel = stream.finish()
            if channel is not None:
                await _wait(channel, at_most=0)
                stream.report_failure(channel)

    def _begin_source(self, source: str) -> None:
        if self._count is not None:
            self._count.begin_source(source)
        if source == self._after.source:
            self._leave_out_delivered()
            self._after = _BEGINNING  # named once more, it goes on where it is

    def _leave_out_delivered(self) -> None:
        for name in ("stdout", "stderr"):
            if (delivered := self._after.of(name)) != StreamPosition():
                self._made_streams()[name].leave_out(StreamPosition(), delivered)

    def _made_streams(self) -> Mapping[StreamName, _Stream]:
        with _opening:  # `close` may come while threads write
            if not self._streams:
                self._streams = {
                    "stdout": _Stream("stdout", self._chosen_sink(self._stdout), self._count),
                    "stderr": _Stream("stderr", self._chosen_sink(self._stderr), self._count),
                }
            return self._streams

    def _chosen_sink(self, standard: TextIO | None) -> Sink | None:
        if self._closed:
            return None
        if self._sink is not None:
            return LineSink(self._sink, self._count)
        sink = standard_sink(standard)
        return sink if sink is None or self._count is None else CountedSink(sink, self._count)

    def drop(self) -> None:
        """Give up what is still to be written; all who wait go on."""
        for stream in self._streams.values():
            stream.drop()

    def close(self) -> None:
        """Let go of the sinks; what is not yet written is dropped. Safe to call twice."""
        with _opening:
            self._closed = True
            streams = list(self._streams.values())
        for stream in streams:
            stream.close()


async def _wait(channel: Channel, at_most: int = MAX_PENDING_BYTES) -> None:
    event = ThreadsafeEvent()
    if channel.await_room(event, at_most):
        await event.wait()


def _wait_in_thread(channel: Channel, at_most: int = MAX_PENDING_BYTES) -> None:
    event = threading.Event()
    if channel.await_room(event, at_most):
        event.wait()


class _Stream:
    """One of the two streams: its lines, and the channel to its sink from the first line on."""

    def __init__(self, name: StreamName, sink: Sink | None, count: DeliveryCount | None) -> None:
        self._name: StreamName = name
        self._sink = sink
        self._count = count
        self._assembler = LineAssembler()
        self._skipper: Skipper | None = None
        self._channel: Channel | None = None
        self._failure_reported = False
        self._lock = threading.Lock()  # `close` may come while a thread of the back end writes

    def feed(self, data: bytes) -> Channel | None:
        if self._skipper is not None:
            data = self._skipper.skip(data)
            if self._skipper.is_done:
                self._skipper = None
        return self._put(self._assembler.feed(data))

    def leave_out(self, begin: StreamPosition, end: StreamPosition) -> None:
        """Leave out what lies between two places, where the stream goes on with the first of them."""
        skipper = Skipper(begin, end)
        self._skipper = None if skipper.is_done else skipper

    async def begin_at(self, place: StreamPosition, delivered: StreamPosition, notice: str) -> None:
        """Go on at another place."""
        self._assembler.finish()  # a line whose end is gone would be taken for another one
        channel = self._put(b"")
        if channel is not None:
            await _wait(channel, at_most=0)
        self.leave_out(place, delivered)
        if place <= delivered:
            return
        channel = self._put(notice.encode())
        if channel is not None:
            await _wait(channel, at_most=0)
        if self._count is not None:
            self._count.move_to(self._name, place)

    def finish(self) -> Channel | None:
        return self._put(self._assembler.finish())

    def _put(self, lines: bytes) -> Channel | None:
        with self._lock:
            if lines and self._channel is None:
                self._channel = self._open()
            channel = self._channel
            if channel is not None:
                channel.put(lines)
        if channel is not None:
            self.report_failure(channel)
        return channel

    def _open(self) -> Channel | None:
        sink, self._sink = self._sink, None
        if sink is None:
            return None
        try:
            return Channel(self._name, sink)
        except OSError as error:  # its file was closed below it
            self._warn(error)
            return None

    def report_failure(self, channel: Channel) -> None:
        if channel.error is not None and not self._failure_reported:
            self._failure_reported = True
            self._warn(channel.error)

    def _warn(self, error: BaseException) -> None:
        problem = str(error) or repr(error)
        logger.warning("%s cannot be written to; what the workload prints there is dropped: %s", self._name, problem)

    def drop(self) -> None:
        with self._lock:
            if self._channel is not None:
                self._channel.drop()

    def close(self) -> None:
        with self._lock:
            channel, self._channel, self._sink = self._channel, None, None
        if channel is not None:
            channel.close()
