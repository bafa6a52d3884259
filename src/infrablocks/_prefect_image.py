"""The image that containers and Jobs use when none is given: Prefect's own."""

from __future__ import annotations

import re
import sys

_LATEST_MAJOR = "3"
_LONGEST_TAG = 128
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")


def get_prefect_image_name(
    prefect_version: str | None = None, python_version: str | None = None, flavor: str | None = None
) -> str:
    """Give the name of the Prefect image that fits the installed Prefect and this Python.

    Args:
        prefect_version: Version of Prefect; None for that of the installed distribution, or `3` where there is none. A
            local version (`3.1.0+4.gabc`) has no image of its own and stands for `dev`.
        python_version: Version of Python, such as `3.12`; None for this one's.
        flavor: Variant of the image, such as `conda` or `kubernetes`.

    Returns:
        `prefecthq/prefect:<version>-python<X.Y>[-flavor]`.
    """
    from infrablocks import _versions  # noqa: PLC0415 - it costs import time

    version = prefect_version or _versions.PREFECT or _LATEST_MAJOR
    if "+" in version:
        version = "dev"
    python_version = python_version or f"{sys.version_info.major}.{sys.version_info.minor}"
    tag = _tag(f"{version}-python{python_version}" + (f"-{flavor}" if flavor else ""))
    return f"prefecthq/prefect:{tag}"


def _tag(text: str) -> str:
    if _TAG.fullmatch(text):
        return text
    from slugify import slugify  # noqa: PLC0415 - it costs import time

    slug: str = slugify(text, lowercase=False, max_length=_LONGEST_TAG, regex_pattern=r"[^a-zA-Z0-9_.-]+")
    return slug.lstrip(".-")
