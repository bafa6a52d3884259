"""The facts that the settings of a container depend on, made up."""

from __future__ import annotations

from typing import Any

from infrablocks.docker._settings import Facts


def facts(**changes: Any) -> Facts:
    """Give the facts of a Linux machine with Prefect, in which nothing is set."""
    made_up: dict[str, Any] = {
        "base_environment": {},
        "platform": "linux",
        "prefect_version": "3.1.0",
        "version": "0.1.0",
        "folder": "/srv",
        "home": "/home/me",
    }
    return Facts(**{**made_up, **changes})
