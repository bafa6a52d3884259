"""When a node pulls an image."""

from __future__ import annotations

from infrablocks._pull_policies import PullPolicy


class KubernetesImagePullPolicy(PullPolicy):
    """When to pull the image of a container. As text any case does, with or without underscores or dashes."""

    IF_NOT_PRESENT = "IfNotPresent"
    ALWAYS = "Always"
    NEVER = "Never"
