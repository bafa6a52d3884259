"""The versions that containers and Jobs are labelled with. To be imported where they are needed: reading costs time."""

from __future__ import annotations

from importlib import metadata


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


INFRABLOCKS = _installed("infrablocks")
"""Version of this library, None where it runs from a checkout without being installed."""

PREFECT = _installed("prefect")
"""Version of the installed Prefect, None where there is none."""
