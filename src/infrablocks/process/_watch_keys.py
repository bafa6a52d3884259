"""What the watch of a process is recorded under, known before anybody else can find the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


def started_key(pid: int, start_time: int) -> str:
    """Give the key of a process that ends with its agent, or has lost it."""
    return f"{pid}-{start_time}"


def detached_key(created_at: datetime) -> str:
    """Give the key of a detached process, whose pid is not known to its agent before it runs."""
    return f"detached-{round(created_at.timestamp() * 1_000_000)}"
