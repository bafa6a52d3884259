"""How a run ended: the result, its reason, and the states in between."""

from __future__ import annotations

from abc import ABC
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

# A call that is sync-compatible returns the value itself in a script and a coroutine in a loop. No annotation can tell
# the two apart, so that to a type checker (and to it alone) its result is the value and a coroutine of it: accepted are
# `result = block.run()`, `result = await block.run()` and `await task_group.start(block.run)`.
if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from types import TracebackType
    from typing import Any, Self

    class _CoroutineOfItself(Coroutine[Any, Any, Any]):
        def __await__(self) -> Generator[Any, Any, Self]: ...
        def send(self, value: Any, /) -> Any: ...
        def throw(self, kind: Any, value: Any = None, traceback: TracebackType | None = None, /) -> Any: ...
        def close(self) -> None: ...

    class _AwaitableOfItself:
        def __await__(self) -> Generator[Any, Any, Self]: ...

else:

    class _CoroutineOfItself:
        pass

    class _AwaitableOfItself:
        pass


class Reason(StrEnum):
    """Why a run ended as it did, in the words of the field (Docker's and Kubernetes' own where they have one)."""

    COMPLETED = "Completed"
    ERROR = "Error"
    OOM_KILLED = "OOMKilled"
    KILLED = "Killed"
    IMAGE_PULL = "ImagePull"
    INVALID_IMAGE = "InvalidImage"
    CONFIG_ERROR = "ConfigError"
    UNSCHEDULABLE = "Unschedulable"
    START_TIMEOUT = "StartTimeout"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    EVICTED = "Evicted"
    BACKOFF_LIMIT_EXCEEDED = "BackoffLimitExceeded"
    REMOVED = "Removed"
    NOT_STARTED = "NotStarted"
    UNKNOWN = "Unknown"


class WorkloadStatus(_AwaitableOfItself, StrEnum):
    """Where a workload stands, without watching it."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


UtcDatetime = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class InfrastructureResult(_CoroutineOfItself, BaseModel, ABC):
    """How a run ended. True when the status code is 0.

    Attributes:
        identifier: Names the workload for `kill`, `attach` and `status`.
        status_code: The workload's own exit code; -1 when it is not known or the workload never started. A process
            that a signal ended has the signal's number, negated (-9); a container 128 plus that number (137).
        reason: Why it ended so.
        message: One or two sentences for a person: what happened and what to do.
        created_at: When the workload was made (UTC), None when that is not known.
        started_at: When its command started (UTC), None when that is not known or it never did.
        finished_at: When its command ended (UTC), None when that is not known.
    """

    model_config = ConfigDict(frozen=True)

    identifier: str
    status_code: int
    reason: Reason = Reason.UNKNOWN
    message: str = ""
    created_at: UtcDatetime | None = None
    started_at: UtcDatetime | None = None
    finished_at: UtcDatetime | None = None

    def __new__(cls, *_args: object, **_kwargs: object) -> Self:
        """Refuse to make a result of no back end."""
        if cls is InfrastructureResult:
            raise TypeError("InfrastructureResult is abstract: make a result of a back end's own class")
        return super().__new__(cls)

    def __bool__(self) -> bool:
        return self.status_code == 0
