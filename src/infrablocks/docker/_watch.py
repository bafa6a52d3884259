"""A container that exists: its end, its result, and how it is killed."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING

import anyio
from anyio import move_on_after

from infrablocks._pauses import GIVE_UP_SECONDS, Pauses
from infrablocks._results import WorkloadStatus
from infrablocks._threads import ThreadLimit, run_in_worker_thread
from infrablocks._watch_records import WatchRecord
from infrablocks._workload import Workload
from infrablocks.docker._calls import inspect, inspect_container, remove_container, stop_container
from infrablocks.docker._client import acquire_engine, release_engine
from infrablocks.docker._events import RUN_LABEL
from infrablocks.docker._kept_log import copy_kept_log
from infrablocks.docker._logs import OutputReader
from infrablocks.docker._result import DockerContainerResult, container_state, ended_result, removed_result
from infrablocks.exceptions import (
    InfrastructureError,
    InfrastructureNotAvailable,
    InfrastructureNotFound,
)

if TYPE_CHECKING:
    from typing import Any

    from infrablocks._output import Output
    from infrablocks.docker._client import Engine
    from infrablocks.docker._events import Subscription
    from infrablocks.docker._result import ContainerState

logger = logging.getLogger("infrablocks.docker-container")

# Many containers may end at once; their engine answers no sooner when all are asked about at the same time.
_LOOK_THREADS = ThreadLimit(16)
# The event that tells the exit code of a container which was removed comes at the same time as the news of that.
_EXIT_CODE_FOLLOWS_SECONDS = 1.0
_IDENTIFIER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


class Container(Workload):
    """A container that was made here or found by its identifier.

    Args:
        engine: Where it is; given back by `close`.
        container_id: Its full id.
        name: Its name, as far as it is known.
        subscription: Tells of its end; None where it is not watched.
        reader: Copies its output; None where nobody wants it.
        auto_remove: Whether it is removed when its exit code is known.
        end: How it had ended when it was found; None: it had not.
    """

    def __init__(
        self,
        engine: Engine,
        container_id: str,
        name: str,
        subscription: Subscription | None,
        reader: OutputReader | None,
        *,
        auto_remove: bool,
        end: ContainerState | None = None,
    ) -> None:
        self.identifier = container_id
        self._engine = engine
        self._name = name
        self._subscription = subscription
        self._reader = reader
        self._auto_remove = auto_remove
        self._end = end
        self._watched = False

    async def watch(self, output: Output) -> DockerContainerResult:
        """Copy what the container prints, and wait for its end."""
        self._watched = True
        if self._reader is not None:
            self._reader.start(output)
        try:
            state = await self._wait_for_end()
            if self._reader is not None:
                await self._reader.finish(log_has_more=self._log_may_have_more(state))
            if self._auto_remove and state is not None:
                await self._remove()
            await output.finish()
        finally:
            self._watched = False
        if state is None:
            return removed_result(self.identifier, self._name, self._told_exit_code())
        return ended_result(self.identifier, state)

    async def kill(self, grace_seconds: float) -> None:
        """Have the engine stop it, as `docker stop` does."""
        await run_in_worker_thread(lambda: self._stop(grace_seconds))

    async def status(self) -> WorkloadStatus:
        """Ask the engine."""
        state = await self._look()
        if state is None:
            raise _not_found(self.identifier, self._engine)
        return state.workload_status

    async def copy_log(self, output: Output) -> None:
        """Copy what the engine has kept of its output."""
        await copy_kept_log(self._engine, self.identifier, output)

    def forget(self) -> None:
        """Remove it."""
        remove_container(self._engine, self.identifier, logger)

    def close(self) -> None:
        """End the reading of its output and give the engine back."""
        if self._reader is not None:
            self._reader.close()
        if self._subscription is not None:
            self._subscription.close()
        release_engine(self._engine)

    def _stop(self, grace_seconds: float) -> None:
        # In one call of a thread: whoever is cancelled in between does not come to the second.
        stop_container(self._engine, self.identifier, grace_seconds)
        if self._auto_remove and not self._watched:
            remove_container(self._engine, self.identifier, logger)

    async def _remove(self) -> None:
        await run_in_worker_thread(lambda: remove_container(self._engine, self.identifier, logger), _LOOK_THREADS)

    async def _look(self) -> ContainerState | None:
        return await run_in_worker_thread(lambda: inspect_container(self._engine, self.identifier), _LOOK_THREADS)

    def _told_exit_code(self) -> int | None:
        return None if self._subscription is None else self._subscription.exit_code

    def _log_may_have_more(self, state: ContainerState | None) -> bool:
        """Tell whether an attached stream may have ended before the container: at a restart, or as it was cut."""
        was_lost = self._subscription is not None and self._subscription.engine_was_lost
        return state is not None and (state.restarts > 0 or was_lost)

    async def _wait_for_end(self) -> ContainerState | None:
        """Wait for the end and give the state; None: somebody has removed the container."""
        if self._end is not None:
            return self._end
        subscription = self._subscription
        if subscription is None:
            raise RuntimeError("a container that is watched has a subscription")
        pauses = Pauses()
        while True:
            # It was told to have ended, and yet it runs: its restart policy, or an engine that is slow to note it.
            with move_on_after(None if subscription.exit_code is None else pauses.next()):
                await subscription.wait()
            if subscription.error is not None:
                raise self._lost(subscription.error)
            state = await self._look_until_answered()
            if state is None:
                with move_on_after(_EXIT_CODE_FOLLOWS_SECONDS):
                    while subscription.exit_code is None:
                        await subscription.wait()
                return None
            if state.has_ended:
                return state

    async def _look_until_answered(self) -> ContainerState | None:
        """Ask the engine, which may be restarting, until it answers. Only "not found" means that it is gone."""
        pauses, deadline = Pauses(), time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                return await self._look()
            except InfrastructureError as error:
                if time.monotonic() > deadline:
                    raise self._lost(error) from error
            await anyio.sleep(pauses.next())

    def _lost(self, error: InfrastructureError) -> InfrastructureNotAvailable:
        return InfrastructureNotAvailable(
            f"Docker container {self.identifier} cannot be watched any more; it may go on. Watch it again with "
            f"attach({self.identifier!r}) when the engine is back. {error}"
        )


class EndedContainer(Workload):
    """A container whose command could not be started, and that is gone already."""

    def __init__(self, engine: Engine, result: DockerContainerResult) -> None:
        self.identifier = result.identifier
        self._engine = engine
        self._result = result

    async def watch(self, output: Output) -> DockerContainerResult:
        """Give the result."""
        await output.finish()
        return self._result

    async def kill(self, grace_seconds: float) -> None:
        """Do nothing: it does not run."""

    async def status(self) -> WorkloadStatus:
        """Say that it failed."""
        return WorkloadStatus.FAILED

    def close(self) -> None:
        """Give the engine back."""
        release_engine(self._engine)


def find_container(identifier: str) -> Container:
    """Find a container by its id, the beginning of that, or its name. Blocks; for a worker thread.

    Raises:
        InfrastructureNotFound: The engine does not have it.
        InfrastructureNotAvailable: The engine is out of reach.
    """
    engine = acquire_engine()
    try:
        inspected = _inspect_known(engine, identifier)
    except BaseException:
        release_engine(engine)
        raise
    name = container_state(inspected).name
    return Container(engine, str(inspected["Id"]), name, None, None, auto_remove=False)


def reattach_container(identifier: str, *, stream_output: bool = True, auto_remove: bool = False) -> Container:
    """Find a container to watch it, with its output from the beginning. Blocks; for a worker thread.

    Args:
        identifier: Its id, the beginning of that, or its name.
        stream_output: Whether anybody reads its output.
        auto_remove: Whether it is removed when its exit code is known.

    Raises:
        InfrastructureNotFound: The engine does not have it.
        InfrastructureNotAvailable: The engine is out of reach.
    """
    engine = acquire_engine()
    subscription, record = None, None
    try:
        inspected = _inspect_known(engine, identifier)
        state, container_id = container_state(inspected), str(inspected["Id"])
        run_id = ((inspected.get("Config") or {}).get("Labels") or {}).get(RUN_LABEL)
        record = WatchRecord(run_id) if run_id else None
        reader = OutputReader(engine, container_id, tty=state.tty, attached=None) if stream_output else None
        if not state.has_ended:
            subscription = engine.events.subscribe()
            subscription.bind(container_id)
            engine.events.wait_until_connected()
            subscription.notify()  # it may have ended before
    except BaseException:
        if record is not None:
            record.remove()
        if subscription is not None:
            subscription.close()
        release_engine(engine)
        raise
    end = state if state.has_ended else None
    container = Container(engine, container_id, state.name, subscription, reader, auto_remove=auto_remove, end=end)
    container.watch_record = record
    return container


def _inspect_known(engine: Engine, identifier: str) -> dict[str, Any]:
    inspected = inspect(engine, identifier) if _IDENTIFIER.fullmatch(identifier) else None
    if inspected is None:
        raise _not_found(identifier, engine)
    return inspected


def _not_found(identifier: str, engine: Engine) -> InfrastructureNotFound:
    return InfrastructureNotFound(
        f"There is no container {identifier!r} on the Docker engine at {engine.address} (any more)."
    )
