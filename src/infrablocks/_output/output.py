"""The output of one run: what its back end hands its bytes to."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from infrablocks._output.lines import LineAssembler
from infrablocks._output.sinks import check_output_sink, sink_for
from infrablocks._output.writer import Channel
from infrablocks._threads import ThreadsafeEvent

if TYPE_CHECKING:
    from infrablocks._output.sinks import OutputSink, StreamName

logger = logging.getLogger("infrablocks.output")


class Output:
    """Takes the bytes of a run's two streams and passes whole lines on to where they belong.

    A back end calls `write` (or, in a thread of its own, `write_from_thread`) with chunks as they come, one call per
    stream at a time, and `finish` at the end. All of them wait while the sink is behind, so that a workload never runs
    ahead of its reader by more than some 100 KiB; they return at once when the sink has failed. Nothing here raises for
    what a workload prints or what becomes of the sink.
    """

    def __init__(self, sink: OutputSink | None = None) -> None:
        check_output_sink(sink)
        names: tuple[StreamName, ...] = ("stdout", "stderr")
        self._streams = {name: _Stream(name, sink) for name in names}

    async def write(self, stream: StreamName, data: bytes) -> None:
        """Pass a chunk of a stream on. Cancelled: what was not yet written may be dropped."""
        channel = self._streams[stream].feed(data)
        if channel is not None:
            await _wait(channel)

    def write_from_thread(self, stream: StreamName, data: bytes) -> None:
        """Pass a chunk of a stream on, from a thread. `close` ends the waiting."""
        channel = self._streams[stream].feed(data)
        if channel is not None:
            event = threading.Event()
            if channel.await_room(event):
                event.wait()

    async def finish(self) -> None:
        """Pass on what has no newline, and wait until everything is written.

        There is no time limit: how long it takes is up to whoever reads the output. Cancelling ends the wait.
        """
        for stream in self._streams.values():
            channel = stream.finish()
            if channel is not None:
                await _wait(channel, at_most=0)
                stream.report_failure(channel)

    def drop(self) -> None:
        """Give up what is still to be written; all who wait go on."""
        for stream in self._streams.values():
            stream.drop()

    def close(self) -> None:
        """Let go of the sinks; what is not yet written is dropped. Safe to call twice."""
        for stream in self._streams.values():
            stream.close()


async def _wait(channel: Channel, at_most: int | None = None) -> None:
    event = ThreadsafeEvent()
    waits = channel.await_room(event) if at_most is None else channel.await_room(event, at_most)
    if waits:
        await event.wait()


class _Stream:
    """One of the two streams: its lines, and the channel to its sink from the first line on."""

    def __init__(self, name: StreamName, output: OutputSink | None) -> None:
        self._name: StreamName = name
        self._sink = sink_for(name, output)
        self._assembler = LineAssembler()
        self._channel: Channel | None = None
        self._failure_reported = False
        self._lock = threading.Lock()  # `close` may come while a thread of the back end writes

    def feed(self, data: bytes) -> Channel | None:
        return self._put(self._assembler.feed(data))

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
