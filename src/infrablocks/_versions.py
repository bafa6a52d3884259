"""Versions of installed distributions."""

from __future__ import annotations


def installed_version(distribution: str) -> str | None:
    """Give the version of an installed distribution, or None when it is not installed."""
    from importlib import metadata  # noqa: PLC0415 - it costs import time

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
