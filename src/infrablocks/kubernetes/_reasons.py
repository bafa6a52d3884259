"""What one failed pod says about the end of its command: exit code, reason, and a message for a person."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, NamedTuple

from infrablocks._exit_codes import hint, signal_of
from infrablocks._results import Reason
from infrablocks.kubernetes._pods import holds

if TYPE_CHECKING:
    from infrablocks.kubernetes._pods import PodState, Termination

_ENDED_FROM_OUTSIDE = {signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM}
_NOT_STARTED = frozenset({"StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError"})
# The words of the kubelet for a pod that it does not take: OutOfcpu, OutOfmemory, OutOfpods, …
_REJECTED = re.compile(r"OutOf\w+|NodeAffinity|NodeName|NodePorts|UnexpectedAdmissionError|TaintToleration|\w*Affinity")


class Outcome(NamedTuple):
    """How a command ended.

    Attributes:
        status_code: Its exit code, -1: not known.
        reason: Why it ended so.
        message: What happened, and what to do.
    """

    status_code: int
    reason: Reason
    message: str


def outcome_of_pod(pod: PodState | None, label: str, cluster_says: str) -> Outcome:
    """Say how a Job that failed ended, from the pod that decided it.

    Args:
        pod: That pod; None: none was ever seen.
        label: Names the Job in the message.
        cluster_says: What the cluster says about the failure of the Job.
    """
    said = f" The cluster says: {cluster_says}" if cluster_says else ""
    if pod is None:
        return Outcome(-1, Reason.UNKNOWN, f"{label} failed, and none of its pods was seen.{said}")
    code = pod.termination.exit_code if pod.termination is not None else None
    disrupted = _disruption(pod)
    if disrupted:
        return Outcome(code or -1, Reason.EVICTED, f"{label} was ended with its pod {pod.name}: {disrupted}")
    if pod.reason == "DeadlineExceeded":
        message = f"{label}: pod {pod.name} took longer than its activeDeadlineSeconds and was ended by the cluster."
        return Outcome(code or -1, Reason.DEADLINE_EXCEEDED, message)
    if pod.termination is None or code is None:
        return _without_exit_code(pod, label, said)
    return _of_exit_code(pod, code, pod.termination, label, said)


def _disruption(pod: PodState) -> str:
    """Say why the cluster took the pod away from its node; empty: it did not."""
    condition = pod.conditions.get("DisruptionTarget")
    if pod.reason in {"Evicted", "Preempting", "Terminated", "NodeShutdown", "NodeLost", "Shutdown"}:
        return f"{pod.reason}. {pod.message}".strip()
    if condition is not None and holds(condition):
        return f"{condition.get('reason') or 'DisruptionTarget'}. {condition.get('message') or ''}".strip()
    return ""


def _without_exit_code(pod: PodState, label: str, said: str) -> Outcome:
    own_words = ". ".join(filter(None, [pod.reason, pod.message]))
    own_words = f" The cluster says: {own_words}" if own_words else said
    if _REJECTED.fullmatch(pod.reason):
        return Outcome(-1, Reason.UNSCHEDULABLE, f"{label}: node {pod.node} did not take pod {pod.name}.{own_words}")
    for container in pod.init_containers:
        ended = container.termination
        if ended is not None and ended.exit_code:
            message = (
                f"{label} was not started: its init container {container.name!r} exited with status code "
                f"{ended.exit_code}. {ended.message}"
            )
            return Outcome(-1, Reason.NOT_STARTED, message.rstrip())
    if pod.is_deleted or pod.is_deleting:
        message = f"{label}: pod {pod.name} was deleted; the exit code of the command is not known."
        return Outcome(-1, Reason.REMOVED, message)
    if pod.container is None or not pod.container.has_run:
        message = f"{label}: pod {pod.name} failed before the command was started.{own_words}"
        return Outcome(-1, Reason.NOT_STARTED, message)
    message = f"{label}: pod {pod.name} ended, but the exit code of the command is not known.{own_words}"
    return Outcome(-1, Reason.UNKNOWN, message)


def _of_exit_code(pod: PodState, code: int, termination: Termination, label: str, said: str) -> Outcome:
    if termination.reason in _NOT_STARTED:
        meaning = "the command was not found" if _is_missing(termination.message) else "see what the node says"
        message = (
            f"{label} could not be started ({meaning}); check `command` and the image. The node says: "
            f"{termination.message or termination.reason}"
        )
        return Outcome(code or -1, Reason.NOT_STARTED, message)
    if code == 0:
        return _ended_well(pod, label, said)
    if termination.reason == "OOMKilled":
        message = (
            f"{label} ran out of memory and was killed (status code {code}); raise `memory_limit` or have it use less."
        )
        return Outcome(code, Reason.OOM_KILLED, message)
    meaning = hint(code)
    message = f"{label} exited with status code {code}" + (f" ({meaning})." if meaning else ".")
    if termination.message:
        message += f" It says: {termination.message}"
    if pod.is_deleting or pod.is_deleted:
        message += f" Its pod {pod.name} was deleted."
    return Outcome(code, Reason.KILLED if signal_of(code) in _ENDED_FROM_OUTSIDE else Reason.ERROR, message)


def _ended_well(pod: PodState, label: str, said: str) -> Outcome:
    """Say how a command ended that exited with 0 in a Job that failed all the same."""
    for container in pod.other_containers:
        ended = container.termination
        if ended is not None and ended.exit_code:
            message = (
                f"{label} exited cleanly; the Job counts as failed because its container {container.name!r} exited "
                f"with status code {ended.exit_code}."
            )
            return Outcome(0, Reason.COMPLETED, message)
    if pod.is_deleting or pod.is_deleted:
        return Outcome(-1, Reason.REMOVED, f"{label}: pod {pod.name} was deleted, whereupon the command exited with 0.")
    return Outcome(-1, Reason.ERROR, f"{label} failed, although the command exited with 0.{said}")


def _is_missing(message: str) -> bool:
    return "executable file not found" in message or "no such file or directory" in message
