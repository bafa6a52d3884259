"""The output of one container: attached to before it starts, and found again in its log where the stream was cut."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from anyio import move_on_after

from infrablocks._output.position import OutputPosition
from infrablocks._pauses import GIVE_UP_SECONDS, Pauses
from infrablocks._threads import ThreadsafeEvent
from infrablocks._worker_threads import workers
from infrablocks.docker._calls import inspect
from infrablocks.docker._errors import NOT_FOUND, EngineRefusal
from infrablocks.docker._log_place import LogPlace, leave_out_after, may_be_lost_after
from infrablocks.docker._log_search import LogLimits, LogMovedError
from infrablocks.docker._streams import Frames, close_stream, shut_down, stream_socket
from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from requests import Response

    from infrablocks._output import Output, StreamName
    from infrablocks.docker._client import Engine

logger = logging.getLogger("infrablocks.docker-container")

ROTATED = "The engine has rotated the log of container %s meanwhile: output may be lost."

_BUFFER_BYTES = 256 * 1024
_ANSWER_SECONDS = 60.0
# How long after the end of the stream the end of the container is seen, when the first is due to the second.
_END_FOLLOWS_SECONDS = 1.0
# After the end of the container its output is there at once. A stream that then keeps silent is cut, and the rest is
# looked for in the log.
_SILENCE_SECONDS = 2.0
_ATTEMPTS_AFTER_END = 4
# A log may be rotated between the two times that it is read to go on.
_ATTEMPTS_TO_GO_ON = 5


def attach(engine: Engine, container_id: str) -> Response:
    """Open the stream of all that a container prints from now on; to be called before it starts.

    Raises:
        EngineRefusal: The engine does not allow it.
        InfrastructureNotAvailable: The engine is out of reach.
    """
    response = engine.open_stream(
        "POST",
        f"/containers/{container_id}/attach",
        {"stream": 1, "stdout": 1, "stderr": 1},
        headers={"Connection": "Upgrade", "Upgrade": "tcp"},
        read_seconds=_ANSWER_SECONDS,
    )
    sock = stream_socket(response)
    if sock is None:
        response.close()
        raise InfrastructureError(f"The output of containers of the engine at {engine.address} cannot be read.")
    sock.settimeout(None)  # a container may be silent for days; its end is noticed otherwise
    return response


class OutputReader:
    """Copies the output of one container, in a worker thread.

    Args:
        engine: Where it is.
        container_id: Which it is.
        tty: Whether it has a terminal.
        attached: What `attach` gave; None: the output is read from the log, from its beginning.
    """

    def __init__(self, engine: Engine, container_id: str, *, tty: bool, attached: Response | None) -> None:
        self._engine = engine
        self._container_id = container_id
        self._tty = tty
        self._attached = attached
        self._place = LogPlace()
        self._goes_on = attached is not None
        self._moved = 0
        self._has_told_lost = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._closed = threading.Event()
        self._ended = threading.Event()
        self._started = False
        self._delivering = False
        self._stream_is_all = True
        self._last_news = time.monotonic()

    def start(self, output: Output) -> None:
        """Begin to copy; called in the event loop."""
        self._output = output
        self._started = True
        self._done = ThreadsafeEvent()
        workers.submit(self._run)

    async def finish(self, *, log_has_more: bool = False) -> None:
        """Wait, after the container's end, until all its output is handed over, however slow the reader is.

        Args:
            log_has_more: Whether its log may hold what an attached stream has not told.
        """
        self._stream_is_all = not log_has_more
        self._ended.set()
        while True:
            with move_on_after(_SILENCE_SECONDS):
                return await self._done.wait()
            if not self._delivering and time.monotonic() - self._last_news >= _SILENCE_SECONDS:
                self._stream_is_all = False
                self._cut()

    def close(self) -> None:
        """Have the thread end. Does not wait for it: it may wait for whoever reads the output."""
        self._closed.set()
        self._ended.set()
        self._cut()
        if self._attached is not None and not self._started:
            close_stream(self._attached)

    def _cut(self) -> None:
        with self._lock:
            shut_down(self._socket)

    def _run(self) -> None:
        try:
            attached = self._attached
            if attached is None or not self._copy_attached(attached):
                self._copy_log()
        except Exception:
            logger.exception("Reading the output of container %s failed", self._container_id)
        finally:
            self._done.set()

    def _copy_attached(self, response: Response) -> bool:
        """Copy an attached stream to its end. False: it may have been cut before the container ended."""
        frames, whole = Frames(tty=self._tty), True
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        sock = stream_socket(response)
        try:
            self._use(sock)
            while sock is not None and (count := sock.recv_into(buffer)):
                self._deliver(frames.feed(buffer[:count]))
        except OSError:
            whole = False
        finally:
            self._use(None)
            close_stream(response)
        whole = whole and not frames.is_broken_off
        return whole and self._ended.wait(_END_FOLLOWS_SECONDS) and self._stream_is_all

    def _copy_log(self) -> None:
        """Copy what of the log was not yet delivered, and what still comes; the engine may restart meanwhile."""
        pauses, attempts, lost_since = Pauses(), 0, time.monotonic()
        while not self._closed.is_set() and attempts < _ATTEMPTS_AFTER_END:
            ended = self._ended.is_set()
            attempts += ended
            try:
                complete = self._copy_log_once()
                lost_since = time.monotonic()
                # The log that is followed ends at each restart.
                if complete and (ended or (self._ended.wait(_END_FOLLOWS_SECONDS) and self._stream_is_all)):
                    return
            except EngineRefusal as error:
                if error.status != NOT_FOUND:
                    self._go_on_without_log(error)
                return
            except InfrastructureNotAvailable:
                attempts -= ended
                if time.monotonic() - lost_since > GIVE_UP_SECONDS:
                    break
            self._closed.wait(pauses.next())
        if not self._closed.is_set():
            logger.warning("The output of container %s could not be read to its end.", self._container_id)

    def _copy_log_once(self) -> bool:
        rotates = self._rotates()
        if rotates and not self._find_place():
            return False
        resumptions = self._place.resumptions(checked=rotates and self._moved < _ATTEMPTS_TO_GO_ON)
        self._goes_on = True
        try:
            whole = self._read_log(
                lambda pieces: self._deliver([(stream, resumptions[stream].skip(data)) for stream, data in pieces])
            )
            moved = whole and rotates and not all(resumption.is_done for resumption in resumptions.values())
        except LogMovedError:
            whole, moved = False, True
        self._moved += moved
        if self._moved >= _ATTEMPTS_TO_GO_ON:
            self._tell_lost()
        return whole and not moved

    def _read_log(self, take: Callable[[list[tuple[StreamName, bytes]]], None], *, follow: bool = True) -> bool:
        """Read the log from its beginning. False: it was cut."""
        parameters = {"follow": int(follow), "stdout": 1, "stderr": 1}
        path = f"/containers/{self._container_id}/logs"
        response = self._engine.open_stream("GET", path, parameters, read_seconds=_ANSWER_SECONDS)
        sock = stream_socket(response)
        frames = Frames(tty=self._tty)
        try:
            if sock is not None:
                sock.settimeout(None)
            self._use(sock)
            for chunk in response.iter_content(chunk_size=None):
                take(frames.feed(memoryview(chunk)))
        except OSError:  # of requests too
            return False
        finally:
            self._use(None)
            close_stream(response)
        return not frames.is_broken_off

    def _rotates(self) -> bool:
        """Say whether the log may have lost its beginning since something was delivered; asks the engine once."""
        if not self._goes_on and self._output.after == OutputPosition():
            return False
        if self._place.limits is None:
            self._place.limits = LogLimits(inspect(self._engine, self._container_id) or {})
        return self._place.limits.rotates

    def _find_place(self) -> bool:
        """Look through the log for where it goes on behind what was delivered. False: it was cut."""
        scans, limits = self._place.scans(), self._place.limits

        def take(pieces: list[tuple[StreamName, bytes]]) -> None:
            for stream, data in pieces:
                scans[stream].feed(data)
            self._last_news = time.monotonic()

        if limits is None or not self._read_log(take, follow=False):
            return False
        if self._goes_on:
            may_be_lost = self._place.move(scans, self._output)
        elif may_be_lost := may_be_lost_after(self._output.after, scans, limits):
            leave_out_after(self._output, scans)
        if may_be_lost:
            self._tell_lost()
        return True

    def _tell_lost(self) -> None:
        if not self._has_told_lost:
            self._has_told_lost = True
            logger.warning(ROTATED, self._container_id)

    def _go_on_without_log(self, error: EngineRefusal) -> None:
        """Copy what still comes; what was printed since the stream was cut is lost, as this log cannot be read."""
        if self._ended.is_set() and self._attached is not None:
            return  # nothing says that anything was lost
        logger.warning(
            "The output of container %s was cut, and its log cannot be read (%s): some of it is lost.",
            *(self._container_id, error.answer),
        )
        pauses = Pauses()
        while not self._ended.is_set():
            try:
                self._copy_attached(attach(self._engine, self._container_id))
            except InfrastructureError as problem:
                logger.debug("Container %s cannot be attached to: %s", self._container_id, problem)
            self._closed.wait(pauses.next())

    def _use(self, sock: socket.socket | None) -> None:
        with self._lock:
            self._socket = sock
            if self._closed.is_set():
                shut_down(sock)

    def _deliver(self, pieces: list[tuple[StreamName, bytes]]) -> None:
        self._delivering = True
        for stream, data in pieces:
            if data:
                self._place.note(stream, data)
                self._output.write_from_thread(stream, data)
        self._last_news = time.monotonic()
        self._delivering = False
