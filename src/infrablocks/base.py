"""The base of all blocks that run a command: their fields, and the story of a run, told once."""

from __future__ import annotations

import inspect
import logging
import math
from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, SecretStr

from infrablocks import _environment
from infrablocks._life_cycle import Run, TimeLimit, close_workload, obtain_workload
from infrablocks._output import Output, OutputPosition
from infrablocks._reaping import LeftWorkload, ReapedWorkload, ReapedWorkloads, reap_workloads
from infrablocks._results import InfrastructureResult, Reason, WorkloadStatus
from infrablocks._sync_compatible import sync_compatible
from infrablocks._threads import ThreadLimit
from infrablocks._workload import Workload
from infrablocks.blocks import Block
from infrablocks.exceptions import UnsupportedOperation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyio.abc import TaskStatus

    from infrablocks._output import OutputCursor, OutputSink

__all__ = [
    "Infrastructure",
    "InfrastructureResult",
    "LeftWorkload",
    "ReapedWorkload",
    "ReapedWorkloads",
    "Reason",
    "Workload",
    "WorkloadStatus",
]

Environment = Annotated[
    dict[str, str | SecretStr | None],
    BeforeValidator(_environment.validated_environment),
]


# One turn of a loop may begin thousands of runs, and logging's own look is a sixth of a run's first step.
@cache
def _logger(block_type: str) -> logging.Logger:
    return logging.getLogger(f"infrablocks.{block_type}")


