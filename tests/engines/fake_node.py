"""A program: nodes that are nothing but what they tell the API server, and the pods on them.

Its first line of input is its configuration, and every other one a command, each in JSON; each is answered by a line.
At the end of the input it removes its nodes and ends. `fake_nodes` starts it.
"""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.engines.cluster_api import ClusterApi
from tests.engines.fake_api import FakeApi
from tests.engines.fake_logs import LogServer, PodLog
from tests.engines.fake_scripts import PodScript
from tests.engines.fake_statuses import Patch, PodStatuses, node_status

_THREADS = 12
_HEARTBEAT = 5

Pod = Mapping[str, Any]


class FakeNode:
    """All fake nodes of one process, played by one event loop; requests have threads.

    Args:
        api: Where the API is.
        logs: The server of their logs.
        nodes: Their names.
        node: What each is made of, but for its name.
        run_seconds: How long a pod runs that does not say.
    """

    def __init__(
        self, api: FakeApi, logs: LogServer, nodes: list[str], node: Mapping[str, Any], run_seconds: float
    ) -> None:
        self._api, self._logs, self._nodes = api, logs, nodes
        self._node, self._run_seconds = node, run_seconds
        self._threads = ThreadPoolExecutor(_THREADS)
        self._lost: set[str] = set()
        self._courses: dict[str, asyncio.Task[None]] = {}
        self._stops: dict[str, asyncio.Task[None]] = {}
        self._pods_of_owners: dict[str, int] = {}

    async def start(self) -> None:
        """Make the nodes, and look for pods from now on."""
        self._loop = asyncio.get_running_loop()
        await asyncio.gather(*map(self._create, self._nodes))
        self._heartbeats = asyncio.create_task(self._beat())
        for target in (self._watch, self._logs.serve):
            threading.Thread(target=target, daemon=True).start()

    async def remove(self, nodes: list[str]) -> None:
        """Remove nodes, as somebody does whose machine is gone; what becomes of the pods is the cluster's affair."""
        self.lose(nodes)
        await asyncio.gather(*(self._send("DELETE", f"/api/v1/nodes/{name}") for name in nodes))

    async def remove_all(self) -> None:
        """Remove all nodes."""
        await self.remove(self._nodes)

    def lose(self, nodes: list[str]) -> None:
        """Say and do nothing more for these nodes."""
        self._lost.update(nodes)
        for log in self._logs.logs.values():
            log.lost = log.lost or log.node in self._lost

    async def _create(self, name: str) -> None:
        node = {**self._node, "metadata": {**self._node["metadata"], "name": name}}
        node["metadata"]["labels"] = {**node["metadata"]["labels"], "kubernetes.io/hostname": name}
        status, answer = await self._send("POST", "/api/v1/nodes", node)
        if status >= 400:
            raise RuntimeError(f"node {name}: {answer}")
        await self._send("PATCH", f"/api/v1/nodes/{name}/status", node_status(self._logs.port))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT)
            status = node_status(self._logs.port)
            alive = [name for name in self._nodes if name not in self._lost]
            await asyncio.gather(*(self._send("PATCH", f"/api/v1/nodes/{name}/status", status) for name in alive))

    def _watch(self) -> None:
        nodes = set(self._nodes)
        for kind, pod in self._api.watch("/api/v1/pods?fieldSelector=spec.nodeName!="):
            if pod["spec"]["nodeName"] in nodes:
                self._loop.call_soon_threadsafe(self._see, kind, pod)

    def _see(self, kind: str, pod: Pod) -> None:
        uid, key = pod["metadata"]["uid"], (pod["metadata"]["namespace"], pod["metadata"]["name"])
        if pod["spec"]["nodeName"] in self._lost:
            return
        if kind == "DELETED":
            for tasks in (self._courses, self._stops):
                if uid in tasks:
                    tasks.pop(uid).cancel()
            self._end_log(key)
            self._logs.logs.pop(key, None)
        elif pod["metadata"].get("deletionTimestamp"):
            if uid not in self._stops:
                self._stops[uid] = asyncio.create_task(self._stop(pod))
        elif uid not in self._courses:
            self._courses[uid] = asyncio.create_task(self._play(pod))

    async def _play(self, pod: Pod) -> None:
        """Let one pod run its course."""
        if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return
        script = PodScript.of(pod, self._run_seconds)
        statuses = PodStatuses(pod, script)
        log = PodLog(pod["metadata"]["name"], pod["spec"]["nodeName"], script)
        self._logs.logs[pod["metadata"]["namespace"], pod["metadata"]["name"]] = log
        code = script.exit_code(self._pods_before(pod))
        await asyncio.sleep(script.start_seconds)
        if script.waiting:
            await self._tell(pod, statuses.waiting())
            return
        for _ in range(script.restarts + 1):
            log.started = time.time()
            await self._tell(pod, statuses.running())
            if script.end == "never":
                return
            await asyncio.sleep(script.run_seconds)
        log.ended = time.time()
        await self._end(pod, statuses, code)

    async def _end(self, pod: Pod, statuses: PodStatuses, code: int) -> None:
        match statuses.script.end:
            case "node-lost":
                self.lose([pod["spec"]["nodeName"]])
            case "deleted":
                await self._send("DELETE", _path(pod), {"gracePeriodSeconds": 0})
            case "evicted":
                await self._tell(pod, statuses.evicted())
            case "oom-killed":
                await self._tell(pod, statuses.exited(137, "OOMKilled"))
            case _:
                await self._tell(pod, statuses.exited(code))

    async def _stop(self, pod: Pod) -> None:
        """Stop a pod that is to be deleted, and let go of it."""
        uid = pod["metadata"]["uid"]
        if uid in self._courses:
            self._courses[uid].cancel()
        script = PodScript.of(pod, self._run_seconds)
        await asyncio.sleep(script.stop_seconds)
        self._end_log((pod["metadata"]["namespace"], pod["metadata"]["name"]))
        status = pod.get("status") or {}
        if status.get("phase") == "Running":
            statuses = PodStatuses(pod, script, started=status["containerStatuses"][0]["state"]["running"]["startedAt"])
            await self._tell(pod, statuses.exited(143))
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        await self._send("DELETE", _path(pod), options)

    def _pods_before(self, pod: Pod) -> int:
        owners = pod["metadata"].get("ownerReferences") or [{"uid": pod["metadata"]["uid"]}]
        before = self._pods_of_owners.get(owners[0]["uid"], 0)
        self._pods_of_owners[owners[0]["uid"]] = before + 1
        return before

    def _end_log(self, key: tuple[str, str]) -> None:
        log = self._logs.logs.get(key)
        if log is not None and log.ended is None:
            log.ended = time.time()

    async def _tell(self, pod: Pod, patch: Patch) -> None:
        if pod["spec"]["nodeName"] not in self._lost:
            await self._send("PATCH", _path(pod) + "/status", patch)

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        # What is refused is a pod that somebody has removed in the meantime.
        return await self._loop.run_in_executor(self._threads, self._api.send, method, path, body)


def _path(pod: Pod) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


async def _main() -> None:
    configuration = json.loads(await asyncio.to_thread(sys.stdin.readline))
    tls = Path(configuration["tls"])
    api = ClusterApi(configuration["host"], configuration["port"], tls / "ca.pem", configuration["token"])
    nodes = FakeNode(
        FakeApi(api), LogServer(tls), configuration["nodes"], configuration["node"], configuration["run_seconds"]
    )
    await nodes.start()
    _answer()
    while line := await asyncio.to_thread(sys.stdin.readline):
        match json.loads(line):
            case {"lose": names}:
                nodes.lose(names)
            case {"remove": names}:
                await nodes.remove(names)
            case other:
                raise ValueError(f"no such command: {other}")
        _answer()
    await nodes.remove_all()


def _answer() -> None:
    sys.stdout.write("done\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main())
