"""Deployments and flow runs on a real Prefect server, by its HTTP API."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from tests.processes import WAIT_SECONDS

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
def breaks_off(when_there_is: str = "") -> None:
    while when_there_is and not os.path.exists(when_there_is):
        time.sleep(0.1)
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
        self._client = httpx.Client(base_url=api_url, timeout=WAIT_SECONDS, trust_env=False)

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
        deadline = time.monotonic() + WAIT_SECONDS
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

    def wait_for(self, flow_runs: list[FlowRun], states: set[str]) -> dict[str, int]:
        """Wait until all flow runs are in one of some states, and return how many are in which.

        Raises:
            TimeoutError: Some are not, and nothing has changed for long.
        """
        for found in self.watched(flow_runs):
            counts = Counter(one["state_type"] for one in found)
            if set(counts) <= states:
                return dict(counts)
        raise AssertionError("it is watched until something raises")

    def watched(self, flow_runs: list[FlowRun]) -> Iterator[list[dict[str, Any]]]:
        """Give what the server says of flow runs, again and again.

        Raises:
            TimeoutError: Their states have not changed for long.
        """
        chosen = {"flow_runs": {"id": {"any_": [str(flow_run.id) for flow_run in flow_runs]}}}
        before: dict[str, str] = {}
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            found = self.post("/flow_runs/filter", chosen)
            states = {one["id"]: one["state_type"] for one in found}
            if states != before:
                before, deadline = states, time.monotonic() + WAIT_SECONDS
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing has changed for {WAIT_SECONDS} s: {Counter(states.values())}")
            yield found
            time.sleep(0.2)

    @staticmethod
    def _json(answer: httpx.Response) -> Any:
        answer.raise_for_status()
        return answer.json() if answer.content else None
