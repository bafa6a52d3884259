"""What an orchestration agent calls for one flow run: the block prepared for it, and run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from infrablocks._sync_compatible import sync_compatible
from infrablocks._threads import run_in_worker_thread

if TYPE_CHECKING:
    from uuid import UUID

    from anyio.abc import TaskStatus

    from infrablocks.base import Infrastructure, InfrastructureResult

__all__ = [
    "FlowRun",
    "base_flow_run_environment",
    "base_flow_run_labels",
    "prepare_for_flow_run",
    "submit_flow_run",
]

InfrastructureT = TypeVar("InfrastructureT", bound="Infrastructure")


class FlowRun(Protocol):
    """What is needed of a flow run: any object with these two will do, such as the one of Prefect's own client."""

    @property
    def id(self) -> UUID:
        """Its id on the server."""

    @property
    def name(self) -> str:
        """Its name."""


def base_flow_run_environment(flow_run: FlowRun) -> dict[str, str]:
    """Give the variables that tell the engine in the workload which flow run it is to run."""
    return {"PREFECT__FLOW_RUN_ID": flow_run.id.hex}


def base_flow_run_labels(flow_run: FlowRun) -> dict[str, str]:
    """Give the labels of a flow run's workload; that of the version only where a Prefect is installed."""
    from infrablocks import _versions  # noqa: PLC0415 - reads the versions of what is installed

    labels = {"prefect.io/flow-run-id": str(flow_run.id), "prefect.io/flow-run-name": flow_run.name}
    if _versions.PREFECT is not None:
        labels["prefect.io/version"] = _versions.PREFECT
    return labels


def prepare_for_flow_run(flow_run: FlowRun, infrastructure: InfrastructureT) -> InfrastructureT:
    """Give a copy of a block that runs a flow run; what the block says itself wins.

    Args:
        flow_run: The flow run.
        infrastructure: The block, which is not changed.

    Returns:
        The copy: with the variables and labels of the flow run under the block's own, and with its name where the block
        has none.
    """
    name = infrastructure.name
    return infrastructure.model_copy(
        update={
            "env": {**base_flow_run_environment(flow_run), **infrastructure.env},
            "labels": {**base_flow_run_labels(flow_run), **infrastructure.labels},
            "name": flow_run.name if name is None else name,
        }
    )


@sync_compatible
async def submit_flow_run(
    flow_run: FlowRun, infrastructure: Infrastructure, task_status: TaskStatus[Any] | None = None
) -> InfrastructureResult:
    """Run a flow run with a block, and watch it to its end.

    Args:
        flow_run: The flow run.
        infrastructure: The block, which is not changed.
        task_status: As for `Infrastructure.run`.

    Returns:
        How the workload ended. How the flow run ended is told to the server by the engine inside of it.

    Raises:
        ValueError: The block's command is empty.
        InfrastructureError: The workload could not be made, or its end could not be found out.
    """
    # The version of Prefect is read from files the first time.
    prepared = await run_in_worker_thread(lambda: prepare_for_flow_run(flow_run, infrastructure))
    return await prepared.run(task_status=task_status)
