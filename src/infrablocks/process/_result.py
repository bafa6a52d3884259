"""How a process ended."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from infrablocks._exit_codes import hint, signal_of
from infrablocks._results import InfrastructureResult, Reason

if TYPE_CHECKING:
    from datetime import datetime


_ENDED_FROM_OUTSIDE = {signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM}


class ProcessResult(InfrastructureResult):
    """How a process ended. Its `identifier` is the pid; a signal that ended it is its `status_code`, negated."""


def process_result(
    *, pid: int, label: str, status_code: int | None, created_at: datetime, started_at: datetime, finished_at: datetime
) -> ProcessResult:
    """Make the result of a process.

    Args:
        pid: Its number.
        label: Its name for people.
        status_code: Its exit code or negated signal; None when somebody else has taken it from us.
        created_at: When it was about to be started.
        started_at: When it ran.
        finished_at: When its end was seen.
    """
    reason, message = _reason_and_message(label, status_code)
    return ProcessResult(
        identifier=str(pid),
        status_code=-1 if status_code is None else status_code,
        reason=reason,
        message=message,
        created_at=created_at,
        started_at=started_at,
        finished_at=finished_at,
    )


def _reason_and_message(label: str, status_code: int | None) -> tuple[Reason, str]:
    if status_code is None:
        return Reason.UNKNOWN, (
            f"{label} ended, but its status code is lost: this program ignores SIGCHLD, or waits for children that are "
            "not its own. Do not do that where processes are run."
        )
    if status_code == 0:
        return Reason.COMPLETED, f"{label} exited cleanly."
    meaning = hint(status_code)
    message = f"{label} exited with status code {status_code}" + (f" ({meaning})." if meaning else ".")
    killed = status_code < 0 and signal_of(status_code) in _ENDED_FROM_OUTSIDE
    return Reason.KILLED if killed else Reason.ERROR, message
