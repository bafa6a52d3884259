"""Waiting for the start of a Job's command: what stands in its way, and when that is given up."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infrablocks._results import Reason
from infrablocks.kubernetes._pods import in_one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infrablocks.kubernetes._pods import PodState

_PULL_TOLERANCE_SECONDS = 25.0
_TOLERANCE_SECONDS = 10.0
_FIRST_LOOK_AT_EVENTS_SECONDS = 1.5
_LONGEST_LOOK_AT_EVENTS_SECONDS = 15.0

_WITHOUT_END = math.inf

# The waiting reasons of the kubelet, and for how long each may last: what it stands for, seconds.
_WAITING: dict[str, tuple[Reason, float]] = {
    "InvalidImageName": (Reason.INVALID_IMAGE, 0.0),
    "ErrImageNeverPull": (Reason.IMAGE_PULL, 0.0),
    "CreateContainerConfigError": (Reason.CONFIG_ERROR, 0.0),
    "ErrImagePull": (Reason.IMAGE_PULL, _PULL_TOLERANCE_SECONDS),
    "ImagePullBackOff": (Reason.IMAGE_PULL, _PULL_TOLERANCE_SECONDS),
    "ImageInspectError": (Reason.IMAGE_PULL, _PULL_TOLERANCE_SECONDS),
    "RegistryUnavailable": (Reason.IMAGE_PULL, _PULL_TOLERANCE_SECONDS),
    "SignatureValidationFailed": (Reason.IMAGE_PULL, _PULL_TOLERANCE_SECONDS),
    "CreateContainerError": (Reason.NOT_STARTED, _TOLERANCE_SECONDS),
    "RunContainerError": (Reason.NOT_STARTED, _TOLERANCE_SECONDS),
    "CreatePodSandboxError": (Reason.NOT_STARTED, _WITHOUT_END),
}
# What the API server says about pods which it will never take, whoever asks how often.
_FINAL_REJECTION = re.compile(
    r"exceeded quota|must specify |violates PodSecurity|is invalid:"
    r"|admission webhook .* denied|ValidatingAdmissionPolicy .* denied request"
    r"|m(?:ax|in)imum \S+ usage per |max limit to request ratio per "  # of a LimitRange
    r"|no PriorityClass with name|pod rejected: RuntimeClass "
)
# Random, and so another one at each attempt to make the pod.
_POD_NAME = re.compile(r'\bpods "[^"]*"')

_ADVICE = {
    Reason.IMAGE_PULL: "Check the name of the image and `imagePullSecrets`.",
    Reason.INVALID_IMAGE: "Check the name of the image.",
    Reason.CONFIG_ERROR: "Put that right, and run it again.",
    Reason.UNSCHEDULABLE: "Ask for less, or wait for room on the cluster (pod_watch_timeout_seconds).",
    Reason.START_TIMEOUT: "If it needs more time, raise pod_watch_timeout_seconds.",
}


@dataclass(frozen=True)
class Obstacle:
    """What keeps a pod from starting.

    Attributes:
        reason: What it stands for in a result.
        words: The cluster's own words.
        tolerance: How many seconds it may last.
    """

    reason: Reason
    words: str
    tolerance: float


@dataclass(frozen=True)
class JobEvent:
    """An event that the cluster has noted about a Job or a pod.

    Attributes:
        kind: `Normal` or `Warning`.
        reason: Such as `FailedCreate`.
        message: The cluster's words.
    """

    kind: str
    reason: str
    message: str


def job_events(listed: Mapping[str, Any]) -> tuple[JobEvent, ...]:
    """Read a list of events."""
    return tuple(
        JobEvent(str(event.get("type") or ""), str(event.get("reason") or ""), in_one_line(event.get("message")))
        for event in listed.get("items") or []
    )


def obstacle(pods: Sequence[PodState], events: Sequence[JobEvent], own_secret: str) -> Obstacle | None:
    """Say what keeps the newest pod of a Job from starting; None: nothing that is known.

    Args:
        pods: The pods that have not ended, the oldest first.
        events: What the cluster has noted about the Job, where there is no pod.
        own_secret: Name of the run's own Secret, which may come a moment after the pod.
    """
    if not pods:
        return _rejection(events)
    pod = pods[-1]
    worst: Obstacle | None = None
    for container in pod.all_containers:
        known = _WAITING.get(container.waiting_reason)
        if known is None:
            continue
        reason, tolerance = known
        if own_secret in container.waiting_message:
            tolerance = _WITHOUT_END
        words = ": ".join(filter(None, [container.waiting_reason, container.waiting_message]))
        found = Obstacle(reason, f"container {container.name!r}: {words}", tolerance)
        if worst is None or found.tolerance < worst.tolerance:
            worst = found
    return worst or _unscheduled(pod)


def _unscheduled(pod: PodState) -> Obstacle | None:
    condition = pod.conditions.get("PodScheduled")
    if condition is None or condition.get("status") != "False" or condition.get("reason") != "Unschedulable":
        return None
    words = f"Unschedulable: {in_one_line(condition.get('message'))}"
    return Obstacle(Reason.UNSCHEDULABLE, words, _WITHOUT_END)


def _rejection(events: Sequence[JobEvent]) -> Obstacle | None:
    for event in reversed(events):
        if event.reason == "FailedCreate":
            final = _FINAL_REJECTION.search(event.message)
            words = f"{event.reason}: {event.message}"
            return Obstacle(Reason.CONFIG_ERROR, words, 0.0 if final else _TOLERANCE_SECONDS)
    return None


@dataclass(frozen=True)
class Failure:
    """A start that is given up.

    Attributes:
        reason: Why.
        words: What stands in the way, in the cluster's words; empty: it does not say.
        seconds: How long was waited; None: it was not a matter of time.
    """

    reason: Reason
    words: str
    seconds: float | None


@dataclass(frozen=True)
class Waiting:
    """A start that is waited for.

    Attributes:
        seconds: After how many seconds to look again, when nothing happens before.
        wants_events: Whether the events of the Job may tell what stands in its way.
    """

    seconds: float
    wants_events: bool = False


class StartWait:
    """Judges, as time goes by, how the start of a Job comes along.

    Args:
        limit_seconds: How long a pod may take to start.
        own_secret: Name of the run's own Secret.
        now: The time at which the Job was made, in seconds of any clock.
    """

    def __init__(self, limit_seconds: float, own_secret: str, now: float) -> None:
        self._limit_seconds = limit_seconds
        self._own_secret = own_secret
        self._attempt: str | None = None
        self._since = now
        self._obstacle: tuple[Reason, float] | None = None
        self._events: tuple[JobEvent, ...] = ()
        self._next_look = now + _FIRST_LOOK_AT_EVENTS_SECONDS
        self._look_pause = _FIRST_LOOK_AT_EVENTS_SECONDS

    def take_events(self, events: tuple[JobEvent, ...], now: float) -> None:
        """Take what the cluster has noted about the Job."""
        self._events = events
        self._look_pause = min(2 * self._look_pause, _LONGEST_LOOK_AT_EVENTS_SECONDS)
        self._next_look = now + self._look_pause

    def judge(self, pods: Sequence[PodState], *, suspended: bool, now: float) -> Waiting | Failure | None:
        """Say whether to wait on, or to give up; None: the command runs, or has run and may be tried again.

        Args:
            pods: The pods of the Job, the oldest first.
            suspended: Whether the Job is to make no pods for now; that time does not count.
            now: The time.
        """
        active = [pod for pod in pods if not pod.has_ended]
        attempt = active[-1].uid if active else ""
        if suspended or attempt != self._attempt:
            if self._attempt is not None or suspended:
                self._since = now
            self._attempt, self._obstacle = attempt, None
        if suspended or (not active and pods):
            return None
        if active and _has_started(active[-1]):
            return None
        in_the_way = obstacle(active, self._events, self._own_secret)
        return self._judge_obstacle(in_the_way, now, without_pod=not active)

    def _judge_obstacle(self, found: Obstacle | None, now: float, *, without_pod: bool) -> Waiting | Failure:
        deadline = self._since + self._limit_seconds
        look_again = [deadline]
        if found is not None:
            if self._obstacle is None or self._obstacle[0] is not found.reason:
                self._obstacle = (found.reason, now)
            end_of_tolerance = self._obstacle[1] + found.tolerance
            if now >= end_of_tolerance:
                return Failure(found.reason, found.words, None)
            look_again.append(end_of_tolerance)
        if now >= deadline:
            reason = Reason.START_TIMEOUT if found is None else found.reason
            return Failure(reason, "" if found is None else found.words, self._limit_seconds)
        wants_events = without_pod and now >= self._next_look
        if without_pod:
            look_again.append(self._next_look)
        return Waiting(max(0.0, min(look_again) - now), wants_events)


def _has_started(pod: PodState) -> bool:
    """Say whether its node has begun with it: our container runs or has run, or one that is to run before it does."""
    if pod.container is not None and pod.container.has_run:
        return True
    stuck = any(container.waiting_reason in _WAITING for container in pod.all_containers)
    return not stuck and any(container.has_run for container in pod.init_containers)


def start_failure_message(failure: Failure, label: str, events: Sequence[JobEvent], *, is_gone: bool) -> str:
    """Word a start that was given up.

    Args:
        failure: Why it was.
        label: Names the Job.
        events: What the cluster has noted about the Job and its pod.
        is_gone: Whether the Job was deleted.
    """
    if failure.seconds is None:
        text = f"{label} cannot start."
    else:
        text = f"{label} did not start within {failure.seconds:g} seconds (pod_watch_timeout_seconds)."
    if failure.words:
        text += f" The cluster says: {failure.words.rstrip('.')}."
    known = _without_names(failure.words)
    warnings = [
        event
        for event in events
        if event.kind == "Warning" and _without_names(event.message.removeprefix("Error: ")) not in known
    ]
    new = {_without_names(event.message): f"{event.reason}: {event.message.rstrip('.')}" for event in warnings}
    if new:
        text += f" Events: {'; '.join(list(new.values())[-3:])}."
    text += " " + _ADVICE.get(failure.reason, "Check the manifest.")
    if is_gone:
        return text + " The Job was deleted."
    return text + " The Job could not be seen to be gone: look after it, or end it with kill()."


def _without_names(words: str) -> str:
    """Leave out what differs when the cluster says the same of several pods that it has tried to make."""
    return _POD_NAME.sub("pods", " ".join(words.split()))
