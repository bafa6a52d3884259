"""When a node starts a container again."""

from __future__ import annotations

from enum import StrEnum


class KubernetesRestartPolicy(StrEnum):
    """What the `restartPolicy` of a Job's pods may be."""

    ON_FAILURE = "OnFailure"
    NEVER = "Never"
