"""Workloads that their agents have left behind: what `reap` finds, what it does about them, and its report."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import anyio
from pydantic import BaseModel, ConfigDict

from infrablocks._results import UtcDatetime, WorkloadStatus
from infrablocks._threads import ThreadLimit, interrupted_at_awaits_only, run_in_worker_thread
from infrablocks._watch_records import watched_keys
from infrablocks.exceptions import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from datetime import timedelta
    from typing import Any, Self

_THREADS = ThreadLimit(16)

ReapAction = Literal["removed", "killed", "would remove", "would kill", "left", "failed"]


class ReapedWorkload(BaseModel):
    """A workload that no agent watched, and what `reap` did about it.

    Attributes:
        identifier: Names it for `attach`, `kill` and `status`.
        status: Where it stood. Pending is also what was made and never started.
        created_at: When it was made (UTC), None when that is not known.
        action: What was done: "removed", "killed", "left" (it goes on, as `kill` was not given), "failed"; in a dry
            run "would remove" and "would kill".
        problem: Why nothing could be done, where that failed.
    """

    model_config = ConfigDict(frozen=True)

    identifier: str
    status: WorkloadStatus
    created_at: UtcDatetime | None = None
    action: ReapAction
    problem: str = ""

    @property
    def age(self) -> timedelta | None:
        """How long ago it was made."""
        return None if self.created_at is None else datetime.now(UTC) - self.created_at


class ReapedWorkloads(tuple[ReapedWorkload, ...]):
    """All workloads that `reap` found, the oldest first."""

    __slots__ = ()

    if TYPE_CHECKING:  # in a loop the call returns a coroutine of this: see `_results`

        def __await__(self) -> Generator[Any, Any, Self]: ...


class LeftWorkload(ABC):
    """A workload that a run has made and no agent seems to watch. Its methods block, and are called in worker threads.

    Attributes:
        identifier: Names it.
        key: The key of its watch records.
        status: Where it stands.
        is_active: Whether it runs or may still start, so that ending it takes `kill`.
        created_at: When it was made.
    """

    identifier: str
    key: str
    status: WorkloadStatus
    is_active: bool
    created_at: datetime | None

    @abstractmethod
    def kill(self, grace_seconds: float) -> None:
        """End it, and return when it runs no more.

        Raises:
            InfrastructureError: It does not end.
        """

    @abstractmethod
    def remove(self) -> None:
        """Remove it when it has ended, was killed, or never started; safe where somebody else has done so.

        Raises:
            InfrastructureError: That cannot be done.
        """


async def reap_workloads(
    find: Callable[[], Sequence[LeftWorkload]], *, kill: bool, dry_run: bool, other_hosts: bool, grace_seconds: float
) -> ReapedWorkloads:
    """Find workloads that no agent watches, and remove or kill them.

    Args:
        find: Gives what no agent seems to watch; called in a worker thread.
        kill: Whether to end what runs.
        dry_run: Whether to say only what would be done.
        other_hosts: Whether agents elsewhere are taken for dead.
        grace_seconds: How long a workload may take to end by itself.
    """
    found = sorted(await run_in_worker_thread(find), key=_when_made)
    reaped: list[ReapedWorkload | None] = [None] * len(found)

    async def reap(index: int, left: LeftWorkload) -> None:
        def act() -> ReapedWorkload | None:
            if watched_keys(left.key, other_hosts=other_hosts):  # somebody has attached to it meanwhile
                return None
            return _reap(left, kill=kill, grace_seconds=grace_seconds)

        reaped[index] = await run_in_worker_thread(act, _THREADS)

    if dry_run:
        return ReapedWorkloads(_report(left, _planned(left, kill=kill)) for left in found)
    async with anyio.create_task_group() as tasks:
        for index, left in enumerate(found):
            tasks.start_soon(interrupted_at_awaits_only, reap, index, left)
    return ReapedWorkloads(each for each in reaped if each is not None)


def _when_made(left: LeftWorkload) -> float:
    return math.inf if left.created_at is None else left.created_at.timestamp()


def _planned(left: LeftWorkload, *, kill: bool) -> ReapAction:
    if not left.is_active:
        return "would remove"
    return "would kill" if kill else "left"


def _reap(left: LeftWorkload, *, kill: bool, grace_seconds: float) -> ReapedWorkload:
    if left.is_active and not kill:
        return _report(left, "left")
    try:
        if left.is_active:
            left.kill(grace_seconds)
        left.remove()
    except InfrastructureError as error:
        return _report(left, "failed", str(error))
    return _report(left, "killed" if left.is_active else "removed")


def _report(left: LeftWorkload, action: ReapAction, problem: str = "") -> ReapedWorkload:
    return ReapedWorkload(
        identifier=left.identifier, status=left.status, created_at=left.created_at, action=action, problem=problem
    )
