"""Jobs and pods that tests make."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from infrablocks.kubernetes._settings import RUN_LABEL

if TYPE_CHECKING:
    from tests.engines.cluster import Cluster


def new_run_id() -> str:
    """Give an id that no run has."""
    return uuid.uuid4().hex


def make_job(cluster: Cluster, namespace: str, run_id: str, *, suspend: bool = True) -> str:
    """Make a Job of a run, and give its name. It is suspended, so that only the test changes it."""
    labels = {"labels": {RUN_LABEL: run_id}}
    job = {
        "metadata": {"generateName": "job-", **labels},
        "spec": {"backoffLimit": 0, "suspend": suspend, "template": {"metadata": labels, "spec": _spec("true")}},
    }
    return str(cluster.api("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", job)["metadata"]["name"])


def change_job(cluster: Cluster, namespace: str, name: str, **spec: Any) -> None:
    """Change the spec of a Job."""
    cluster.api("PATCH", f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}", {"spec": spec})


def delete_job(cluster: Cluster, namespace: str, name: str) -> None:
    """Delete a Job."""
    cluster.api("DELETE", f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}", {"propagationPolicy": "Background"})


def make_pod(cluster: Cluster, namespace: str, command: str) -> str:
    """Make a pod, and give its name."""
    pod = {"metadata": {"generateName": "pod-"}, "spec": _spec(command)}
    return str(cluster.api("POST", f"/api/v1/namespaces/{namespace}/pods", pod)["metadata"]["name"])


def _spec(command: str) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox:test", "imagePullPolicy": "Never", "command": ["sh", "-c", command]}
    return {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
