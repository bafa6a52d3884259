"""An agent in one file: it runs the flow runs of a work pool of a Prefect 3 server, with a block of infrablocks.

    PREFECT_API_URL=http://127.0.0.1:4200/api python agent.py --pool my-pool --block process.yaml --limit 10

What it must remember is kept on the server, as the `infrastructure_pid` of a flow run. So it may be killed at any time:
the next one attaches to what runs, if that outlives an agent, as containers, Jobs and `detached: true` processes do.
"""

import argparse
import logging
import os
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import anyio
import httpx
from anyio.abc import TaskGroup

from infrablocks import Infrastructure, InfrastructureError, InfrastructureNotAvailable, InfrastructureNotFound
from infrablocks.base import InfrastructureResult
from infrablocks.submission import submit_flow_run

logger = logging.getLogger("agent")


class FlowRun:
    """What the server says of a flow run."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.id, self.name, self.data = UUID(data["id"]), str(data["name"]), data


@dataclass
class Server:
    """The Prefect API. Every call waits until the server answers: while it is away there is nothing else to do."""

    client: httpx.AsyncClient

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Make a request, again and again while the server is away, and return its answer; None for 404."""
        pause = 0.5
        while True:
            try:
                answer = await self.client.request(method, path, json=body)
                if not answer.is_server_error and answer.status_code not in {408, 429}:
                    is_nothing = answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.NO_CONTENT}
                    return None if is_nothing else answer.raise_for_status().json()
                problem = f"status {answer.status_code}"
            except httpx.TransportError as error:
                problem = type(error).__name__
            logger.warning("The server is away (%s); next try in about %.1f s", problem, pause)
            await anyio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 (so that not all agents come at once)
            pause = min(pause * 2, 30.0)

    async def set_state(self, flow_run: FlowRun, state: str, message: str, *, force: bool = False) -> bool:
        """Propose a state; tell whether the server accepts it."""
        body = {"state": {"type": state, "message": message}, "force": force}
        answer = await self.call("POST", f"/flow_runs/{flow_run.id}/set_state", body)
        return answer is not None and answer["status"] == "ACCEPT"

    async def scheduled(self, pool: str, limit: int) -> list[FlowRun]:
        """Give flow runs that are due."""
        body = {"scheduled_before": datetime.now(UTC).isoformat(), "limit": min(limit, 200)}
        answer = await self.call("POST", f"/work_pools/{pool}/get_scheduled_flow_runs", body)
        if answer is None:
            logger.warning("The server has no work pool %r (yet)", pool)
        return [FlowRun(found["flow_run"]) for found in answer or ()]

    async def in_states(self, pool: str, *states: str) -> list[FlowRun]:
        """Give all flow runs of the pool that are in one of some states, of which the server gives 200 at once."""
        chosen = {"flow_runs": {"state": {"type": {"any_": states}}}, "work_pools": {"name": {"any_": [pool]}}}
        found: list[FlowRun] = []
        while page := await self.call("POST", "/flow_runs/filter", {**chosen, "offset": len(found)}):
            found += map(FlowRun, page)
        return found


@dataclass
class _IdentifierOnServer:
    """Given to `run` as a task status: it writes the identifier of the workload to the server once there is one."""

    server: Server
    flow_run: FlowRun
    tasks: TaskGroup

    def started(self, value: object = None) -> None:
        path, body = f"/flow_runs/{self.flow_run.id}", {"infrastructure_pid": str(value)}
        self.tasks.start_soon(self.server.call, "PATCH", path, body)


