"""A pod and its containers, read from what the cluster says about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_WORDS = 1000


@dataclass(frozen=True)
class Termination:
    """How one run of a container ended.

    Attributes:
        exit_code: Its exit code; None: the node could not find it out.
        reason: The cluster's word, such as `Completed`, `Error`, `OOMKilled` or `StartError`.
        message: What the node, or the container itself, says about it; mostly empty.
        started_at: When it started.
        finished_at: When it ended.
    """

    exit_code: int | None
    reason: str
    message: str
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class ContainerState:
    """How a container of a pod stands.

    Attributes:
        name: Its name.
        waiting_reason: Why it does not run; empty: it does not wait.
        waiting_message: The cluster's words about that.
        running_since: When it started; None: it does not run.
        is_running: Whether it runs.
        has_terminated: Whether it has ended and is not about to be started again.
        termination: How it ended the last time, also when it runs again; None: it never did.
        restarts: How often it was started again.
    """

    name: str
    waiting_reason: str
    waiting_message: str
    running_since: datetime | None
    is_running: bool
    has_terminated: bool
    termination: Termination | None
    restarts: int

    @property
    def has_run(self) -> bool:
        """Whether it runs or ever has."""
        return self.is_running or self.termination is not None


@dataclass(frozen=True)
class PodState:
    """How a pod stands.

    Attributes:
        name: Its name.
        uid: The cluster's own id of it.
        phase: `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
        reason: Why the pod as a whole is as it is, such as `Evicted`; mostly empty.
        message: The cluster's words about that.
        node: Where it runs; empty: nowhere yet.
        created_at: When it was made.
        is_deleting: Whether somebody has told it to go.
        is_deleted: Whether it is gone.
        conditions: The cluster's conditions of it, by type.
        container: The container that runs the command; None: the node has said nothing about it yet.
        other_containers: All others.
        init_containers: Those that are to end before the others start, and sidecars of the newer kind.
    """

    name: str
    uid: str
    phase: str
    reason: str
    message: str
    node: str
    created_at: datetime | None
    is_deleting: bool
    is_deleted: bool
    conditions: Mapping[str, Mapping[str, Any]]
    container: ContainerState | None
    other_containers: tuple[ContainerState, ...]
    init_containers: tuple[ContainerState, ...]

    @property
    def termination(self) -> Termination | None:
        """How the container that runs the command ended the last time."""
        return None if self.container is None else self.container.termination

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.is_deleted or self.phase in {"Succeeded", "Failed"}

    @property
    def all_containers(self) -> tuple[ContainerState, ...]:
        """All containers that the node has told of."""
        ours = () if self.container is None else (self.container,)
        return (*self.init_containers, *ours, *self.other_containers)


def pod_state(pod: Mapping[str, Any], container: str, *, is_deleted: bool = False) -> PodState:
    """Read what the cluster says about a pod.

    Args:
        pod: The pod as JSON.
        container: The name of the container that runs the command.
        is_deleted: Whether it is gone, and this is what was last seen of it.
    """
    metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
    containers = [_container_state(each) for each in status.get("containerStatuses") or []]
    return PodState(
        name=str(metadata.get("name", "")),
        uid=str(metadata.get("uid", "")),
        phase=str(status.get("phase") or "Pending"),
        reason=str(status.get("reason") or ""),
        message=in_one_line(status.get("message")),
        node=str((pod.get("spec") or {}).get("nodeName") or ""),
        created_at=parse_time(metadata.get("creationTimestamp")),
        is_deleting=bool(metadata.get("deletionTimestamp")),
        is_deleted=is_deleted,
        conditions=conditions(status),
        container=next((each for each in containers if each.name == container), None),
        other_containers=tuple(each for each in containers if each.name != container),
        init_containers=tuple(_container_state(each) for each in status.get("initContainerStatuses") or []),
    )


def conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Give the conditions of an object by their type."""
    return {str(condition.get("type")): condition for condition in status.get("conditions") or []}


def holds(condition: Mapping[str, Any] | None) -> bool:
    """Say whether a condition is there and true."""
    return condition is not None and condition.get("status") == "True"


def parse_time(text: str | None) -> datetime | None:
    """Read a time of the cluster; None for what is none."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None


def in_one_line(text: Any) -> str:
    """Give the cluster's words in one line that is not too long."""
    words = " ".join(str(text or "").split())
    return words if len(words) <= _LONGEST_WORDS else words[:_LONGEST_WORDS] + "…"


def _container_state(status: Mapping[str, Any]) -> ContainerState:
    state, last = status.get("state") or {}, status.get("lastState") or {}
    waiting, running, terminated = (state.get(key) for key in ("waiting", "running", "terminated"))
    ended = terminated if terminated is not None else last.get("terminated")
    return ContainerState(
        name=str(status.get("name", "")),
        waiting_reason=str(waiting.get("reason") or "ContainerCreating") if waiting is not None else "",
        waiting_message=in_one_line((waiting or {}).get("message")),
        running_since=parse_time((running or {}).get("startedAt")),
        is_running=running is not None,
        has_terminated=terminated is not None,
        termination=None if ended is None else _termination(ended),
        restarts=_number(status.get("restartCount")) or 0,
    )


def _termination(terminated: Mapping[str, Any]) -> Termination:
    reason = str(terminated.get("reason") or "")
    return Termination(
        # The node then makes up the code 137.
        exit_code=None if reason == "ContainerStatusUnknown" else _number(terminated.get("exitCode")),
        reason=reason,
        message=in_one_line(terminated.get("message")),
        started_at=_after_epoch(terminated.get("startedAt")),
        finished_at=_after_epoch(terminated.get("finishedAt")),
    )


def _after_epoch(text: str | None) -> datetime | None:
    """Read a time; a container that could not be started has that of the epoch."""
    moment = parse_time(text)
    return None if moment is None or moment.timestamp() <= 0 else moment


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
