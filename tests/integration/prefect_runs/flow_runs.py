"""Deployments and flow runs on a real Prefect server, by its HTTP API."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}

FLOWS = """
import os
import time

from prefect import flow


@flow
def succeeds(text: str = "hello") -> None:
    print(text, flush=True)


@flow
def fails() -> None:
    raise RuntimeError("told to fail")


@flow
def breaks_off(seconds: float = 0) -> None:
    time.sleep(seconds)
    os._exit(3)


@flow
def sleeps(seconds: float) -> None:
    time.sleep(seconds)
"""
"""The module `flows.py` whose flows are run."""


@dataclass(frozen=True)
class FlowRun:
    """What a submission needs of a flow run."""

    id: uuid.UUID
    name: str


class PrefectApi:
    """The calls that tests make, as a client that is closed at the end of a `with` block.

    Args:
        api_url: The address that Prefect calls PREFECT_API_URL.
    """

    def __init__(self, api_url: str) -> None:
        self._client = httpx.Client(base_url=api_url, timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._client.close()

    def post(self, path: str, body: object) -> Any:
        """Send a body and return the answer."""
        return self._answer("POST", path, body)

    def get(self, path: str) -> Any:
        """Return the answer."""
        return self._answer("GET", path)

    def _answer(self, method: str, path: str, body: object = None) -> Any:
        # The server says 503 when its database is busy, and has done nothing then.
        deadline = time.monotonic() + 30
        while True:
            answer = self._client.request(method, path, json=body)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                return self._json(answer)
            time.sleep(0.2)

    def work_pool(self, name: str | None = None) -> str:
        """Make a work pool of a kind that no worker of Prefect's own serves, and return its name: a new one or this."""
        name = name or f"pool-{uuid.uuid4().hex[:8]}"
        self.post("/work_pools/", {"name": name, "type": "infrablocks"})
        return name

    def deployment(self, flow: str, directory: Path | str, **settings: Any) -> str:
        """Make a deployment of one of the `FLOWS`, and return its id.

        Args:
            flow: The function's name.
            directory: Where `flows.py` is, as seen by the workload.
            settings: More of a deployment, such as `work_pool_name`.
        """
        flow_id = self.post("/flows/", {"name": flow})["id"]
        step = {"prefect.deployments.steps.set_working_directory": {"directory": str(directory)}}
        body = {"name": uuid.uuid4().hex, "flow_id": flow_id, "entrypoint": f"flows.py:{flow}", "pull_steps": [step]}
        return str(self.post("/deployments/", {**body, **settings})["id"])

    def flow_run(self, deployment: str, **settings: Any) -> FlowRun:
        """Make a flow run of a deployment; it is scheduled for now."""
        made = self.post(f"/deployments/{deployment}/create_flow_run", settings)
        return FlowRun(uuid.UUID(made["id"]), made["name"])

    def state(self, flow_run: FlowRun) -> tuple[str, str, str | None]:
        """Return the type, the name and the message of a flow run's state."""
        state = self.get(f"/flow_runs/{flow_run.id}")["state"]
        return state["type"], state["name"], state["message"]

    def set_state(self, flow_run: FlowRun, kind: str) -> None:
        """Ask for a state, as somebody at the server's user interface does."""
        self.post(f"/flow_runs/{flow_run.id}/set_state", {"state": {"type": kind}, "force": False})

    def wait_for(self, flow_runs: list[FlowRun], states: set[str], seconds: float) -> dict[str, int]:
        """Wait until all flow runs are in one of some states, and return how many are in which.

        Raises:
            TimeoutError: Some are not.
        """
        counts: dict[str, int] = {}
        for counts in self.watched(flow_runs, seconds):
            if set(counts) <= states:
                return counts
        raise TimeoutError(f"not all in {sorted(states)} after {seconds} s: {counts}")

    def watched(self, flow_runs: list[FlowRun], seconds: float) -> Iterator[dict[str, int]]:
        """Give the counts of flow runs in states again and again, for some seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            yield self.counts(flow_runs)
            time.sleep(0.2)

    def counts(self, flow_runs: list[FlowRun]) -> dict[str, int]:
        """Return how many flow runs are in which type of state."""
        chosen = {"id": {"any_": [str(flow_run.id) for flow_run in flow_runs]}}
        counts: dict[str, int] = {}
        for found in self.post("/flow_runs/filter", {"flow_runs": chosen}):
            counts[found["state_type"]] = counts.get(found["state_type"], 0) + 1
        return counts

    @staticmethod
    def _json(answer: httpx.Response) -> Any:
        answer.raise_for_status()
        return answer.json() if answer.content else None
