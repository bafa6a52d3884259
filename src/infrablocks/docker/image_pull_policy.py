"""When an image is pulled."""

from __future__ import annotations

from enum import StrEnum


class ImagePullPolicy(StrEnum):
    """When to pull the image of a container. As text any case does, with or without the underscores."""

    IF_NOT_PRESENT = "IF_NOT_PRESENT"
    ALWAYS = "ALWAYS"
    NEVER = "NEVER"

    @classmethod
    def _missing_(cls, value: object) -> ImagePullPolicy | None:
        """Find `if_not_present`, `if-not-present` and `IfNotPresent` too."""
        if not isinstance(value, str):
            return None
        return next((policy for policy in cls if _letters(policy.value) == _letters(value)), None)


def _letters(text: str) -> str:
    return text.replace("_", "").replace("-", "").lower()
