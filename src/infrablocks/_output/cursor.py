"""The cursor: how far a run's output was delivered, counted as its lines are."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infrablocks._output.position import OutputPosition, StreamPosition

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from infrablocks._output.sinks import Sink, StreamName


class OutputCursor:
    r"""Says how far the output of a run was delivered, so that `attach(identifier, after=str(cursor))` goes on there.

    Give one to `run` or `attach`, and ask it at any time, from any thread. Asked by the run's sink while that takes a
    line, it counts this line already: a program can store a line and the cursor in one write, and after a crash gets
    each line once.

    One cursor is for one run at a time. Given to another one it starts anew.

    Example:
        ```python
        from infrablocks import OutputCursor, Process

        cursor = OutputCursor()
        Process(command=["printf", "one\ntwo\n"]).run(cursor=cursor)
        #> one
        #> two
        print(cursor)
        #> {"version":1,"lines":{"stdout":2,"stderr":0}}
        ```
    """

    def __init__(self) -> None:
        self._count = DeliveryCount()

    def json(self) -> str:
        """Give the cursor of the last delivered line, as JSON."""
        return self._count.position().json()

    def __str__(self) -> str:
        return self.json()

    def __repr__(self) -> str:
        return f"<OutputCursor {self.json()}>"

    def count_from(self, position: OutputPosition) -> DeliveryCount:
        """Begin to count for another run; called by its output. What an earlier run still delivers counts no more."""
        self._count = DeliveryCount(position)
        return self._count


class DeliveryCount:
    """Counts what a run's sinks have got. Each stream is counted by one thread at a time, and read by any."""

    def __init__(self, start: OutputPosition | None = None) -> None:
        start = start or OutputPosition()
        self._lock = threading.Lock()
        self._source = start.source
        self._streams: dict[StreamName, StreamPosition] = {"stdout": start.stdout, "stderr": start.stderr}

    def position(self) -> OutputPosition:
        """Give the place that follows all that was delivered."""
        with self._lock:
            return OutputPosition(**self._streams, source=self._source)

    def add(self, stream: StreamName, data: bytes) -> None:
        """Count something that was delivered."""
        self.move_to(stream, self._streams[stream].after(data))

    @contextmanager
    def delivering(self, stream: StreamName, data: bytes) -> Iterator[None]:
        """Count something from now on, unless its delivery fails."""
        before = self._streams[stream]
        self.add(stream, data)
        try:
            yield
        except BaseException:
            self.move_to(stream, before)
            raise

    def move_to(self, stream: StreamName, position: StreamPosition) -> None:
        """Go on at another place of a stream."""
        with self._lock:
            self._streams[stream] = position

    def begin_source(self, source: str) -> None:
        """Begin with another source, unless it is the one that is counted already."""
        with self._lock:
            if source != self._source:
                self._source = source
                self._streams = {"stdout": StreamPosition(), "stderr": StreamPosition()}


class CountedSink:
    """A sink whose writes are counted when they are done."""

    def __init__(self, sink: Sink, count: DeliveryCount) -> None:
        self._sink = sink
        self._count = count

    @property
    def key(self) -> Hashable:
        return self._sink.key

    def write(self, stream: StreamName, data: bytes) -> None:
        self._sink.write(stream, data)
        self._count.add(stream, data)
