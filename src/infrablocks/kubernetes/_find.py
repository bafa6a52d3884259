"""Finding a Job by the identifier of its run, to end it, to ask for its status, or to watch it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from infrablocks._watch_records import WatchRecord
from infrablocks.exceptions import InfrastructureNotAvailable, InfrastructureNotFound
from infrablocks.kubernetes._clusters import acquire_cluster, release_cluster
from infrablocks.kubernetes._identifier import parse_identifier
from infrablocks.kubernetes._job_calls import get_job, job_address
from infrablocks.kubernetes._logs import OutputReader
from infrablocks.kubernetes._settings import CONTAINER_ANNOTATION, RUN_LABEL
from infrablocks.kubernetes._state import ending, job_label, pods_of
from infrablocks.kubernetes._watch import JobWorkload

if TYPE_CHECKING:
    from collections.abc import Callable

    from infrablocks._output import OutputPosition
    from infrablocks.kubernetes._client import Cluster
    from infrablocks.kubernetes._identifier import JobIdentifier
    from infrablocks.kubernetes._job_watch import JobSubscription, JobWatch
    from infrablocks.kubernetes.cluster import KubernetesClusterConfig

_logger = logging.getLogger("infrablocks.kubernetes-job")

_LISTED_SECONDS = 60.0
_DEFAULT_CONTAINER = "prefect-job"


def find_job(identifier: str, config: KubernetesClusterConfig | None, namespace: Callable[[], str]) -> JobWorkload:
    """Find a Job. Blocks; for a worker thread.

    Args:
        identifier: That of its run, `cluster:namespace:name:uid`; or without the uid, `namespace/name`, or its name.
        config: Which cluster; None: that of the environment.
        namespace: Says where it is when the identifier does not.

    Raises:
        InfrastructureNotFound: The cluster does not have it (any more).
        InfrastructureNotAvailable: The cluster is out of reach; or the Job is on another one, as its identifier says.
    """
    cluster = acquire_cluster(config)
    try:
        job = _known_job(cluster, identifier, namespace)
    except BaseException:
        release_cluster(cluster)
        raise
    return JobWorkload(cluster, job, container_of(job), _logger)


def reattach_job(
    identifier: str,
    after: OutputPosition | None,
    config: KubernetesClusterConfig | None,
    namespace: Callable[[], str],
    logger: logging.Logger,
    *,
    stream_output: bool = True,
    start_seconds: float = 60.0,
) -> JobWorkload:
    """Find a Job to watch it. Blocks; for a worker thread.

    Args:
        identifier: As for `find_job`.
        after: How far its output was delivered before; None: it comes from the beginning.
        config: As for `find_job`.
        namespace: As for `find_job`.
        logger: Gets what is told about it.
        stream_output: Whether anybody reads its output.
        start_seconds: How long a pod may take to start, from now on.

    Raises:
        InfrastructureNotFound: The cluster does not have it (any more), or no run has made it.
        InfrastructureNotAvailable: The cluster is out of reach; or the Job is on another one, as its identifier says.
    """
    cluster = acquire_cluster(config)
    try:
        job = _known_job(cluster, identifier, namespace)
        address, container = job_address(job), container_of(job)
        run_id = _run_id(job)
        record = WatchRecord(run_id)
        try:
            subscription = _subscription(cluster.job_watch(address.namespace), job, run_id, container)
        except BaseException:
            record.remove()
            raise
    except BaseException:
        release_cluster(cluster)
        raise
    source = None if after is None else after.source
    reader = OutputReader(cluster, address.namespace, container, logger, after_source=source)
    workload = JobWorkload(
        cluster,
        job,
        container,
        logger,
        subscription=subscription,
        reader=reader if stream_output else None,
        start_seconds=start_seconds,
    )
    workload.watch_record = record
    return workload


def _subscription(watch: JobWatch, job: dict[str, Any], run_id: str, container: str) -> JobSubscription:
    """Give what tells of a Job: of one that has ended for good no watch is needed."""
    address = job_address(job)
    label = job_label(address.namespace, address.name)
    if ending(job, (), deleted=False, label=label) is not None:
        subscription = watch.unwatched(run_id)
        subscription.load(job)
        end = ending(job, pods_of(subscription.snapshot(), container), deleted=False, label=label)
        if end is not None and end.is_settled:
            return subscription
    subscription = watch.subscribe(run_id)
    try:
        watch.wait_until_listed(_LISTED_SECONDS)
        subscription.load()
    except BaseException:
        subscription.close()
        raise
    return subscription


def _known_job(cluster: Cluster, identifier: str, namespace: Callable[[], str]) -> dict[str, Any]:
    """Ask the cluster for the Job that is meant, and for no other one that has its name."""
    wanted = parse_identifier(identifier)
    if wanted is None:
        raise _not_there(cluster, identifier, "no Job can have this identifier")
    is_of_cluster = wanted.cluster_id is None or cluster.may_have_id(wanted.cluster_id)
    if wanted.uid is None and not is_of_cluster:
        raise _elsewhere(cluster, wanted)
    its_namespace = namespace() if wanted.namespace is None else wanted.namespace
    job = get_job(cluster, its_namespace, wanted.name)
    if job is not None and wanted.uid in {None, job["metadata"]["uid"]}:
        return job
    if not is_of_cluster:
        raise _elsewhere(cluster, wanted)
    if job is None:
        raise _not_there(cluster, identifier)
    raise _not_there(
        cluster,
        identifier,
        f"the Job with the uid {wanted.uid} is gone, and another one, with the uid {job['metadata']['uid']}, has the "
        f"name {its_namespace}/{wanted.name}",
    )


def _not_there(cluster: Cluster, identifier: str, why: str = "") -> InfrastructureNotFound:
    explained = f": {why}" if why else ""
    return InfrastructureNotFound(
        f"There is no Job {identifier!r} on the Kubernetes cluster at {cluster.address} (any more){explained}."
    )


def _elsewhere(cluster: Cluster, wanted: JobIdentifier) -> InfrastructureNotAvailable:
    """Say that a Job may be on another cluster: one that runs there must not be taken for one that is gone."""
    # With a uid it was looked for here as well, as an address or the authorities of a cluster may change.
    here = "" if wanted.uid is None else f", which has no Job with the uid {wanted.uid}"
    same = "" if wanted.uid is None else " If it is the same cluster under another address, the Job is gone."
    return InfrastructureNotAvailable(
        f"Kubernetes Job {wanted.namespace}/{wanted.name} is on the cluster {wanted.cluster_id}, and this block uses "
        f"the cluster {cluster.cluster_id} at {cluster.address}{here}. Use the cluster_config or context that it was "
        f"made with.{same}"
    )


def _run_id(job: dict[str, Any]) -> str:
    metadata = job["metadata"]
    run_id = (metadata.get("labels") or {}).get(RUN_LABEL)
    if not run_id:
        raise InfrastructureNotFound(
            f"Kubernetes Job {metadata['namespace']}/{metadata['name']} was made by no run of infrablocks (it does not "
            f"have the label {RUN_LABEL}), so that it cannot be attached to."
        )
    return str(run_id)


def container_of(job: dict[str, Any]) -> str:
    """Give the name of the container that runs the command."""
    annotated = (job["metadata"].get("annotations") or {}).get(CONTAINER_ANNOTATION)
    names = [str(each["name"]) for each in job["spec"]["template"]["spec"]["containers"]]
    if annotated in names:
        return str(annotated)
    return _DEFAULT_CONTAINER if _DEFAULT_CONTAINER in names else names[0]
