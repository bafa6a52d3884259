"""The exit codes: the workload's own, and where there is none those of `docker run` and `timeout`."""

from __future__ import annotations

import errno
import signal
from typing import TYPE_CHECKING

from infrablocks import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infrablocks import InfrastructureResult, WorkloadCreationError

FAILED = 1
TIMED_OUT = 124
NOT_RUN = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127
_SIGNALLED = 128
_LARGEST = 255


def of_signal(number: int) -> int:
    """Give the exit code by which a shell tells that a signal ended something."""
    return _SIGNALLED + number


INTERRUPTED = of_signal(signal.SIGINT)
BROKEN_PIPE = of_signal(signal.SIGPIPE)


def of_result(result: InfrastructureResult) -> int:
    """Give the exit code for a run that has ended: the workload's own, where it has one."""
    if result.reason is Reason.DEADLINE_EXCEEDED:
        return TIMED_OUT
    # -1 is also how a process looks that SIGHUP has ended.
    if result.status_code == -1 and result.reason is not Reason.KILLED:
        return NOT_RUN
    if result.status_code < 0:
        return of_signal(-result.status_code)
    return min(result.status_code, _LARGEST)


def of_failed_creation(error: WorkloadCreationError, command: Sequence[str]) -> int:
    """Give the exit code for a run whose workload could not be made: a shell's, where the program is at fault.

    A container whose program is at fault has been made, and has a result with a shell's exit code.
    """
    cause = error.__cause__
    # An error that comes from the program names it; others name the working directory, or nothing.
    if not isinstance(cause, OSError) or cause.filename not in command[:1]:
        return NOT_RUN
    match cause.errno:
        case errno.ENOENT:
            return NOT_FOUND
        case errno.EACCES | errno.EPERM | errno.ENOEXEC | errno.ENOTDIR | errno.EISDIR | errno.E2BIG | errno.ELOOP:
            return NOT_EXECUTABLE
        case _:
            return NOT_RUN
