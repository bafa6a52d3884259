"""When an image is pulled."""

from __future__ import annotations

from infrablocks._pull_policies import PullPolicy


class ImagePullPolicy(PullPolicy):
    """When to pull the image of a container. As text any case does, with or without the underscores."""

    IF_NOT_PRESENT = "IF_NOT_PRESENT"
    ALWAYS = "ALWAYS"
    NEVER = "NEVER"
