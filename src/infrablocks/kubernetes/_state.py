"""How a Job stands and how it ended, from what was last seen of it and of its pods."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from infrablocks._results import Reason, WorkloadStatus
from infrablocks.kubernetes._pods import PodState, conditions, holds, parse_time, pod_state
from infrablocks.kubernetes._reasons import Outcome, outcome_of_pod

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from infrablocks.kubernetes._job_watch import JobSnapshot


@dataclass(frozen=True)
class Ending:
    """How a Job ended.

    Attributes:
        status_code: The exit code of our container, -1: not known.
        reason: Why it ended so.
        message: What happened, and what to do.
        created_at: When the Job was made.
        started_at: When the command started.
        finished_at: When the command ended.
        is_settled: Whether nothing that is still on its way from the cluster could say more.
        is_removed: Whether the Job was deleted before it had ended.
    """

    status_code: int
    reason: Reason
    message: str
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    is_settled: bool
    is_removed: bool = False


def pods_of(snapshot: JobSnapshot, container: str) -> tuple[PodState, ...]:
    """Read the pods of a Job, the oldest first."""
    gone = snapshot.deleted_pods
    return tuple(pod_state(pod, container, is_deleted=pod["metadata"]["uid"] in gone) for pod in snapshot.pods)


def job_label(namespace: str, name: str) -> str:
    """Name a Job in messages."""
    return f"Kubernetes Job '{namespace}/{name}'"


def ending(job: Mapping[str, Any], pods: Sequence[PodState], *, deleted: bool, label: str) -> Ending | None:
    """Say how a Job ended; None: it has not.

    The Job's conditions decide. A Job that is deleted has ended as was last seen.

    Args:
        job: The Job as it was last seen.
        pods: Its pods, the oldest first, also those that are gone.
        deleted: Whether the Job is gone.
        label: Names the Job in the message.
    """
    found = conditions(job.get("status") or {})
    if holds(found.get("Complete")) or (deleted and holds(found.get("SuccessCriteriaMet"))):
        return _completed(job, pods, label)
    for kind in ("Failed", "FailureTarget") if deleted else ("Failed",):
        if holds(found.get(kind)):
            return _failed(job, pods, found[kind], label)
    return _removed(job, pods, label) if deleted else None


def workload_status(job: Mapping[str, Any], pods: Sequence[PodState]) -> WorkloadStatus:
    """Say where a Job stands."""
    found = conditions(job.get("status") or {})
    if holds(found.get("Complete")):
        return WorkloadStatus.SUCCEEDED
    if holds(found.get("Failed")):
        return WorkloadStatus.FAILED
    if any(pod.node and pod.phase == "Unknown" for pod in pods):
        return WorkloadStatus.UNKNOWN
    has_run = any(pod.phase in {"Running", "Succeeded", "Failed"} for pod in pods)
    return WorkloadStatus.RUNNING if has_run else WorkloadStatus.PENDING


def _completed(job: Mapping[str, Any], pods: Sequence[PodState], label: str) -> Ending:
    good = [pod for pod in pods if pod.phase == "Succeeded" and pod.termination is not None]
    pod = _latest(good)
    return _ending(
        job,
        pod,
        # A Job completes only when all containers of a pod ended with 0, so that this is known without its pod.
        Outcome(0, Reason.COMPLETED, f"{label} exited cleanly."),
        is_settled=pod is not None,
        finished_at=parse_time((job.get("status") or {}).get("completionTime")),
    )


def _failed(job: Mapping[str, Any], pods: Sequence[PodState], condition: Mapping[str, Any], label: str) -> Ending:
    pod = _latest([pod for pod in pods if pod.phase == "Failed"]) or _latest(pods)
    outcome = outcome_of_pod(pod, label, str(condition.get("message") or ""))
    reason = condition.get("reason")
    attempts = _attempts(job, pods)
    if reason == "DeadlineExceeded":
        outcome = Outcome(
            outcome.status_code or -1,  # to end well when told to end is no success
            Reason.DEADLINE_EXCEEDED,
            f"{label} took longer than its activeDeadlineSeconds and was ended by the cluster.",
        )
    elif reason == "BackoffLimitExceeded" and attempts > 1:
        outcome = Outcome(
            outcome.status_code or -1,
            Reason.BACKOFF_LIMIT_EXCEEDED,
            f"{label} failed {attempts} times, which is all that its backoffLimit allows. The last time"
            f"{_of_it(outcome.message, label)}",
        )
    settled = pod is not None and (pod.is_deleted or pod.phase == "Failed" or pod.termination is not None)
    return _ending(job, pod, outcome, is_settled=settled, finished_at=parse_time(condition.get("lastTransitionTime")))


def _of_it(message: str, label: str) -> str:
    """Give a message without the name of the Job, to stand behind other words about it."""
    name, found, rest = message.partition(f"{label} ")
    return f" it {rest}" if found and not name else message.removeprefix(label)


def _removed(job: Mapping[str, Any], pods: Sequence[PodState], label: str) -> Ending:
    pod = _latest([pod for pod in pods if pod.termination is not None]) or _latest(pods)
    termination = None if pod is None else pod.termination
    active = any(not each.has_ended for each in pods)
    told = "Somebody deleted the Job."
    if pod is not None and termination is not None and termination.exit_code:
        outcome = outcome_of_pod(pod, label, "")
        outcome = Outcome(outcome.status_code, outcome.reason, f"{outcome.message} {told}")
    elif pod is not None and pod.phase == "Succeeded" and not pod.is_deleting and not active:
        outcome = Outcome(0, Reason.COMPLETED, f"{label} exited cleanly. {told}")
    else:
        outcome = Outcome(
            -1,
            Reason.REMOVED,
            f"{label} was deleted by somebody before its end was seen; its exit code is not known.",
        )
    settled = pod is None or pod.has_ended
    return replace(_ending(job, pod, outcome, is_settled=settled), is_removed=True)


def _ending(
    job: Mapping[str, Any],
    pod: PodState | None,
    outcome: Outcome,
    *,
    is_settled: bool,
    finished_at: datetime | None = None,
) -> Ending:
    """Put an end together; `finished_at` is that of the Job, which counts where its pod does not tell."""
    termination = None if pod is None else pod.termination
    started_at = None if termination is None else termination.started_at
    if started_at is None and pod is not None and pod.container is not None:
        started_at = pod.container.running_since
    return Ending(
        status_code=outcome.status_code,
        reason=outcome.reason,
        message=outcome.message,
        created_at=parse_time((job.get("metadata") or {}).get("creationTimestamp")),
        started_at=started_at,
        finished_at=(termination.finished_at if termination else None) or finished_at,
        is_settled=is_settled,
    )


def _latest(pods: Sequence[PodState]) -> PodState | None:
    """Give the pod that ended last, or else was made last."""
    if not pods:
        return None

    def moment(item: tuple[int, PodState]) -> tuple[float, int]:
        index, pod = item
        end = pod.termination.finished_at if pod.termination else None
        end = end or pod.created_at
        return (end.timestamp() if end else 0.0, index)

    return max(enumerate(pods), key=moment)[1]


def _attempts(job: Mapping[str, Any], pods: Sequence[PodState]) -> int:
    seen = sum(1 + (pod.container.restarts if pod.container else 0) for pod in pods if pod.phase != "Pending")
    counted = (job.get("status") or {}).get("failed")
    return max(seen, counted if isinstance(counted, int) else 0)
