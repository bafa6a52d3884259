"""A back end in the way of Prefect 2, with only a `run` and a `preview`, keeps the part of the contract that it has."""

from __future__ import annotations

import os
import shlex
import subprocess
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import anyio
import pytest
from pydantic import SecretStr

from infrablocks import Infrastructure, InfrastructureResult, Reason, WorkloadCreationError
from infrablocks.testing import Capability, InfrastructureConformance, MakeBlock
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from anyio.abc import TaskStatus


class RunOnlyResult(InfrastructureResult):
    """How a command ended."""


class RunOnly(Infrastructure):
    """Waits for a command and keeps its output to itself."""

    type: Literal["run-only"] = "run-only"

    def preview(self) -> str:
        shown = {name: value if isinstance(value, str) else "********" for name, value in self.env.items()}
        return shlex.join([*(f"{name}={value}" for name, value in shown.items()), *self.command])

    async def run(self, task_status: TaskStatus[Any] | None = None) -> RunOnlyResult:  # type: ignore[override]
        identifier, created_at = uuid.uuid4().hex, datetime.now(UTC)
        variables = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in {**os.environ, **self.env}.items()
            if value is not None
        }
        try:
            process = await anyio.open_process(
                self.command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except FileNotFoundError as error:
            raise WorkloadCreationError(f"There is no program {self.command[0]!r}.") from error
        async with process:
            if task_status is not None:
                task_status.started(identifier)
            code = await process.wait()
        return RunOnlyResult(
            identifier=identifier,
            status_code=code,
            reason=Reason.ERROR if code else Reason.COMPLETED,
            message=f"It has ended with status code {code}.",
            created_at=created_at,
            started_at=created_at,
            finished_at=datetime.now(UTC),
        )


class TestRunOnly(InfrastructureConformance):
    """All that can be asked of it."""

    lacks = tuple(Capability)
    seconds_per_check = WAIT_SECONDS

    @pytest.fixture
    def make_block(self) -> MakeBlock:
        return RunOnly