class Infrastructure(Block, ABC):
    """Runs a command somewhere and tells how it ended.

    A back end supplies four parts: `preview`, `_build`, `_create` and `_find`; the last two give a `Workload`, which
    can be watched, killed and asked for its status. This class makes `run`, `attach`, `logs`, `kill` and `status` of
    them. A class that only has an `async def run` and a `preview` of its own works too; the other calls then raise
    `UnsupportedOperation`.

    Every call that is a coroutine can also be made from a plain script, where it runs to its end and returns the
    result; inside an event loop (asyncio or trio) it returns an awaitable; inside an anyio worker thread it runs on
    that thread's loop.

    Attributes:
        type: Which kind of block this is; a Literal in each subclass.
        env: Variables to set; None removes one that would be inherited. A `SecretStr` is masked wherever it is printed.
        labels: Metadata.
        name: A name for people.
        command: What to run, a program and its arguments.
        timeout_seconds: Limit for the whole run in seconds; at its end the workload is killed, with the reason
            `DeadlineExceeded`. None: no limit.
        on_cancel: What a cancelled `run` does with its workload: "kill" or "leave". None: the back end's default.
        grace_seconds: How long a workload that is killed by a time limit or by cancellation may take to end by itself
            after SIGTERM, in seconds, before it gets SIGKILL.
    """

    _block_schema_capabilities: ClassVar[list[str] | None] = ["run-infrastructure"]
    _default_on_cancel: ClassVar[Literal["kill", "leave"]] = "leave"
    _creation_threads: ClassVar[ThreadLimit] = ThreadLimit(100)

    type: str
    env: Environment = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    name: str | None = None
    command: list[str] = Field(default_factory=lambda: ["python", "-m", "prefect.engine"])
    timeout_seconds: float | None = Field(default=None, gt=0, lt=math.inf)
    on_cancel: Literal["kill", "leave"] | None = None
    grace_seconds: float = Field(default=30.0, ge=0, lt=math.inf)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Let a plain `async def run` (or attach, logs, kill …) of a subclass be called from a script as well."""
        super().__pydantic_init_subclass__(**kwargs)
        for name in ("run", "attach", "logs", "kill", "status", "reap"):
            function = getattr(cls, name)
            if inspect.iscoroutinefunction(function):
                setattr(cls, name, sync_compatible(function))

    @classmethod
    def _holds_secret(cls, path: tuple[str | int, ...]) -> bool:
        """Say that Prefect settings with credentials, and the key to saved blocks, are secret in `env`, as text too."""
        match path:
            case ("env", str(name), *_):
                return _environment.is_secret_name(name)
            case _:
                return super()._holds_secret(path)

    @property
    def logger(self) -> logging.Logger:
        """The logger of this kind of block, `infrablocks.<type>`."""
        return _logger(self.type)

    @classmethod
    def _base_environment(cls) -> dict[str, str]:
        """Variables that every workload gets, and `env` overrides: the Prefect settings in force."""
        return _environment.prefect_settings()

    @classmethod
    def _inherited_environment(cls) -> dict[str, str]:
        """Variables that a workload on this machine inherits: those of this process, but the key to saved blocks."""
        return dict(_environment.inherited_environment())

    @abstractmethod
    def preview(self) -> str:
        """Show what `run` would send, without sending it; secrets are masked."""

    @sync_compatible
    async def run(
        self,
        task_status: TaskStatus[Any] | None = None,
        *,
        output: OutputSink | None = None,
        cursor: OutputCursor | None = None,
    ) -> InfrastructureResult:
        """Run the command and watch it to its end.

        Args:
            task_status: anyio's, from `TaskGroup.start`; `started` is called with the identifier of the workload once
                it exists (the same value as the result's; for a Process the pid as an int).
            output: Where the lines go that the workload prints, in place of `sys.stdout` and `sys.stderr`: a callable
                or an object with a method `write`, called with the stream ("stdout" or "stderr") and one line, its end
                included, from a thread of the output's own, one call at a time.
            cursor: Says how far the output was delivered, for `attach` to go on there.

        Returns:
            How it ended, whatever the exit code.

        Raises:
            ValueError: The command is empty.
            InfrastructureError: The workload could not be made, or its end could not be found out.
        """
        run = self._run(Output(output, cursor=cursor), self._on_cancel())
        # First of all: where thousands begin at once, most wait here, and are to hold little.
        await self._creation_threads.acquire()
        workload = await run.begin(self._build_and_create, self._creation_threads, task_status)
        return await run.watch_to_the_end(workload)

    @sync_compatible
    async def attach(
        self,
        identifier: str | int,
        *,
        after: str | OutputCursor | None = None,
        output: OutputSink | None = None,
        cursor: OutputCursor | None = None,
    ) -> InfrastructureResult:
        """Watch a workload that an earlier `run` made, to the same result as that run would have given.

        When it is cancelled, the workload goes on unless `on_cancel` is "kill": it was there before. A time limit
        counts from this call on.

        Args:
            identifier: The workload's identifier.
            after: The cursor of the last line that was delivered; None: the output from the beginning.
            output: As for `run`.
            cursor: As for `run`; it counts on from `after`.

        Raises:
            InvalidSettings: `after` is not a cursor.
            InfrastructureNotFound: There is no such workload.
            UnsupportedOperation: Workloads of this block cannot be attached to.
        """
        position = None if after is None else OutputPosition.parse(str(after))
        run = self._run(Output(output, cursor=cursor, after=position), self.on_cancel or "leave")
        workload = await obtain_workload(
            lambda: self._reattach(str(identifier), position), None, or_else=close_workload
        )
        return await run.watch_to_the_end(workload)

    @sync_compatible
    async def logs(
        self, identifier: str | int, *, after: str | OutputCursor | None = None, output: OutputSink | None = None
    ) -> None:
        """Pass on what a workload has printed so far, without waiting for its end.

        Args:
            identifier: The workload's identifier.
            after: As for `attach`.
            output: As for `run`.

        Raises:
            InvalidSettings: `after` is not a cursor.
            InfrastructureNotFound: There is no such workload (any more).
            UnsupportedOperation: What this workload prints is not kept.
        """
        sink = Output(output, after=None if after is None else OutputPosition.parse(str(after)))
        try:
            workload = await obtain_workload(lambda: self._find(str(identifier)), None, or_else=close_workload)
            try:
                await workload.copy_log(sink)
                await sink.finish()
            finally:
                await close_workload(workload)
        finally:
            sink.close()

    @sync_compatible
    async def kill(self, identifier: str | int, grace_seconds: float = 30.0) -> None:
        """End a workload: SIGTERM, then SIGKILL; returns when it is gone. The event loop is not blocked meanwhile.

        Args:
            identifier: The workload's identifier.
            grace_seconds: How long it may take to end by itself after SIGTERM, in seconds.

        Raises:
            InfrastructureNotFound: There is no such workload (any more).
            InfrastructureNotAvailable: It is on another host or cluster, or out of reach.
        """
        workload = await obtain_workload(lambda: self._find(str(identifier)), None, or_else=close_workload)
        try:
            await workload.kill(grace_seconds)
        finally:
            await close_workload(workload)

    @sync_compatible
    async def status(self, identifier: str | int) -> WorkloadStatus:
        """Say where a workload stands, without watching it.

        Args:
            identifier: The workload's identifier.

        Raises:
            InfrastructureNotFound: There is no such workload (any more).
            InfrastructureNotAvailable: It is on another host or cluster, or out of reach.
        """
        workload = await obtain_workload(lambda: self._find(str(identifier)), None, or_else=close_workload)
        try:
            return await workload.status()
        finally:
            await close_workload(workload)

    @sync_compatible
    async def reap(
        self, *, kill: bool = False, dry_run: bool = False, other_hosts: bool = False, grace_seconds: float = 30.0
    ) -> ReapedWorkloads:
        """Remove workloads that runs of this kind of block have made and no agent watches: theirs were killed, say.

        What this block says about where workloads run (the engine in use, cluster and namespace) says where they are
        looked for. Those of other agents of this machine and user are left alone as long as these watch them.

        Args:
            kill: End what still runs, too.
            dry_run: Say what would be done, and do nothing.
            other_hosts: Also what was made on other machines or by other users, of whose agents nothing can be known
                here: whether any of them still watches it.
            grace_seconds: As for `kill`.

        Returns:
            What was found, and what was done about each.

        Raises:
            InfrastructureNotAvailable: The engine or cluster is out of reach.
            UnsupportedOperation: Workloads of this block cannot be found by what they are marked with.
        """
        return await reap_workloads(
            lambda: self._find_left(other_hosts=other_hosts),
            kill=kill,
            dry_run=dry_run,
            other_hosts=other_hosts,
            grace_seconds=grace_seconds,
        )

    def _run(self, output: Output, on_cancel: Literal["kill", "leave"]) -> Run:
        return Run(
            output,
            self.logger,
            time_limit=self._time_limit(),
            grace_seconds=self.grace_seconds,
            on_cancel=on_cancel,
        )

    def _time_limit(self) -> TimeLimit | None:
        """Say how long a whole run of this block may take, and which field says so; None: any time."""
        return None if self.timeout_seconds is None else TimeLimit(self.timeout_seconds)

    def _on_cancel(self) -> Literal["kill", "leave"]:
        """Say what a cancelled `run` of this block does with its workload."""
        return self.on_cancel or self._default_on_cancel

    def _build(self) -> Any:
        """Build the settings of the workload; part of a back end.

        Pure but for reading files: it talks to no engine. Called in a worker thread before `_create`, and by `preview`.
        """
        raise self._does_not_have("run")

    def _create(self, settings: Any) -> Workload:  # noqa: ARG002
        """Make the workload; part of a back end.

        Called once a run, in a worker thread, where it may block. It either returns a workload or raises and leaves
        nothing behind. When the run is cancelled meanwhile, `infrablocks._threads.cancellation_requested` says so; what
        it returns all the same is killed.

        Args:
            settings: What `_build` returned.

        Raises:
            InfrastructureError: It could not be made.
        """
        raise self._does_not_have("run")

    def _build_and_create(self) -> Workload:
        return self._create(self._build())

    def _find(self, identifier: str) -> Workload:  # noqa: ARG002
        """Find a workload that some run has made, for `logs`, `kill` and `status`; part of a back end.

        Called in a worker thread, where it may block.

        Raises:
            InfrastructureNotFound: There is no such workload (any more).
            InfrastructureNotAvailable: It is on another host or cluster, or out of reach.
        """
        raise self._does_not_have("logs, kill and status")

    def _reattach(self, identifier: str, after: OutputPosition | None) -> Workload:  # noqa: ARG002
        """Find a workload that some run has made, to watch it to its result; part of a back end.

        Called in a worker thread, where it may block. The workload hands its output over from the beginning: `Output`
        leaves out what was delivered. Where it can begin later, it tells the output so (`Output.begin_at`).

        Args:
            identifier: The workload's identifier.
            after: How far its output was delivered, for those who can begin there.

        Raises:
            InfrastructureNotFound: There is no such workload (any more).
            InfrastructureNotAvailable: It is on another host or cluster, or out of reach.
        """
        raise self._does_not_have("attach")

    def _find_left(self, *, other_hosts: bool) -> Sequence[LeftWorkload]:  # noqa: ARG002
        """Find the workloads that runs have made and no agent watches; part of a back end.

        Called in a worker thread, where it may block. What is made carries `WatchRecord.agent_host`, and has a record
        from before it is made until nobody watches it; `agent_host()` and `watched_keys()` tell what is left. They are
        asked after the workloads were listed: what is made meanwhile is watched.

        Args:
            other_hosts: Whether to give also those of whose agents nothing can be known here.

        Raises:
            InfrastructureNotAvailable: The engine is out of reach.
        """
        raise self._does_not_have("reap")

    def _does_not_have(self, call: str) -> UnsupportedOperation:
        return UnsupportedOperation(f"{type(self).__name__} does not have {call}: its class does not supply this part.")
