"""What a pod waits for is told as long as it starts."""

from __future__ import annotations

import logging

from infrablocks._progress import PROGRESS_LISTENER, WaitProgress
from infrablocks.kubernetes._progress import Progress
from tests.kubernetes_state.objects import RUNNING, pod, waiting


def test_steps() -> None:
    """Each phase comes once, and the wait is over when the pod runs, has ended or is gone."""
    told: list[WaitProgress] = []
    token = PROGRESS_LISTENER.set(told.append)
    try:
        progress = Progress(logging.getLogger("test"))
        for _ in range(2):
            progress.tell([pod("Pending", {"main": waiting("ContainerCreating")})])
        progress.tell([pod("Running", {"main": RUNNING}), pod("Pending", name="q", node="")])
        progress.tell([pod("Pending", name="q", deleted=True)])
    finally:
        PROGRESS_LISTENER.reset(token)
    assert told == [
        WaitProgress("Pod p", "Pending (on node n, ContainerCreating)"),
        WaitProgress("Pod p", "Running (on node n)", is_over=True),
        WaitProgress("Pod q", "Pending"),
        WaitProgress("Pod q", "deleted", is_over=True),
    ]
