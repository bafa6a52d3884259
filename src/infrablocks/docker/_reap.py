"""Containers of our runs that no agent watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infrablocks._reaping import LeftWorkload
from infrablocks._results import WorkloadStatus
from infrablocks._watch_records import agent_host, watched_keys
from infrablocks.docker._calls import inspect_container, stop_container
from infrablocks.docker._client import borrowed_engine
from infrablocks.docker._errors import CONFLICT, NOT_FOUND, EngineRefusal
from infrablocks.docker._events import HOST_LABEL, RUN_LABEL
from infrablocks.exceptions import InfrastructureError

if TYPE_CHECKING:
    from infrablocks.docker._result import ContainerState


class LeftContainer(LeftWorkload):
    """A container that no agent watches.

    Args:
        container_id: Its full id.
        run_id: That of its run.
        state: How it stands.
    """

    def __init__(self, container_id: str, run_id: str, state: ContainerState) -> None:
        self.identifier = container_id
        self.key = run_id
        self.status = state.workload_status
        # One that was made and not started never will be: who would have done so is gone.
        self.is_active = self.status is WorkloadStatus.RUNNING
        self.created_at = state.created_at

    def kill(self, grace_seconds: float) -> None:
        """Stop it."""
        with borrowed_engine() as engine:
            stop_container(engine, self.identifier, grace_seconds)

    def remove(self) -> None:
        """Remove it and its nameless volumes, if it does not run."""
        try:
            with borrowed_engine() as engine:
                engine.call(lambda session: session.remove_container(self.identifier, v=True))
        except EngineRefusal as error:
            if error.status == NOT_FOUND or (error.status == CONFLICT and "in progress" in error.answer):
                return
            raise InfrastructureError(f"Docker container {self.identifier} was not removed: {error.answer}") from error


def find_left_containers(*, other_hosts: bool) -> list[LeftContainer]:
    """Find the containers of our runs on the engine in use that no agent watches. Blocks.

    Args:
        other_hosts: Also those of whose agents nothing can be known here.

    Raises:
        InfrastructureNotAvailable: The engine is out of reach.
    """
    left = []
    with borrowed_engine() as engine:
        listed = engine.containers({"label": RUN_LABEL}, also_ended=True)
        here, watched = agent_host(), watched_keys(other_hosts=other_hosts)
        for container in listed:
            labels = container.get("Labels") or {}
            run_id = str(labels.get(RUN_LABEL, ""))
            of_here = here is not None and labels.get(HOST_LABEL) == here
            if not run_id or run_id in watched or not (of_here or other_hosts):
                continue
            container_id = str(container["Id"])
            state = inspect_container(engine, container_id)
            if state is not None:
                left.append(LeftContainer(container_id, run_id, state))
    return left
