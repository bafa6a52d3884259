"""Ending a process group: SIGTERM, a grace period, SIGKILL."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from infrablocks.process._process_table import group_members

if TYPE_CHECKING:
    from collections.abc import Callable

# No event tells that a group has become empty. Checks are frequent first, since most commands end at once.
_FIRST_CHECK_SECONDS = 0.005
_CHECK_SECONDS = 0.1
# Processes that are killed while the kernel waits for a disk take their time; others are gone at once.
_GIVE_UP_SECONDS = 30.0


def terminate_group(group: int, start_time: int, grace_seconds: float, hurry: Callable[[], bool]) -> bool:
    """End all processes of a group and wait until they are gone. Blocks: to be called in a worker thread.

    Args:
        group: The number of the group, which is the pid of its first process.
        start_time: When that process started; a group that is led by another one is not touched.
        grace_seconds: How long the processes may take after SIGTERM.
        hurry: Asked at every check; once it says True the grace period is over.

    Returns:
        Whether all of them are gone. False after SIGKILL has had no effect for half a minute.
    """
    if not _send(signal.SIGTERM, group, start_time):
        return True
    if _wait_until_empty(group, start_time, grace_seconds, hurry):
        return True
    _send(signal.SIGKILL, group, start_time)
    return _wait_until_empty(group, start_time, _GIVE_UP_SECONDS, lambda: False)


def _members_exist(group: int, start_time: int) -> bool:
    members = group_members(group)
    return bool(members) and not any(entry.pid == group and entry.start_time != start_time for entry in members)


def _send(number: signal.Signals, group: int, start_time: int) -> bool:
    if not _members_exist(group, start_time):
        return False
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _wait_until_empty(group: int, start_time: int, seconds: float, hurry: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    pause = _FIRST_CHECK_SECONDS
    while _members_exist(group, start_time):
        left = end - time.monotonic()
        if left <= 0 or hurry():
            return False
        time.sleep(min(pause, left))
        pause = min(2 * pause, _CHECK_SECONDS)
    return True
