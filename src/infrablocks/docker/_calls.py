"""Calls about one container that several parts make."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from infrablocks._pauses import Pauses
from infrablocks._threads import cancellation_requested
from infrablocks.docker._errors import CONFLICT, INTERNAL_ERROR, NOT_FOUND, EngineRefusal
from infrablocks.docker._result import ContainerState, container_state
from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable

if TYPE_CHECKING:
    import logging

    from infrablocks.docker._client import Engine

_REMOVE_SECONDS = 15.0
_OUT_OF_REACH_SECONDS = 60.0
_LOOK_SECONDS = 0.1


def inspect(engine: Engine, container_id: str) -> dict[str, Any] | None:
    """Ask the engine about a container; None: it does not have it."""
    try:
        inspected: dict[str, Any] = engine.call(lambda session: session.inspect_container(container_id))
    except EngineRefusal as error:
        if error.status == NOT_FOUND:
            return None
        raise
    return inspected


def inspect_container(engine: Engine, container_id: str) -> ContainerState | None:
    """Ask the engine how a container stands; None: it does not have it."""
    inspected = inspect(engine, container_id)
    return None if inspected is None else container_state(inspected)


def remove_container(engine: Engine, container_id: str, logger: logging.Logger) -> None:
    """Remove a container, running or not, and its nameless volumes. What cannot be removed is told in the log."""
    pauses, deadline = Pauses(), time.monotonic() + _REMOVE_SECONDS
    while True:
        try:
            engine.call(lambda session: session.remove_container(container_id, v=True, force=True))
        except InfrastructureError as error:
            if isinstance(error, EngineRefusal) and error.status == NOT_FOUND:
                return
            # Conflict: somebody else removes it just now. Internal error: a file system that is busy, or a proxy that
            # did not wait. It is asked again until it is gone.
            final = isinstance(error, EngineRefusal) and error.status not in {CONFLICT, INTERNAL_ERROR}
            if final or time.monotonic() > deadline:
                logger.warning("Container %s could not be removed: %s", container_id, error)
                return
            time.sleep(pauses.next())
        else:
            return


def stop_container(engine: Engine, container_id: str, grace_seconds: float) -> None:
    """End a container, SIGTERM and then SIGKILL, and return when it runs no more.

    For a worker thread. When its task is cancelled meanwhile, the grace period is over.

    Raises:
        InfrastructureNotAvailable: The engine was out of reach for too long.
        InfrastructureError: The engine cannot end it.
    """
    outcome: Future[None] = Future()

    def stop() -> None:
        try:
            _stop_container(engine, container_id, math.ceil(grace_seconds))
        except BaseException as error:  # noqa: BLE001 (raised by the thread that waits)
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    # The engine itself counts the grace period, in an answer that lasts as long.
    threading.Thread(target=copy_context().run, args=(stop,), name="infrablocks-docker-stop", daemon=True).start()
    while not outcome.done() and not cancellation_requested():
        with suppress(TimeoutError):
            return outcome.result(_LOOK_SECONDS)
    if not outcome.done():
        with suppress(InfrastructureError):  # it has just ended, or `stop` tells what is wrong
            engine.call(lambda session: session.kill(container_id))
    return outcome.result()


def _stop_container(engine: Engine, container_id: str, seconds: int) -> None:
    pauses = Pauses()
    deadline = time.monotonic() + seconds + _OUT_OF_REACH_SECONDS
    while True:
        try:
            engine.call(lambda session: session.stop(container_id, timeout=seconds))
        except EngineRefusal as error:
            if error.status == NOT_FOUND:
                return
            raise InfrastructureError(f"Docker container {container_id} could not be ended: {error.answer}") from error
        except InfrastructureNotAvailable:  # it may be starting again
            if time.monotonic() > deadline or cancellation_requested():
                raise
            time.sleep(pauses.next())
        else:
            return
