"""The runs of our container within a Job, each of which has a log of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence

    from infrablocks.kubernetes._pods import PodState

NOT_KEPT = "it is not kept any more"
"""Why the log of a run cannot be read that has more than one newer one."""


@dataclass(frozen=True)
class Instance:
    """One run of our container: a pod may start it again.

    Attributes:
        pod: Name of the pod.
        uid: The cluster's id of the pod.
        number: How often the container was started before in this pod.
        newer: How often it was started since; only the log of the newest and that of the one before are kept.
        has_ended: Whether it runs no more.
    """

    pod: str
    uid: str
    number: int
    newer: int
    has_ended: bool

    @property
    def source(self) -> str:
        """Names it in a cursor."""
        return f"{self.pod}/{self.number}"

    def label(self, namespace: str, container: str) -> str:
        """Name it for people."""
        return f"container {container!r} of pod {namespace}/{self.pod}"


def instances(pods: Sequence[PodState]) -> list[Instance]:
    """Give all that have run, the oldest first.

    Args:
        pods: The pods of a Job, the oldest first.
    """
    found = []
    for pod in pods:
        container = pod.container
        if container is None or not container.has_run:
            continue
        for number in range(container.restarts + 1):
            newer = container.restarts - number
            ended = newer > 0 or not container.is_running or pod.is_deleted
            found.append(Instance(pod.name, pod.uid, number, newer, ended))
    return found


def tell_lost(logger: logging.Logger, label: str, why: str) -> None:
    """Warn that what a run of the container printed cannot be read."""
    logger.warning("Output of %s is lost, its log cannot be read: %s", label, why)
