"""One run of a block: create the workload, report it, watch it to its result, and what stands around that.

This is the only place that knows about time limits and cancellation; the back ends do not.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import anyio
from anyio import CancelScope, create_task_group

from infrablocks._results import Reason
from infrablocks._threads import ThreadLimit, interrupted_at_awaits_only, run_in_worker_thread
from infrablocks.exceptions import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskStatus

    from infrablocks._output import Output
    from infrablocks._results import InfrastructureResult
    from infrablocks._workload import Workload

# After a kill the workload is gone. What it printed is then still on its way to whoever reads the output, who may be
# slow or have stopped reading; and its end is still to be seen.
_READ_AFTER_KILL_SECONDS = 2.0
_WATCH_AFTER_KILL_SECONDS = 30.0


class TimeLimit(NamedTuple):
    """How long a whole run may take, and the field of the block that says so."""

    seconds: float
    field: str = "timeout_seconds"


async def obtain_workload(
    make: Callable[[], Workload], place: ThreadLimit | None, or_else: Callable[[Workload], Awaitable[None]]
) -> Workload:
    """Make or find a workload in a worker thread.

    Args:
        make: Gives the workload, or raises and leaves nothing behind.
        place: Where the caller has acquired a place for the call, which is given back as soon as it has been made.
        or_else: Gets the workload when this is cancelled meanwhile: nobody else has heard of it.
    """
    made: list[Workload] = []
    try:
        try:
            await run_in_worker_thread(lambda: made.append(make()))
        finally:
            if place is not None:
                place.release()
    except BaseException:
        for workload in made:
            await or_else(workload)
        raise
    return made[0]


async def close_workload(workload: Workload) -> None:
    """Close a workload, undisturbed by cancellation, which is raised afterwards where it came from `Task.cancel`."""
    with CancelScope(shield=True):
        await run_in_worker_thread(lambda: _close(workload))


def _close(workload: Workload) -> None:
    try:
        workload.close()
    finally:
        if workload.watch_record is not None:
            workload.watch_record.remove()


class Run:
    """One run of a block, by `run` or `attach`.

    To be made inside the event loop: the time limit counts from then on.

    Args:
        output: Where the workload's output goes; it is closed at the end.
        logger: Gets what is told about the run.
        time_limit: How long the whole run may take; None: any time.
        grace_seconds: How long a workload may take to end by itself when it is killed.
        on_cancel: What becomes of the workload when the run is cancelled or fails.
    """

    def __init__(
        self,
        output: Output,
        logger: logging.Logger,
        *,
        time_limit: TimeLimit | None,
        grace_seconds: float,
        on_cancel: Literal["kill", "leave"],
    ) -> None:
        self._output = output
        self._logger = logger
        self._time_limit = time_limit
        self._started_at = 0.0 if time_limit is None else anyio.current_time()
        self._grace_seconds = grace_seconds
        self._on_cancel = on_cancel

    async def begin(
        self, make: Callable[[], Workload], place: ThreadLimit, task_status: TaskStatus[Any] | None
    ) -> Workload:
        """Make the workload and report it; `watch_to_the_end` comes next, with nothing in between.

        Args:
            make: Called in a worker thread; gives the workload, or raises and leaves nothing behind.
            place: As for `obtain_workload`.
            task_status: Gets the identifier as soon as the workload exists.
        """
        workload = await obtain_workload(make, place, or_else=self._end_unreported)
        try:
            if task_status is not None:
                task_status.started(workload.reported_identifier)
        except BaseException:
            await self._end_unreported(workload)
            raise
        return workload

    async def watch_to_the_end(self, workload: Workload) -> InfrastructureResult:
        """Watch a workload that exists to its result, within the time limit, and close it."""
        try:
            if self._time_limit is None:
                result = await workload.watch(self._output)
            else:
                result = await self._watch_within_time_limit(workload, self._time_limit)
        except Exception:
            await self._leave_or_kill(workload, "The run failed")
            raise
        except BaseException:  # cancelled, or the KeyboardInterrupt that trio raises in the task itself
            await self._leave_or_kill(workload, "The run was cancelled")
            raise
        finally:
            self._output.close()
            await close_workload(workload)
        self._logger.log(logging.INFO if result else logging.ERROR, "%s", result.message)
        return result

    async def _watch_within_time_limit(self, workload: Workload, time_limit: TimeLimit) -> InfrastructureResult:
        seconds, field = time_limit
        result: InfrastructureResult | None = None
        error: Exception | None = None
        limit = _Deadline(workload, self._output, self._started_at + seconds, self._grace_seconds)
        async with create_task_group() as tasks:
            tasks.start_soon(interrupted_at_awaits_only, limit.enforce)
            with limit.watching:
                try:
                    result = await workload.watch(self._output)
                except Exception as exception:  # noqa: BLE001 (raised again below; the group would wrap it)
                    error = exception
            limit.watched.set()
            if not limit.exceeded:
                tasks.cancel_scope.cancel()
        if error is not None:
            raise error
        if limit.error is not None:
            raise limit.error
        if result is None:
            raise InfrastructureError(
                f"Workload {workload.identifier} was killed after {seconds:g} seconds ({field}), but its end could not "
                "be seen: look after it yourself."
            )
        return _deadline_exceeded(result, time_limit) if limit.exceeded else result

    async def _leave_or_kill(self, workload: Workload, what: str) -> None:
        if self._on_cancel == "kill":
            await self._kill(workload)
            return
        self._logger.warning(
            "%s; workload %s goes on. Watch it with attach(%r), end it with kill(%r).",
            *(what, workload.identifier, workload.identifier, workload.identifier),
        )

    async def _kill(self, workload: Workload) -> None:
        with CancelScope(shield=True):
            try:
                await workload.kill(self._grace_seconds)
            except InfrastructureError as error:
                self._logger.error("Workload %s could not be ended: %s", workload.identifier, error)  # noqa: TRY400

    async def _forget(self, workload: Workload) -> None:
        with CancelScope(shield=True):
            try:
                await run_in_worker_thread(workload.forget)
            except InfrastructureError as error:
                self._logger.error("Workload %s could not be removed: %s", workload.identifier, error)  # noqa: TRY400

    async def _end_unreported(self, workload: Workload) -> None:
        try:
            try:
                await self._kill(workload)
            finally:
                await self._forget(workload)
        finally:
            self._output.close()
            await close_workload(workload)


def _deadline_exceeded(result: InfrastructureResult, limit: TimeLimit) -> InfrastructureResult:
    update = {
        "status_code": result.status_code or -1,  # to end well when told to end is no success
        "reason": Reason.DEADLINE_EXCEEDED,
        "message": f"The run took longer than {limit.seconds:g} seconds ({limit.field}) and was killed.",
    }
    return result.model_copy(update=update)


class _Deadline:
    """Kills a workload at its deadline, while it is watched."""

    def __init__(self, workload: Workload, output: Output, deadline: float, grace_seconds: float) -> None:
        self._workload = workload
        self._output = output
        self._deadline = deadline
        self._grace_seconds = grace_seconds
        self.watching = CancelScope()
        self.watched = anyio.Event()
        self.exceeded = False
        self.error: Exception | None = None

    async def enforce(self) -> None:
        """Wait for the deadline, kill, and see to it that the watching ends."""
        await anyio.sleep_until(self._deadline)
        self.exceeded = True
        try:
            await self._workload.kill(self._grace_seconds)
        except Exception as exception:  # noqa: BLE001 (raised by the run)
            self.error = exception
            self.watching.cancel()
            return
        with anyio.move_on_after(_READ_AFTER_KILL_SECONDS):
            await self.watched.wait()
        self._output.drop()
        self.watching.deadline = anyio.current_time() + _WATCH_AFTER_KILL_SECONDS