@dataclass
class Agent:
    """Runs the flow runs of one work pool. Its patience must be longer than a flow takes to start."""

    server: Server
    pool: str
    block: Infrastructure
    limit: int
    interval: float
    patience: float
    _watched: set[UUID] = field(default_factory=set)
    _being_killed: set[UUID] = field(default_factory=set)

    async def run(self) -> None:
        """Work until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                for flow_run in await self.server.in_states(self.pool, "PENDING", "RUNNING", "CANCELLING"):
                    await self._look_after(flow_run, tasks)
                if (free := self.limit - len(self._watched)) > 0:
                    for flow_run in await self.server.scheduled(self.pool, free):
                        await self._submit(flow_run, tasks)
                await anyio.sleep(self.interval)

    async def _look_after(self, flow_run: FlowRun, tasks: TaskGroup) -> None:
        """Kill what is to be cancelled, and take over what an earlier agent has left."""
        state, identifier = flow_run.data["state"], flow_run.data["infrastructure_pid"]
        if state["type"] == "CANCELLING" and identifier and flow_run.id not in self._being_killed:
            self._being_killed.add(flow_run.id)
            tasks.start_soon(self._kill, flow_run, identifier)
        age = datetime.now(UTC) - datetime.fromisoformat(state["timestamp"])
        if flow_run.id in self._watched:
            return
        if identifier:
            self._watched.add(flow_run.id)
            tasks.start_soon(self._watch, flow_run, lambda block: block.attach(identifier))
        elif state["type"] != "RUNNING" and age.total_seconds() > self.patience:
            new = "CANCELLED" if state["type"] == "CANCELLING" else "SCHEDULED"
            await self.server.set_state(flow_run, new, "It was claimed by an agent, and not started", force=True)

    async def _submit(self, flow_run: FlowRun, tasks: TaskGroup) -> None:
        if flow_run.id not in self._watched and await self.server.set_state(flow_run, "PENDING", "Claimed by an agent"):
            self._watched.add(flow_run.id)
            status = _IdentifierOnServer(self.server, flow_run, tasks)
            tasks.start_soon(self._watch, flow_run, lambda block: submit_flow_run(flow_run, block, task_status=status))

    async def _watch(self, flow_run: FlowRun, run: Callable[[Infrastructure], Awaitable[InfrastructureResult]]) -> None:
        try:
            message = (await run(await self._block_for(flow_run))).message
        except InfrastructureNotAvailable as error:  # nothing is known of the workload; `_look_after` tries again
            logger.warning("Flow run %s: %s", flow_run.name, error)
        except (InfrastructureError, ValueError) as error:  # a ValueError: the job variables do not fit the block
            await self._report_end(flow_run, str(error))
        else:
            await self._report_end(flow_run, message)
        self._watched.discard(flow_run.id)

    async def _kill(self, flow_run: FlowRun, identifier: str) -> None:
        try:
            with suppress(InfrastructureNotFound):
                await (await self._block_for(flow_run)).kill(identifier)
            await self._report_end(flow_run, "Killed")
        except InfrastructureError as error:
            logger.warning("Flow run %s cannot be killed: %s", flow_run.name, error)
        self._being_killed.discard(flow_run.id)

    async def _report_end(self, flow_run: FlowRun, message: str) -> None:
        """Report what the engine in the workload could not, or took for a crash: that it was killed to cancel it."""
        found = await self.server.call("GET", f"/flow_runs/{flow_run.id}")
        state = None if found is None else found["state"]["type"]  # None: somebody has deleted the flow run
        logger.info("Flow run %s (%s): %s", flow_run.name, state, message)
        if state == "CANCELLING" or (state == "CRASHED" and flow_run.id in self._being_killed):
            await self.server.set_state(flow_run, "CANCELLED", "Killed, as asked for on the server", force=True)
        elif state in {"PENDING", "RUNNING"}:
            await self.server.set_state(flow_run, "CRASHED", message)

    async def _block_for(self, flow_run: FlowRun) -> Infrastructure:
        """Lay the job variables of the deployment, and over them those of the flow run, over the block's fields."""
        found = await self.server.call("GET", f"/deployments/{flow_run.data['deployment_id'] or UUID(int=0)}") or {}
        variables = {**(found.get("job_variables") or {}), **(flow_run.data["job_variables"] or {})}
        fields = {name: getattr(self.block, name) for name in self.block.model_fields_set}
        if isinstance(variables.get("env"), dict):
            variables["env"] = {**self.block.env, **variables["env"]}
        return type(self.block).model_validate({**fields, **variables})


async def main() -> None:
    """Read the command line and work until interrupted."""
    parser = argparse.ArgumentParser(description="Runs the flow runs of a Prefect work pool.")
    parser.add_argument("--pool", required=True, help="name of the work pool")
    parser.add_argument("--block", required=True, help="YAML file of the block that runs them")
    parser.add_argument("--limit", type=int, default=10, help="how many run at once")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two looks at the server")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds until a lost claim is scheduled again")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    block = Infrastructure.from_yaml(options.block)
    headers = {"Authorization": f"Bearer {key.strip()}"} if (key := os.environ.get("PREFECT_API_KEY")) else {}
    async with httpx.AsyncClient(base_url=os.environ["PREFECT_API_URL"], headers=headers, timeout=30) as client:
        await Agent(Server(client), options.pool, block, options.limit, options.interval, options.patience).run()


if __name__ == "__main__":
    anyio.run(main)
