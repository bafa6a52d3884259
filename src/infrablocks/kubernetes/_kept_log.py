"""What a Job has printed so far, as its nodes have kept it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

from anyio import CancelScope

from infrablocks._output.batches import in_batches
from infrablocks._threads import run_in_worker_thread
from infrablocks.exceptions import UnsupportedOperation
from infrablocks.kubernetes._instances import NOT_KEPT, instances, tell_lost
from infrablocks.kubernetes._job_calls import core_path, list_pods
from infrablocks.kubernetes._pods import pod_state

if TYPE_CHECKING:
    from infrablocks._output import Output
    from infrablocks.kubernetes._client import Cluster
    from infrablocks.kubernetes._instances import Instance
    from infrablocks.kubernetes._job_calls import JobAddress
    from infrablocks.kubernetes._streams import ApiStream

_logger = logging.getLogger("infrablocks.kubernetes-job")

_SILENCE_SECONDS = 60.0


async def copy_kept_log(cluster: Cluster, address: JobAddress, container: str, output: Output) -> None:
    """Copy the logs of a Job's container as far as they go now, pod after pod.

    Of runs of the container whose log is not kept any more, a warning tells.

    Raises:
        UnsupportedOperation: Nothing is kept: its pods are gone.
        InfrastructureNotAvailable: The cluster is out of reach, or does not allow it.
        ApiRefusal: The API server, or the node, cannot give them.
    """

    def look() -> list[Instance]:
        return instances([pod_state(pod, container) for pod in list_pods(cluster, address)])

    found = await run_in_worker_thread(look)
    if not found:
        raise UnsupportedOperation(
            f"Nothing of the output of Kubernetes Job {address.namespace}/{address.name} is kept: it has not started, "
            "or its pods are gone."
        )
    for instance in found:
        if instance.newer > 1:
            tell_lost(_logger, instance.label(address.namespace, container), NOT_KEPT)
        else:
            await _copy(cluster, address.namespace, container, instance, output)


async def _copy(cluster: Cluster, namespace: str, container: str, instance: Instance, output: Output) -> None:
    query = {"container": container} | ({"previous": "true"} if instance.newer else {})
    path = f"{core_path(namespace, 'pods')}/{quote(instance.pod, safe='')}/log"
    stream = cluster.stream(path, query, read_seconds=_SILENCE_SECONDS, reads_ahead=True)
    await output.begin_source(instance.source)
    try:
        await run_in_worker_thread(stream.open)
        chunks = in_batches(stream.chunks())
        while data := await run_in_worker_thread(lambda: next(chunks, b"")):
            await output.write("stdout", data)
    finally:
        await _close(stream)


async def _close(stream: ApiStream) -> None:
    with CancelScope(shield=True):
        await run_in_worker_thread(stream.close)
