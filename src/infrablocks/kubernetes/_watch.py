"""A Job that exists: its start, its end, its result, and how it is killed."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from infrablocks._pauses import GIVE_UP_SECONDS
from infrablocks._threads import ThreadLimit, run_in_worker_thread
from infrablocks._workload import Workload
from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable
from infrablocks.kubernetes._clusters import release_cluster
from infrablocks.kubernetes._instances import instances
from infrablocks.kubernetes._job_calls import is_there, job_address, list_events, list_pods, remove_job
from infrablocks.kubernetes._kept_log import copy_kept_log
from infrablocks.kubernetes._kill import kill_job
from infrablocks.kubernetes._observed import observed_job, packed, unpacked
from infrablocks.kubernetes._pods import PodState, parse_time, pod_state
from infrablocks.kubernetes._progress import Progress
from infrablocks.kubernetes._result import KubernetesJobResult
from infrablocks.kubernetes._start import Failure, StartWait, start_failure_message
from infrablocks.kubernetes._state import Ending, ending, job_label, pods_of, workload_status

if TYPE_CHECKING:
    import logging

    from infrablocks._output import Output
    from infrablocks._results import WorkloadStatus
    from infrablocks.kubernetes._client import Cluster
    from infrablocks.kubernetes._job_watch import JobSnapshot, JobSubscription
    from infrablocks.kubernetes._logs import OutputReader
    from infrablocks.kubernetes._start import JobEvent

# Many Jobs may be asked about at once; their cluster answers no sooner when all are at the same time.
_LOOK_THREADS = ThreadLimit(16)
# The Job and its pods are watched by two connections, of which either may be behind, and a node may be slow to tell.
_PODS_FOLLOW_SECONDS = 10.0
# A Job that the watch has not told of by then is asked for: it may have been deleted before.
_UNSEEN_SECONDS = 10.0
# Before a start is given up the cluster is asked, and again after so long where it is out of reach.
_ASK_AGAIN_SECONDS = 2.0


class JobWorkload(Workload):
    """A Job that was made here or found by its identifier.

    Args:
        cluster: Where it is; given back by `close`.
        job: What the cluster said about it.
        container: Name of the container that runs the command.
        logger: Gets what is told about it.
        subscription: Tells what happens to it; None where it is not watched.
        reader: Copies its output; None where nobody wants it.
        start_seconds: How long a pod may take to start.
        own_secret: Name of the run's own Secret.
    """

    def __init__(
        self,
        cluster: Cluster,
        job: dict[str, Any],
        container: str,
        logger: logging.Logger,
        *,
        subscription: JobSubscription | None = None,
        reader: OutputReader | None = None,
        start_seconds: float = 60.0,
        own_secret: str = "infrablocks-",  # noqa: S107 - a name
    ) -> None:
        self._address = job_address(job)
        self.identifier = self._address.identifier(cluster.cluster_id)
        self._cluster = cluster
        self._first_seen = packed(observed_job(job))
        self._container = container
        self._logger = logger
        self._subscription = subscription
        self._reader = reader
        self._start_seconds = start_seconds
        self._own_secret = own_secret
        self._label = job_label(self._address.namespace, self._address.name)
        self._progress = Progress(logger)
        self._is_gone = False

    async def watch(self, output: Output) -> KubernetesJobResult:
        """Copy what the Job prints, and wait for its end."""
        if self._reader is not None:
            self._reader.start(output)
        outcome = await self._wait_for_end()
        if isinstance(outcome, Failure):
            return await self._give_up_start(outcome, output)
        if self._reader is not None:
            await self._reader.finish(removed=outcome.is_removed)
        await output.finish()
        return self._result(outcome)

    async def kill(self, grace_seconds: float) -> None:
        """Delete the Job and its pods, and wait until they are gone."""
        await run_in_worker_thread(lambda: kill_job(self._cluster, self._address, grace_seconds))

    async def status(self) -> WorkloadStatus:
        """Say where it stands, as the cluster has just said."""
        return await run_in_worker_thread(self._look_at_status, _LOOK_THREADS)

    async def copy_log(self, output: Output) -> None:
        """Copy what its nodes have kept of its output."""
        await copy_kept_log(self._cluster, self._address, self._container, output)

    def close(self) -> None:
        """End the reading of its output and give the cluster back."""
        if self._reader is not None:
            self._reader.close()
        if self._subscription is not None:
            self._subscription.close()
        release_cluster(self._cluster)

    def _look_at_status(self) -> WorkloadStatus:
        pods = list_pods(self._cluster, self._address)
        return workload_status(unpacked(self._first_seen), [pod_state(pod, self._container) for pod in pods])

    async def _wait_for_end(self) -> Ending | Failure:
        """Wait until the Job has ended, or does not start."""
        subscription = self._watched()
        begun = time.monotonic()
        start = StartWait(self._start_seconds, self._own_secret, begun)
        while True:
            snapshot, pods = self._seen()
            if (end := self._ending(snapshot, pods)) is not None:
                return await self._settled(end)
            if subscription.error is not None:
                raise self._lost(subscription.error)
            suspended = bool((self._job_in(snapshot).get("spec") or {}).get("suspend"))
            judged = start.judge(pods, suspended=suspended, now=time.monotonic())
            if isinstance(judged, Failure):
                if await self._is_confirmed(snapshot, begun + self._start_seconds):
                    return judged
                continue
            if judged is not None and judged.wants_events:
                start.take_events(await self._rejections(), time.monotonic())
                continue
            seconds = math.inf if judged is None else judged.seconds
            is_unseen = snapshot.job is None
            if is_unseen:
                seconds = min(seconds, _UNSEEN_SECONDS)
            # There may be thousands of runs, and the garbage collector goes over whatever they hold while they wait.
            del snapshot, pods, judged
            has_news = await subscription.wait(time.monotonic() + seconds)
            if not has_news and is_unseen and time.monotonic() - begun > _UNSEEN_SECONDS:
                await self._look_for_unseen()

    async def _settled(self, end: Ending) -> Ending:
        """Wait a moment for what is still on its way about the pods of a Job that has ended."""
        subscription = self._watched()
        deadline = time.monotonic() + _PODS_FOLLOW_SECONDS
        while not end.is_settled and await subscription.wait(deadline):
            end = self._ending(*self._seen()) or end
        if end.is_settled or end.status_code != -1:
            return end
        # The watch of pods may be silent, and only they have the exit code.
        with suppress(InfrastructureError):
            await run_in_worker_thread(subscription.load, _LOOK_THREADS)
        return self._ending(*self._seen()) or end

    def _seen(self) -> tuple[JobSnapshot, tuple[PodState, ...]]:
        """Give what is known now, and tell of it."""
        snapshot = self._watched().snapshot()
        pods = pods_of(snapshot, self._container)
        self._progress.tell(pods)
        if self._reader is not None:
            self._reader.update(instances(pods))
        return snapshot, pods

    def _job_in(self, snapshot: JobSnapshot) -> dict[str, Any]:
        return snapshot.job or unpacked(self._first_seen)

    def _ending(self, snapshot: JobSnapshot, pods: tuple[PodState, ...]) -> Ending | None:
        is_gone = snapshot.job_deleted or self._is_gone
        return ending(self._job_in(snapshot), pods, deleted=is_gone, label=self._label)

    async def _look_for_unseen(self) -> None:
        """Ask for a Job that the watch has not told of; only "not found" means that it is gone."""
        try:
            self._is_gone = not await run_in_worker_thread(
                lambda: is_there(self._cluster, self._address), _LOOK_THREADS
            )
        except InfrastructureError as error:
            self._logger.debug("%s cannot be asked for: %s", self._label, error)

    async def _is_confirmed(self, snapshot: JobSnapshot, due: float) -> bool:
        """Say whether the cluster, asked now, knows no more than the watch, which may be silent or out of reach.

        A Job that runs is not to be taken for one that does not start.

        Args:
            snapshot: What the watch has told.
            due: When the start was due. If the cluster cannot be asked for long after, it is left at what is known.
        """
        subscription = self._watched()
        try:
            await run_in_worker_thread(subscription.load, _LOOK_THREADS)
        except InfrastructureError as error:
            self._logger.debug("%s cannot be asked for: %s", self._label, error)
            await subscription.wait(time.monotonic() + _ASK_AGAIN_SECONDS)
            return time.monotonic() - due > GIVE_UP_SECONDS
        return subscription.snapshot() == snapshot

    async def _rejections(self) -> tuple[JobEvent, ...]:
        rejections = self._watched().rejections
        known = rejections.known(self._address.uid)
        if known is not None:
            return known
        return await run_in_worker_thread(lambda: rejections.of(self._address.uid), _LOOK_THREADS)

    async def _events(self, uid: str) -> tuple[JobEvent, ...]:
        return await run_in_worker_thread(
            lambda: list_events(self._cluster, self._address.namespace, uid), _LOOK_THREADS
        )

    async def _give_up_start(self, failure: Failure, output: Output) -> KubernetesJobResult:
        """Delete a Job that does not start, so that it never will, and make its result."""
        events = await self._events(self._address.uid)
        snapshot = self._watched().snapshot()
        pods = pods_of(snapshot, self._container)
        if pods:
            events = (*events, *await self._events(pods[-1].uid))
        gone = await run_in_worker_thread(lambda: remove_job(self._cluster, self._address, self._logger), _LOOK_THREADS)
        if self._reader is not None:
            await self._reader.finish(removed=True)
        await output.finish()
        return KubernetesJobResult(
            identifier=self.identifier,
            status_code=-1,
            reason=failure.reason,
            message=start_failure_message(failure, self._label, events, is_gone=gone),
            created_at=parse_time(self._job_in(snapshot)["metadata"].get("creationTimestamp")),
        )

    def _result(self, end: Ending) -> KubernetesJobResult:
        return KubernetesJobResult(
            identifier=self.identifier,
            status_code=end.status_code,
            reason=end.reason,
            message=end.message,
            created_at=end.created_at,
            started_at=end.started_at,
            finished_at=end.finished_at,
        )

    def _watched(self) -> JobSubscription:
        if self._subscription is None:
            raise RuntimeError("a Job that is watched has a subscription")
        return self._subscription

    def _lost(self, error: InfrastructureError) -> InfrastructureNotAvailable:
        return InfrastructureNotAvailable(
            f"{self._label} cannot be watched any more; it may go on. Watch it again with attach({self.identifier!r}) "
            f"when the cluster is back. {error}"
        )
