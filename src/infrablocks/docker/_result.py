"""How a container stands and how it ended, from what the engine says about it."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infrablocks._exit_codes import hint, signal_of
from infrablocks._results import InfrastructureResult, Reason, WorkloadStatus

_ENDED_FROM_OUTSIDE = {signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM}
_ENDED = frozenset({"exited", "stopped", "dead", "removing"})
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
_NEVER = "0001-01-01"


class DockerContainerResult(InfrastructureResult):
    """How a container ended. Its `identifier` is the container's id; a signal that ended it is 128 plus its number."""


@dataclass(frozen=True)
class ContainerState:
    """What `docker inspect` says about a container.

    Attributes:
        status: Docker's own word, or Podman's.
        exit_code: Means something when `has_ended`; None: the engine does not tell.
        out_of_memory: Whether the kernel killed it for its memory (Podman before 5 does not tell).
        error: Why the engine could not start or keep it; mostly empty.
        created_at: When it was made.
        started_at: When its command started, None: never.
        finished_at: When it ended.
        name: Its name, without a slash.
        tty: Whether it has a terminal.
        restarts: How often its restart policy has started it again.
    """

    status: str
    exit_code: int | None
    out_of_memory: bool
    error: str
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    name: str
    tty: bool
    restarts: int

    @property
    def has_ended(self) -> bool:
        """Whether it ran and runs no more. Between two attempts of a restart policy it has not ended."""
        return self.status in _ENDED

    @property
    def workload_status(self) -> WorkloadStatus:
        """The status in the words of all back ends."""
        match self.status:
            case "created" | "configured" | "initialized":
                return WorkloadStatus.PENDING
            case "running" | "paused" | "restarting" | "stopping":
                return WorkloadStatus.RUNNING
            case "exited" | "stopped" if self.exit_code is not None:
                return WorkloadStatus.FAILED if self.exit_code else WorkloadStatus.SUCCEEDED
            case _:
                return WorkloadStatus.UNKNOWN


def container_state(inspected: dict[str, Any]) -> ContainerState:
    """Read what an engine says about a container."""
    state = inspected.get("State") or {}
    exit_code = state.get("ExitCode")
    started_at, finished_at = parse_time(state.get("StartedAt")), parse_time(state.get("FinishedAt"))
    if started_at and finished_at:
        # Podman notes the start of a container after its end when that comes within milliseconds.
        finished_at = max(started_at, finished_at)
    return ContainerState(
        status=str(state.get("Status", "")).lower(),
        exit_code=None if exit_code is None else int(exit_code),
        out_of_memory=bool(state.get("OOMKilled")),
        error=str(state.get("Error") or "").strip(),
        created_at=parse_time(inspected.get("Created")),
        started_at=started_at,
        finished_at=finished_at,
        name=str(inspected.get("Name", "")).lstrip("/"),
        tty=bool((inspected.get("Config") or {}).get("Tty")),
        restarts=int(inspected.get("RestartCount") or 0),
    )


def parse_time(text: str | None) -> datetime | None:
    """Read an engine's time, which has up to nine digits of a second; None for the zero time and for what is none."""
    match = _TIME.fullmatch(text or "")
    if match is None or match[1].startswith(_NEVER):
        return None
    zone = "+00:00" if match[3] == "Z" else match[3]
    return datetime.fromisoformat(f"{match[1]}.{(match[2] or '0')[:6]:0<6}{zone}").astimezone(UTC)


def ended_result(identifier: str, state: ContainerState) -> DockerContainerResult:
    """Make the result of a container that has ended."""
    reason, message = _reason_and_message(_label(state.name, identifier), state)
    return DockerContainerResult(
        identifier=identifier,
        status_code=-1 if state.exit_code is None else state.exit_code,
        reason=reason,
        message=message,
        created_at=state.created_at,
        started_at=state.started_at,
        finished_at=state.finished_at,
    )


def removed_result(identifier: str, name: str, exit_code: int | None) -> DockerContainerResult:
    """Make the result of a container that is not there any more.

    Args:
        identifier: Its id.
        name: Its name.
        exit_code: What the engine's events said about its end; None: nothing.
    """
    label = _label(name, identifier)
    if exit_code is None:
        message = (
            f"{label} was removed by somebody else before its end was seen; its exit code is not known. "
            "Let infrablocks remove containers (auto_remove=True)."
        )
        return DockerContainerResult(identifier=identifier, status_code=-1, reason=Reason.REMOVED, message=message)
    message = f"{_ended(label, exit_code)} It was removed by somebody else at once."
    return DockerContainerResult(
        identifier=identifier, status_code=exit_code, reason=_reason(exit_code), message=message
    )


def not_started_result(identifier: str, name: str, exit_code: int, answer: str) -> DockerContainerResult:
    """Make the result of a container whose command could not be started.

    Args:
        identifier: Its id.
        name: Its name.
        exit_code: 127 or 126.
        answer: The engine's own words.
    """
    message = (
        f"{_label(name, identifier)} could not be started ({exit_code}: {hint(exit_code)}); check `command` and the "
        f"image. The engine says: {answer}"
    )
    return DockerContainerResult(
        identifier=identifier, status_code=exit_code, reason=Reason.NOT_STARTED, message=message
    )


def _label(name: str, identifier: str) -> str:
    return f"Docker container {(name or identifier[:12])!r}"


def _reason_and_message(label: str, state: ContainerState) -> tuple[Reason, str]:
    if state.exit_code is None:
        reason = Reason.UNKNOWN
        message = f"{label} has ended; the engine does not tell its exit code. Its output may tell how."
    else:
        reason, message = _reason(state.exit_code), _ended(label, state.exit_code)
    if state.error:
        message += f" The engine says: {state.error}"
    if state.out_of_memory and state.exit_code:
        message = (
            f"{label} ran out of memory and was killed (status code {state.exit_code}); raise `mem_limit` or have it "
            "use less."
        )
        return Reason.OOM_KILLED, message
    return reason, message


def _reason(exit_code: int) -> Reason:
    if exit_code == 0:
        return Reason.COMPLETED
    return Reason.KILLED if signal_of(exit_code) in _ENDED_FROM_OUTSIDE else Reason.ERROR


def _ended(label: str, exit_code: int) -> str:
    if exit_code == 0:
        return f"{label} exited cleanly."
    meaning = hint(exit_code)
    return f"{label} exited with status code {exit_code}" + (f" ({meaning})." if meaning else ".")
