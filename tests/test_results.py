"""Results: truth, immutability, times, and their way through JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from infrablocks import InfrastructureResult, ProcessResult, Reason, WorkloadStatus

FULL: dict[str, Any] = {
    "identifier": "12",
    "status_code": 3,
    "reason": "Error",
    "message": "It exited with status code 3.",
    "created_at": "2026-01-02T03:04:05.000006Z",
    "started_at": "2026-01-02T03:04:06Z",
    "finished_at": "2026-01-02T03:04:07Z",
}


class Result(InfrastructureResult):
    """What a back end of somebody else returns."""


@pytest.mark.parametrize(("status_code", "truth"), [(0, True), (1, False), (-1, False), (-9, False), (137, False)])
def test_only_zero_is_success(status_code: int, truth: bool) -> None:
    """A result is true when the status code is 0 and false for every other code."""
    assert bool(Result(identifier="1", status_code=status_code)) is truth


def test_the_least_result() -> None:
    """Identifier and status code are enough; the rest is unknown."""
    assert Result(identifier="1", status_code=0).model_dump() == {
        "identifier": "1",
        "status_code": 0,
        "reason": Reason.UNKNOWN,
        "message": "",
        "created_at": None,
        "started_at": None,
        "finished_at": None,
    }


@pytest.mark.parametrize("field", sorted(FULL))
def test_results_do_not_change(field: str) -> None:
    """Nobody can set a field of a result."""
    result = ProcessResult.model_validate(FULL)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(result, field, FULL[field])


@pytest.mark.parametrize("field", ["created_at", "started_at", "finished_at"])
def test_times_without_zone_are_refused(field: str) -> None:
    """A time that does not say its zone is a mistake."""
    with pytest.raises(ValidationError, match="timezone"):
        Result.model_validate({"identifier": "1", "status_code": 0, field: datetime(2026, 1, 2)})  # noqa: DTZ001


def test_times_keep_their_instant() -> None:
    """A time in another zone is the same instant."""
    there = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=5)))
    assert Result(identifier="1", status_code=0, created_at=there).created_at == datetime(2026, 1, 1, 22, tzinfo=UTC)


def test_json_and_back() -> None:
    """JSON holds the whole result, in plain words, and gives the same result back."""
    result = ProcessResult.model_validate(FULL)
    assert result.model_dump(mode="json") == FULL
    assert ProcessResult.model_validate_json(result.model_dump_json()) == result


@pytest.mark.parametrize("missing", ["identifier", "status_code"])
def test_what_a_result_must_have(missing: str) -> None:
    """There is no result without identifier or status code."""
    with pytest.raises(ValidationError, match=missing):
        Result.model_validate({name: value for name, value in FULL.items() if name != missing})


def test_the_words_for_reasons_and_statuses() -> None:
    """Reasons and statuses are texts, in the words of the field."""
    assert {str(reason) for reason in Reason} == set(
        "Completed Error OOMKilled Killed ImagePull InvalidImage ConfigError Unschedulable StartTimeout "  # noqa: SIM905
        "DeadlineExceeded Evicted BackoffLimitExceeded Removed NotStarted Unknown".split()
    )
    assert [str(status) for status in WorkloadStatus] == ["Pending", "Running", "Succeeded", "Failed", "Unknown"]


def test_results_cannot_be_awaited_at_run_time() -> None:
    """That a result can be awaited is told to type checkers only: nobody awaits one twice unnoticed."""
    assert not hasattr(Result(identifier="1", status_code=0), "__await__")
    assert not hasattr(WorkloadStatus.RUNNING, "__await__")


def test_the_base_is_abstract() -> None:
    """Only a back end's own class makes results."""
    with pytest.raises(TypeError, match="InfrastructureResult is abstract"):
        InfrastructureResult(identifier="1", status_code=0)


def test_times_are_utc() -> None:
    """A time of another zone is the same moment, in UTC."""
    moment = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    result = ProcessResult(identifier="1", status_code=0, created_at=moment)
    assert (result.created_at, str(result.created_at)) == (moment, "2026-01-01 10:00:00+00:00")
