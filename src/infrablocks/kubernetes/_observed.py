"""What is kept of a Job and of a pod: a run needs little of them, and there may be thousands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infrablocks.kubernetes._settings import CONTAINER_ANNOTATION, RUN_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")
_CONDITION = ("type", "status", "reason", "message", "lastTransitionTime")
_JOB_SPEC = ("backoffLimit", "suspend", "activeDeadlineSeconds", "completions", "parallelism")
_JOB_STATUS = ("startTime", "completionTime", "active", "ready", "succeeded", "failed", "terminating")
_POD_STATUS = ("phase", "reason", "message", "startTime")
_POD_CONTAINER_STATUSES = ("initContainerStatuses", "containerStatuses")
_CONTAINER_STATUS = ("name", "ready", "started", "restartCount")
_CONTAINER_STATES = {
    "waiting": ("reason", "message"),
    "running": ("startedAt",),
    "terminated": ("exitCode", "signal", "reason", "message", "startedAt", "finishedAt"),
}


def observed_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """Give of a Job what is kept of it, in the shape that the API has."""
    status = job.get("status") or {}
    kept = _chosen(status, _JOB_STATUS)
    if status.get("conditions"):
        kept["conditions"] = [_chosen(condition, _CONDITION) for condition in status["conditions"]]
    return {"metadata": _metadata(job), "spec": _chosen(job.get("spec") or {}, _JOB_SPEC), "status": kept}


def observed_pod(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Give of a pod what is kept of it, in the shape that the API has."""
    status = pod.get("status") or {}
    kept_status = _chosen(status, _POD_STATUS)
    if status.get("conditions"):
        kept_status["conditions"] = [_chosen(condition, _CONDITION) for condition in status["conditions"]]
    for name in _POD_CONTAINER_STATUSES:
        if status.get(name):
            kept_status[name] = [_container_status(container) for container in status[name]]
    return {"metadata": _metadata(pod), "spec": _chosen(pod.get("spec") or {}, ("nodeName",)), "status": kept_status}


def packed(item: Mapping[str, Any]) -> bytes:
    """Make one object of a whole Job or pod: the garbage collector stops the program to go over all that it holds."""
    return json.dumps(item, separators=(",", ":")).encode()


def unpacked(item: bytes) -> dict[str, Any]:
    """Give back what `packed` was given."""
    found: dict[str, Any] = json.loads(item)
    return found


def _container_status(status: Mapping[str, Any]) -> dict[str, Any]:
    kept = _chosen(status, _CONTAINER_STATUS)
    for when in ("state", "lastState"):
        if status.get(when):
            kept[when] = {
                name: _chosen(status[when][name] or {}, fields)
                for name, fields in _CONTAINER_STATES.items()
                if name in status[when]
            }
    return kept


def _metadata(item: Mapping[str, Any]) -> dict[str, Any]:
    metadata = item["metadata"]
    kept = _chosen(metadata, _METADATA)
    kept["labels"] = _chosen(metadata.get("labels") or {}, (RUN_LABEL,))
    if annotations := _chosen(metadata.get("annotations") or {}, (CONTAINER_ANNOTATION,)):
        kept["annotations"] = annotations
    return kept


def _chosen(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
