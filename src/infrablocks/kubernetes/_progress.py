"""What is told in the log while a Job goes its way: the phases of its pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infrablocks._progress import WaitProgress, tell_progress

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence

    from infrablocks.kubernetes._pods import PodState


class Progress:
    """Tells each phase of each pod once."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._told: dict[str, str] = {}

    def tell(self, pods: Sequence[PodState]) -> None:
        """Tell what is new."""
        for pod in pods:
            text = _phase(pod)
            if self._told.get(pod.uid) != text:
                self._told[pod.uid] = text
                self._logger.info("Pod %s: %s", pod.name, text)
                is_starting = pod.phase == "Pending" and not pod.is_deleted
                tell_progress(WaitProgress(f"Pod {pod.name}", text, is_over=not is_starting))


def _phase(pod: PodState) -> str:
    if pod.is_deleted:
        return "deleted"
    details = [f"on node {pod.node}"] if pod.node else []
    scheduled = pod.conditions.get("PodScheduled")
    if not pod.node and scheduled is not None and scheduled.get("status") == "False":
        details.append(str(scheduled.get("reason") or ""))
    if pod.reason:
        details.append(pod.reason)
    details.extend(each.waiting_reason for each in pod.all_containers if each.waiting_reason)
    if pod.is_deleting:
        details.append("ending")
    words = ", ".join(dict.fromkeys(filter(None, details)))
    return pod.phase + (f" ({words})" if words else "")
