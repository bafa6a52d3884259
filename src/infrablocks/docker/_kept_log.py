"""What a container has printed so far, as its engine has kept it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from anyio import CancelScope

from infrablocks._output.batches import in_batches
from infrablocks._output.position import OutputPosition
from infrablocks._threads import run_in_worker_thread
from infrablocks.docker._calls import inspect
from infrablocks.docker._errors import translated
from infrablocks.docker._log_place import LogPlace, may_be_lost_after
from infrablocks.docker._log_search import LogLimits
from infrablocks.docker._logs import ROTATED
from infrablocks.docker._result import container_state
from infrablocks.docker._streams import Frames, close_stream
from infrablocks.exceptions import InfrastructureError

if TYPE_CHECKING:
    from infrablocks._output import Output, StreamName
    from infrablocks.docker._client import Engine

logger = logging.getLogger("infrablocks.docker-container")

_SILENCE_SECONDS = 60.0


async def copy_kept_log(engine: Engine, container_id: str, output: Output) -> None:
    """Copy the log of a container as far as it goes now.

    Raises:
        InfrastructureNotAvailable: The engine is out of reach.
        InfrastructureError: The engine does not keep its log, or broke off.
    """
    log = await run_in_worker_thread(lambda: _KeptLog(engine, container_id))
    scans, goes_on = LogPlace().scans(), output.after != OutputPosition()
    try:
        while pieces := await run_in_worker_thread(log.read):
            for stream, data in pieces:
                if goes_on:
                    scans[stream].feed(data)
                await output.write(stream, data)
        if goes_on and may_be_lost_after(output.after, scans, log.limits):
            logger.warning(ROTATED, container_id)
    finally:
        with CancelScope(shield=True):
            await run_in_worker_thread(log.close)


class _KeptLog:
    """An answer of the engine that is read piece by piece. Every method blocks; for a worker thread."""

    def __init__(self, engine: Engine, container_id: str) -> None:
        inspected = inspect(engine, container_id)
        self.limits = LogLimits(inspected or {})
        self._engine = engine
        self._container_id = container_id
        self._frames = Frames(tty=inspected is not None and container_state(inspected).tty)
        path, parameters = f"/containers/{container_id}/logs", {"stdout": 1, "stderr": 1}
        self._response = engine.open_stream("GET", path, parameters, read_seconds=_SILENCE_SECONDS)
        self._chunks = in_batches(self._response.iter_content(chunk_size=None))

    def read(self) -> list[tuple[StreamName, bytes]]:
        """Give what comes next; nothing at the end."""
        pieces: list[tuple[StreamName, bytes]] = []
        while not pieces:
            try:
                chunk = next(self._chunks, None)
            except Exception as error:
                raise translated(error, self._engine.address) from error
            if chunk is None:
                break
            pieces = self._frames.feed(memoryview(chunk))
        if not pieces and self._frames.is_broken_off:
            raise InfrastructureError(
                f"The log of container {self._container_id} ends in the middle: the engine broke it off."
            )
        return pieces

    def close(self) -> None:
        """Close the answer."""
        close_stream(self._response)
