"""What a back end supplies about one workload that exists."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from infrablocks.exceptions import UnsupportedOperation

if TYPE_CHECKING:
    from infrablocks._output import Output
    from infrablocks._results import InfrastructureResult, WorkloadStatus
    from infrablocks._watch_records import WatchRecord


class Workload(ABC):
    """A workload that exists, made by a block's `_create` or found again by its `_find`.

    `Infrastructure` calls the coroutines from the event loop: they may be cancelled at every await, and make no
    blocking call outside of a worker thread. Time limits, `on_cancel` and logging are the base's business.

    Attributes:
        identifier: Names the workload for `kill`, `attach` and `status`; the same as its result's.
        watch_record: Tells `reap` that it is watched, while this object is there; None: it is not, or cannot be reaped.
    """

    identifier: str
    watch_record: WatchRecord | None = None

    @property
    def reported_identifier(self) -> str | int:
        """The identifier as `task_status.started` gets it."""
        return self.identifier

    @abstractmethod
    async def watch(self, output: Output) -> InfrastructureResult:
        """Watch the workload to its end, copying what it prints to `output`.

        Called once. Returns a result however the workload ended, also by a `kill` at the same time; raises an
        `InfrastructureError` when the end cannot be found out. Cancelled: leaves the workload as it is.
        """

    @abstractmethod
    async def kill(self, grace_seconds: float) -> None:
        """End the workload and return when it is gone; safe to call again, and while `watch` runs.

        Args:
            grace_seconds: How long it may take to end by itself after SIGTERM, in seconds, before it gets SIGKILL.
        """

    @abstractmethod
    async def status(self) -> WorkloadStatus:
        """Say where the workload stands now."""

    async def copy_log(self, output: Output) -> None:  # noqa: ARG002
        """Copy what the workload has printed so far to `output`, without waiting for more; for `logs`.

        Raises:
            UnsupportedOperation: Nothing of it is kept.
        """
        raise UnsupportedOperation(f"The output of {self.identifier} is not kept: only its own run prints it.")

    def forget(self) -> None:  # noqa: B027 (many leave nothing)
        """Remove what is left of the workload after `kill`, such as its result: nobody has ever heard of it.

        Called when a run is cancelled before it could report the workload, in a worker thread, where it may block.
        """

    def close(self) -> None:  # noqa: B027 (many have nothing to release)
        """Release what this object holds (files, connections, temporary folders); never ends the workload.

        Called once, also after a cancelled `watch`, in a worker thread, where it may block; it is never cancelled.
        """
