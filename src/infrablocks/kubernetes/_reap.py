"""Jobs of our runs, and their Secrets, that no agent watches."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from infrablocks._reaping import LeftWorkload
from infrablocks._results import WorkloadStatus
from infrablocks._watch_records import agent_host, watched_keys
from infrablocks.exceptions import InfrastructureError
from infrablocks.kubernetes._clusters import borrowed_cluster
from infrablocks.kubernetes._errors import AccessRefused
from infrablocks.kubernetes._find import container_of
from infrablocks.kubernetes._job_calls import core_path, delete_object, job_address, jobs_path, remove_job
from infrablocks.kubernetes._kill import kill_job
from infrablocks.kubernetes._pods import parse_time, pod_state
from infrablocks.kubernetes._settings import HOST_ANNOTATION, RUN_LABEL
from infrablocks.kubernetes._state import workload_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infrablocks.kubernetes._client import Cluster
    from infrablocks.kubernetes.cluster import KubernetesClusterConfig

logger = logging.getLogger("infrablocks.kubernetes-job")

_PAGE = 200


class LeftJob(LeftWorkload):
    """A Job that no agent watches.

    Args:
        cluster_id: Which cluster it is on.
        config: How to reach that.
        job: What the cluster said about it.
        status: How it stands.
    """

    def __init__(
        self, cluster_id: str, config: KubernetesClusterConfig | None, job: dict[str, Any], status: WorkloadStatus
    ) -> None:
        self._config = config
        self._address = job_address(job)
        self.identifier = self._address.identifier(cluster_id)
        self.key = _run_id(job)
        self.status = status
        self.is_active = status not in {WorkloadStatus.SUCCEEDED, WorkloadStatus.FAILED}
        self.created_at = parse_time(job["metadata"].get("creationTimestamp"))

    def kill(self, grace_seconds: float) -> None:
        """End its pods and delete it."""
        with borrowed_cluster(self._config) as cluster:
            kill_job(cluster, self._address, grace_seconds)

    def remove(self) -> None:
        """Delete it with its pods and its Secret."""
        with borrowed_cluster(self._config) as cluster:
            if not remove_job(cluster, self._address, logger, out_of_reach_seconds=0):
                raise InfrastructureError(f"Kubernetes Job {self._address.namespace}/{self._address.name} is not gone.")


class LeftSecret(LeftWorkload):
    """The Secret of a run whose Job is not there.

    Args:
        cluster_id: Which cluster it is on.
        config: How to reach that.
        secret: What the cluster said about it.
    """

    def __init__(self, cluster_id: str, config: KubernetesClusterConfig | None, secret: dict[str, Any]) -> None:
        metadata = secret["metadata"]
        self._config = config
        self._namespace, self._name = str(metadata["namespace"]), str(metadata["name"])
        self._uid = str(metadata["uid"])
        self.identifier = f"{cluster_id}:{self._namespace}:secrets/{self._name}:{self._uid}"
        self.key = _run_id(secret)
        self.status = WorkloadStatus.PENDING
        self.is_active = False
        self.created_at = parse_time(metadata.get("creationTimestamp"))

    def kill(self, grace_seconds: float) -> None:
        """Do nothing: it does not run."""

    def remove(self) -> None:
        """Delete it, unless its Job has come meanwhile."""
        path = f"{core_path(self._namespace, 'secrets')}/{quote(self._name, safe='')}"
        with borrowed_cluster(self._config) as cluster:
            if any(_listed(cluster, jobs_path(self._namespace), f"{RUN_LABEL}={self.key}")):
                return
            delete_object(cluster, path, self._uid)


def find_left_jobs(config: KubernetesClusterConfig | None, namespace: str, *, other_hosts: bool) -> list[LeftWorkload]:
    """Find the Jobs of our runs in a namespace that no agent watches, and Secrets without a Job. Blocks.

    Args:
        config: Which cluster; None: that of the environment.
        namespace: Where to look.
        other_hosts: Also those of whose agents nothing can be known here.

    Raises:
        InfrastructureNotAvailable: The cluster is out of reach, or does not allow it.
    """
    with borrowed_cluster(config) as cluster:
        jobs = list(_listed(cluster, jobs_path(namespace), RUN_LABEL))
        secrets = _secrets(cluster, namespace)
        here, watched = agent_host(), watched_keys(other_hosts=other_hosts)

        def is_left(item: dict[str, Any]) -> bool:
            made_at = (item["metadata"].get("annotations") or {}).get(HOST_ANNOTATION)
            of_here = here is not None and made_at == here
            return _run_id(item) not in watched and (of_here or other_hosts)

        left_jobs = [job for job in jobs if is_left(job)]
        pods = _pods_by_job(cluster, namespace) if left_jobs else {}
        left: list[LeftWorkload] = []
        for job in left_jobs:
            container = container_of(job)
            states = [pod_state(pod, container) for pod in pods.get(str(job["metadata"]["uid"]), [])]
            left.append(LeftJob(cluster.cluster_id, config, job, workload_status(job, states)))
        with_job = {_run_id(job) for job in jobs}
        left += [
            LeftSecret(cluster.cluster_id, config, secret)
            for secret in secrets
            if _run_id(secret) not in with_job and is_left(secret)
        ]
    return left


def _listed(cluster: Cluster, path: str, selector: str) -> Iterator[dict[str, Any]]:
    query: dict[str, Any] = {"labelSelector": selector, "limit": _PAGE}
    while True:
        page = cluster.call("GET", path, query=query)
        yield from page.get("items") or []
        following = (page.get("metadata") or {}).get("continue")
        if not following:
            return
        query["continue"] = following


def _secrets(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    try:
        return list(_listed(cluster, core_path(namespace, "secrets"), RUN_LABEL))
    except AccessRefused as error:  # a run does not need to read Secrets
        logger.debug("Secrets without a Job are not looked for: %s", error)
        return []


def _pods_by_job(cluster: Cluster, namespace: str) -> dict[str, list[dict[str, Any]]]:
    pods: dict[str, list[dict[str, Any]]] = {}
    listed = sorted(
        _listed(cluster, core_path(namespace, "pods"), RUN_LABEL),
        key=lambda pod: str(pod["metadata"]["creationTimestamp"]),
    )
    for pod in listed:
        owner = str((pod["metadata"].get("labels") or {}).get("controller-uid"))
        pods.setdefault(owner, []).append(pod)
    return pods


def _run_id(item: dict[str, Any]) -> str:
    return str((item["metadata"].get("labels") or {}).get(RUN_LABEL))
