"""Back ends whose life cycle or errors are wrong in one point each."""

# mypy: disable-error-code="override"
# They have whatever arguments the base has, and pass them on.

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from examples.sandbox.infrablocks_sandbox import Sandbox, Sandboxed
from infrablocks import (
    InfrastructureError,
    InfrastructureNotAvailable,
    InfrastructureNotFound,
    Process,
    Reason,
    WorkloadCreationError,
    WorkloadStatus,
)
from infrablocks.process._watch import FoundProcess, StartedProcess
from tests.conformance.broken_workloads import WithWorkload, breaks

if TYPE_CHECKING:
    from infrablocks import Workload

# Kill and status


@breaks("test_kill_is_gentle_first", "-9")
class KillsAtOnce(WithWorkload):
    class _found(FoundProcess):  # noqa: N801
        async def kill(self, grace_seconds: float) -> None:
            os.killpg(int(self.identifier), signal.SIGKILL)
            await super().kill(grace_seconds)


@breaks("test_kill_is_firm_in_the_end", "has not ended, by its `status`")
class OnlyAsks(WithWorkload):
    class _found(FoundProcess):  # noqa: N801
        async def kill(self, grace_seconds: float) -> None:  # noqa: ARG002
            os.killpg(int(self.identifier), signal.SIGTERM)


@breaks("test_kill_twice", "is killed already")
class KillsOnce(Process):
    _killed: ClassVar[set[str]] = set()

    async def kill(self, identifier: str | int, grace_seconds: float = 30.0) -> None:
        if str(identifier) in self._killed:
            raise InfrastructureError(f"{identifier} is killed already")
        self._killed.add(str(identifier))
        await super().kill(identifier, grace_seconds)


@breaks("test_kill_of_what_has_ended", "InfrastructureNotAvailable was raised: Who knows?")
class MissesWhatHasEnded(Process):
    def _find(self, identifier: str) -> Workload:
        try:
            return super()._find(identifier)
        except InfrastructureNotFound as error:
            raise InfrastructureNotAvailable("Who knows?") from error


@breaks("test_kill_lets_the_event_loop_go_on", "longer than a bare ticker")
class BlocksTheLoop(WithWorkload):
    class _found(FoundProcess):  # noqa: N801
        async def kill(self, grace_seconds: float) -> None:
            time.sleep(3)  # also a bare ticker may stall for a second
            await super().kill(grace_seconds)


@breaks("test_kill_from_another_process", "The other process has failed")
class RemembersItsRuns(Process):
    _known: ClassVar[set[str]] = set()

    def _create(self, settings: Any) -> Workload:
        workload = super()._create(settings)
        self._known.add(workload.identifier)
        return workload

    def _find(self, identifier: str) -> Workload:
        if identifier not in self._known:
            raise InfrastructureNotFound(f"There is no {identifier}.")
        return super()._find(identifier)


@breaks("test_status_of_what_runs", "[<WorkloadStatus.UNKNOWN: 'Unknown'>")
class KnowsNoStatus(WithWorkload):
    class _found(FoundProcess):  # noqa: N801
        async def status(self) -> WorkloadStatus:
            return WorkloadStatus.UNKNOWN


@breaks("test_status_of_what_has_ended", "<WorkloadStatus.RUNNING: 'Running'>")
class RunsForEver(Process):
    async def status(self, identifier: Any) -> WorkloadStatus:  # noqa: ARG002
        return WorkloadStatus.RUNNING


@breaks("test_time_limit", "<Reason.KILLED: 'Killed'>")
class HidesTheTimeLimit(Process):
    async def run(self, *arguments: Any, **named: Any) -> Any:
        result = await super().run(*arguments, **named)
        return result.model_copy(update={"reason": Reason.KILLED})


@breaks("test_time_limit_that_is_kept", "(3, <Reason.DEADLINE_EXCEEDED: 'DeadlineExceeded'>)")
class ExceedsEveryTimeLimit(Process):
    async def run(self, *arguments: Any, **named: Any) -> Any:
        result = await super().run(*arguments, **named)
        return result.model_copy(update={"reason": Reason.DEADLINE_EXCEEDED})


# Cancelling


class OtherWhenCancelled(Process):
    async def run(self, *arguments: Any, **named: Any) -> Any:
        other = {"kill": "leave", "leave": "kill"}
        block = self.model_copy(update={"on_cancel": other[self.on_cancel or "kill"]})
        return await Process.run(block, *arguments, **named)


@breaks("test_cancelled_run_kills", "has not ended, by its `status`")
class LeavesWhatItShouldKill(OtherWhenCancelled):
    pass


@breaks("test_cancelled_run_leaves", "The workload has not gone on")
class KillsWhatItShouldLeave(OtherWhenCancelled):
    pass


@breaks("test_cancelled_run_kills_in_time", "with a grace period of 0.2 s")
class WaitsTooLong(WithWorkload):
    class _started(StartedProcess):  # noqa: N801
        async def kill(self, grace_seconds: float) -> None:
            await super().kill(grace_seconds + 1)


@breaks("test_cancelled_at_any_moment", "What runs after a run that was cancelled")
class StartsMoreThanItReports(Process):
    _lost: ClassVar[list[Workload]] = []

    def _create(self, settings: Any) -> Workload:
        self._lost.append(super()._create(settings))
        return super()._create(settings)


# Attaching


@breaks("test_attach_beside_the_run", "The result of `attach`")
class AttachesWithoutReason(Sandbox):
    async def attach(self, *arguments: Any, **named: Any) -> Any:
        result = await super().attach(*arguments, **named)
        return result.model_copy(update={"reason": Reason.UNKNOWN})


@breaks("test_attach_after_the_watcher_is_gone", "', 0)")
class AttachesWithoutCode(Sandbox):
    async def attach(self, *arguments: Any, **named: Any) -> Any:
        result = await super().attach(*arguments, **named)
        return result.model_copy(update={"status_code": 0})


@breaks("test_attach_after_the_end", "does not run any more")
class AttachesToWhatRunsOnly(Sandbox):
    def _reattach(self, identifier: str, after: object) -> Sandboxed:
        sandboxed = super()._reattach(identifier, after)
        if not sandboxed.is_running():
            raise InfrastructureNotFound(f"{identifier} does not run any more.")
        return sandboxed


@breaks("test_attach_after_a_cursor", "'one")
class AttachesFromTheBeginning(Sandbox):
    async def attach(self, identifier: Any, *, after: Any = None, **named: Any) -> Any:  # noqa: ARG002
        return await super().attach(identifier, **named)


@breaks("test_logs", "TimeoutError was raised")
class WaitsForTheLog(Sandbox):
    async def logs(self, identifier: Any, **named: Any) -> None:
        await self.attach(identifier, **named)


@breaks("test_attach_that_is_missing", "`attach` has returned")
class AttachesToNothing(Process):
    async def attach(self, *_arguments: Any, **_named: Any) -> Any:
        return await Process(command=["true"]).run()


# Errors


@breaks("test_variables_that_cannot_be_set", "The variable '' was accepted")
class TakesAnyVariable(Process):
    env: dict[str, Any] = Field(default_factory=dict)


@breaks("test_program_that_does_not_exist", "The result is a success")
class RunsSomethingElse(Process):
    def _create(self, settings: Any) -> Workload:
        try:
            return super()._create(settings)
        except WorkloadCreationError:
            return Process(command=["true"])._create(Process(command=["true"])._build())


@breaks("test_unknown_identifiers", "KeyError was raised")
class LetsErrorsOfOthersOut(Sandbox):
    def _find(self, identifier: str) -> Sandboxed:
        raise KeyError(identifier)
