"""Calls about one Job that several parts make."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from infrablocks._pauses import GIVE_UP_SECONDS, Pauses
from infrablocks._threads import cancellation_requested
from infrablocks.exceptions import InfrastructureError
from infrablocks.kubernetes._errors import CONFLICT, NOT_FOUND, AccessRefused, ApiRefusal, ClusterUnreachable
from infrablocks.kubernetes._identifier import JobIdentifier
from infrablocks.kubernetes._start import JobEvent, job_events

if TYPE_CHECKING:
    import logging

    from infrablocks.kubernetes._client import Cluster

# No pod of a Job goes before the cluster's own controllers have seen it. When the API server was away, of which we may
# have noticed nothing ourselves, they may look again only after a minute.
_REMOVE_SECONDS = 75.0
_CANCELLED_SECONDS = 30.0
_REQUEST_SECONDS = 15.0
_MOST_EVENTS = 50


@dataclass(frozen=True)
class JobAddress:
    """Where a Job is.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        uid: The cluster's own id of it: another Job may have its name later.
    """

    namespace: str
    name: str
    uid: str

    @property
    def path(self) -> str:
        """Its path in the API."""
        return job_path(self.namespace, self.name)

    def identifier(self, cluster_id: str) -> str:
        """Give its identifier on a cluster."""
        return str(JobIdentifier(cluster_id, self.namespace, self.name, self.uid))


def jobs_path(namespace: str) -> str:
    """Give the path of all Jobs of a namespace."""
    return f"/apis/batch/v1/namespaces/{quote(namespace, safe='')}/jobs"


def job_path(namespace: str, name: str) -> str:
    """Give the path of a Job."""
    return f"{jobs_path(namespace)}/{quote(name, safe='')}"


def core_path(namespace: str, kind: str) -> str:
    """Give the path of all objects of a kind of the core API, such as `pods`."""
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/{kind}"


def job_address(job: dict[str, Any]) -> JobAddress:
    """Say where a Job is."""
    metadata = job["metadata"]
    return JobAddress(str(metadata["namespace"]), str(metadata["name"]), str(metadata["uid"]))


def get_job(cluster: Cluster, namespace: str, name: str) -> dict[str, Any] | None:
    """Ask for a Job; None: there is none of this name."""
    try:
        return cluster.call("GET", job_path(namespace, name))
    except ApiRefusal as error:
        if error.status == NOT_FOUND:
            return None
        raise


def is_there(cluster: Cluster, address: JobAddress) -> bool:
    """Say whether a Job is still there."""
    job = get_job(cluster, address.namespace, address.name)
    return job is not None and job["metadata"]["uid"] == address.uid


def list_pods(cluster: Cluster, address: JobAddress) -> list[dict[str, Any]]:
    """List the pods of a Job, the oldest first; the API has them by their names."""
    query = {"labelSelector": f"controller-uid={address.uid}"}
    listed = cluster.call("GET", core_path(address.namespace, "pods"), query=query)
    return sorted(listed.get("items") or [], key=lambda pod: str(pod["metadata"].get("creationTimestamp")))


def list_events(cluster: Cluster, namespace: str, uid: str) -> tuple[JobEvent, ...]:
    """List what the cluster has noted about a Job or a pod; nothing, where that is not allowed or does not work."""
    query = {"fieldSelector": f"involvedObject.uid={uid}", "limit": _MOST_EVENTS}
    try:
        return job_events(
            cluster.call("GET", core_path(namespace, "events"), query=query, read_seconds=_REQUEST_SECONDS)
        )
    except InfrastructureError:
        return ()


def delete_job(cluster: Cluster, address: JobAddress, *, waits_for_pods: bool = True) -> None:
    """Have a Job deleted, and its pods; does not wait for that. One that is gone is no error.

    https://kubernetes.io/docs/concepts/architecture/garbage-collection/#cascading-deletion

    Args:
        cluster: Where it is.
        address: Which it is.
        waits_for_pods: Whether the Job stays until its pods are gone. It can be told first to stay and then to go.

    Raises:
        ApiRefusal: The API server says no.
        InfrastructureNotAvailable: It is out of reach.
    """
    policy = "Foreground" if waits_for_pods else "Background"
    delete_object(cluster, address.path, address.uid, propagationPolicy=policy)


def delete_pod(cluster: Cluster, namespace: str, name: str, uid: str, grace_seconds: int) -> None:
    """Have a pod deleted, with time to end by itself; does not wait for that. One that is gone is no error."""
    path = f"{core_path(namespace, 'pods')}/{quote(name, safe='')}"
    delete_object(cluster, path, uid, gracePeriodSeconds=grace_seconds)


def delete_object(cluster: Cluster, path: str, uid: str, **options: Any) -> None:
    """Have one object deleted, and never another one that has its name. One that is gone is no error.

    Args:
        cluster: Where it is.
        path: Its path in the API.
        uid: The cluster's own id of it.
        options: More fields of `DeleteOptions`.

    Raises:
        ApiRefusal: The API server says no.
        InfrastructureNotAvailable: It is out of reach.
    """
    body = {"apiVersion": "v1", "kind": "DeleteOptions", **options, "preconditions": {"uid": uid}}
    try:
        cluster.call("DELETE", path, body=body)
    except ApiRefusal as error:
        if error.status not in {NOT_FOUND, CONFLICT}:  # conflict: the name belongs to another one by now
            raise


def remove_job(
    cluster: Cluster, address: JobAddress, logger: logging.Logger, *, out_of_reach_seconds: float = GIVE_UP_SECONDS
) -> bool:
    """Delete a Job and wait until it and its pods are gone. What does not work is told in the log.

    Args:
        cluster: Where it is.
        address: Which it is.
        logger: Gets what goes wrong.
        out_of_reach_seconds: How long to wait for a cluster that is out of reach, or does not allow it; not when the
            call was cancelled.

    Returns:
        Whether it is gone.
    """
    pauses, begun = Pauses(), time.monotonic()
    deadline = begun + _REMOVE_SECONDS
    while True:
        try:
            delete_job(cluster, address)
            job_is_there = is_there(cluster, address)
            # Listed after that: the controller may have made a pod while the Job went, which nothing has waited for.
            pods = list_pods(cluster, address)
            for pod in pods:
                metadata = pod["metadata"]
                delete_pod(cluster, address.namespace, metadata["name"], metadata["uid"], 1)
            if not job_is_there and not pods:
                return True
            problem = "its pods take long to end"
        except InfrastructureError as error:
            problem = str(error)
            if isinstance(error, AccessRefused):  # by an API server that starts, say: that passes
                deadline = min(deadline, begun + out_of_reach_seconds)
            if isinstance(error, ClusterUnreachable):
                deadline = max(deadline, min(time.monotonic() + _REMOVE_SECONDS, begun + out_of_reach_seconds))
        if time.monotonic() >= (begun + _CANCELLED_SECONDS if cancellation_requested() else deadline):
            break
        time.sleep(pauses.next())
    logger.warning("Kubernetes Job %s/%s is not gone yet: %s", address.namespace, address.name, problem)
    return False
