"""Ending a Job: SIGTERM for its pods, SIGKILL after the grace period, and back when it is gone and nothing of it runs.

Deleting a Job hands no grace period down to its pods: they would have that of their template, and a node that has
begun with one does not reliably take another. So the pods are deleted first, with the grace period that was asked for,
and the Job right after, which stays until they have ended. A pod that it makes in between goes with it, before its node
has got to start it.

A node takes up to a second to tidy up after a pod whose containers have ended; only then does the pod's object go. That
is not waited for. A node gives every container two seconds at least.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from infrablocks._pauses import GIVE_UP_SECONDS, Pauses
from infrablocks._threads import cancellation_requested
from infrablocks.exceptions import InfrastructureError
from infrablocks.kubernetes._errors import AccessRefused, ApiRefusal, ClusterUnreachable
from infrablocks.kubernetes._job_calls import delete_job, delete_pod, is_there, list_pods
from infrablocks.kubernetes._pods import pod_state

if TYPE_CHECKING:
    from infrablocks.kubernetes._client import Cluster
    from infrablocks.kubernetes._job_calls import JobAddress

# A node whose API server was away may look again only after a minute.
_SLOW_NODE_SECONDS = 75.0
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 0.2
_LOOK_SECONDS = 0.1


def kill_job(cluster: Cluster, address: JobAddress, grace_seconds: float) -> None:
    """End a Job and return when it is gone and its pods have ended; one that is gone already is no error.

    For a worker thread. When its task is cancelled meanwhile, the grace period is over.

    Args:
        cluster: Where it is.
        address: Which it is.
        grace_seconds: How long its pods may take to end by themselves.

    Raises:
        InfrastructureNotAvailable: The cluster is out of reach, or does not allow it.
        InfrastructureError: It is not gone in time.
    """
    _Kill(cluster, address, max(1, math.ceil(grace_seconds))).run()


class _Kill:
    def __init__(self, cluster: Cluster, address: JobAddress, grace_seconds: int) -> None:
        self._cluster = cluster
        self._address = address
        self._grace_seconds = grace_seconds
        self._job_told = False
        self._told: set[tuple[str, int]] = set()
        self._pods: list[dict[str, Any]] = []  # that have not ended
        begun = time.monotonic()
        self._deadline = begun + grace_seconds + _SLOW_NODE_SECONDS
        self._last_deadline = max(self._deadline, begun + GIVE_UP_SECONDS)

    def run(self) -> None:
        pauses = Pauses(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        while not self._is_gone():
            if time.monotonic() > self._deadline:
                raise self._not_gone()
            if not _wait(pauses.next(), until_cancelled=self._grace_seconds > 1):
                self._grace_seconds = 1

    def _is_gone(self) -> bool:
        """Tell whatever is there to go, and say whether it is gone."""
        try:
            self._pods = [pod for pod in list_pods(self._cluster, self._address) if not _has_ended(pod)]
            self._tell_pods()
            if not self._job_told:
                delete_job(self._cluster, self._address)
                self._job_told = True
                return False  # it may have made another pod just now
            return not self._pods and self._job_is_gone()
        except ClusterUnreachable:
            if cancellation_requested():
                raise
            # It may be starting again, and only then does the node hear of anything.
            later = time.monotonic() + self._grace_seconds + _SLOW_NODE_SECONDS
            self._deadline = min(later, self._last_deadline)
            return False
        except ApiRefusal as error:
            if isinstance(error, AccessRefused):
                raise
            raise InfrastructureError(f"{self._label} could not be ended: {error.message}") from error

    def _job_is_gone(self) -> bool:
        """Have the Job go, whose pods have ended, and say whether it is gone."""
        if not is_there(self._cluster, self._address):
            return True
        delete_job(self._cluster, self._address, waits_for_pods=False)
        return not is_there(self._cluster, self._address)

    def _tell_pods(self) -> None:
        for pod in self._pods:
            metadata = pod["metadata"]
            told = (str(metadata["uid"]), self._grace_seconds)
            if told not in self._told:
                delete_pod(self._cluster, self._address.namespace, metadata["name"], metadata["uid"], told[1])
                self._told.add(told)

    @property
    def _label(self) -> str:
        return f"Kubernetes Job {self._address.namespace}/{self._address.name}"

    def _not_gone(self) -> InfrastructureError:
        where = ", ".join(
            f"{pod['metadata']['name']} on node {(pod.get('spec') or {}).get('nodeName') or 'none'}"
            for pod in self._pods
        )
        return InfrastructureError(
            f"{self._label} was told to end and is not gone yet: {where or 'something holds it (finalizers)'}. "
            "Look whether the node is ready."
        )


def _has_ended(pod: dict[str, Any]) -> bool:
    """Say whether nothing of a pod runs: one that was evicted may be called failed while its containers still end."""
    state = pod_state(pod, "")
    return state.has_ended and not any(container.is_running for container in state.all_containers)


def _wait(seconds: float, *, until_cancelled: bool) -> bool:
    """Wait; False: the task was cancelled."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if until_cancelled and cancellation_requested():
            return False
        time.sleep(min(left, _LOOK_SECONDS))
    return True
