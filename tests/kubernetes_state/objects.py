"""Jobs and pods as the API gives them, as far as they matter for how a run stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infrablocks.kubernetes._pods import PodState, pod_state

if TYPE_CHECKING:
    from collections.abc import Mapping

LABEL = "Kubernetes Job 'ns/j'"
CREATED = "2026-11-24T08:00:00Z"
STARTED = "2026-11-24T08:00:02Z"
FINISHED = "2026-11-24T08:00:05Z"


def job(*conditions: str, reason: str = "", message: str = "", **status: Any) -> dict[str, Any]:
    """Give a Job with conditions that hold."""
    told = [{"type": name, "status": "True", "reason": reason, "message": message} for name in conditions]
    return {"metadata": {"name": "j", "creationTimestamp": CREATED}, "status": {"conditions": told, **status}}


def terminated(code: int, reason: str = "", *, finished: str = FINISHED, **more: Any) -> dict[str, Any]:
    """Give the state of a container that has ended."""
    reason = reason or ("Error" if code else "Completed")
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": STARTED, "finishedAt": finished, **more}}


RUNNING = {"running": {"startedAt": STARTED}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """Give the state of a container that does not run."""
    return {"waiting": {"reason": reason, "message": message}}


def pod(
    phase: str = "Failed",
    containers: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    name: str = "p",
    init: Mapping[str, Mapping[str, Any]] | None = None,
    restarts: int = 0,
    last: Mapping[str, Any] | None = None,
    node: str = "n",
    deleting: bool = False,
    deleted: bool = False,
    **status: Any,
) -> PodState:
    """Give a pod, whose containers are named with their states."""

    def statuses(states: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [
            {"name": each, "state": state, "lastState": last or {}, "restartCount": restarts}
            for each, state in states.items()
        ]

    metadata = {"name": name, "uid": f"uid-{name}", "creationTimestamp": CREATED}
    if deleting:
        metadata["deletionTimestamp"] = FINISHED
    told = {
        "phase": phase,
        "containerStatuses": statuses(containers or {}),
        "initContainerStatuses": statuses(init or {}),
        **status,
    }
    return pod_state({"metadata": metadata, "spec": {"nodeName": node}, "status": told}, "main", is_deleted=deleted)
