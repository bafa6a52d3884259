"""How much longer a run of `true` takes than its Job by itself.

The Job's own time is that from its making to its end, both as a watch of this script's own hears of them from the API
server; what a run takes beyond it is what comes before the Job is there and after it has ended.

Arguments: the file for the figures, the library, how many runs, and the namespace.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import threading
import time
from typing import Any

from kubernetes import client, config

from benchmarks.scripts.library import check, hand_over, kubernetes_block

WARM_UP = 2
HEARD_SECONDS = 10.0


class Witness:
    """Watches the Jobs of a namespace, in a thread, and notes when it heard that they were there and had ended."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._made: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._news = threading.Condition()
        self._begun = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()
        self._begun.wait(HEARD_SECONDS)

    def seconds(self, name: str) -> float:
        """Give how long a Job took."""
        with self._news:
            if not self._news.wait_for(lambda: name in self._ended, HEARD_SECONDS):
                raise SystemExit(f"nobody has heard of the end of {name}")
            return self._ended[name] - self._made[name]

    def _watch(self) -> None:
        config.load_kube_config()  # type: ignore[no-untyped-call]
        jobs: Any = client.BatchV1Api()
        version = json.loads(jobs.list_namespaced_job(self._namespace, _preload_content=False).data)["metadata"]
        answer = jobs.list_namespaced_job(
            self._namespace, watch=True, resource_version=version["resourceVersion"], _preload_content=False
        )
        self._begun.set()
        begun = b""
        for piece in answer.stream(amt=None, decode_content=False):
            now = time.perf_counter()
            *lines, begun = (begun + piece).split(b"\n")
            for line in lines:
                self._note(json.loads(line)["object"], now)

    def _note(self, job: dict[str, Any], now: float) -> None:
        name = job["metadata"]["name"]
        conditions = job["status"].get("conditions") or []
        with self._news:
            self._made.setdefault(name, now)
            if any(each["type"] in {"Complete", "Failed"} and each["status"] == "True" for each in conditions):
                self._ended.setdefault(name, now)
                self._news.notify_all()


async def main() -> None:
    """Measure, and hand over the medians in seconds, the first runs left out."""
    path, library, runs, namespace = sys.argv[1:]
    witness = Witness(namespace)
    times = []
    for _ in range(int(runs) + WARM_UP):
        block = kubernetes_block(library, command=["true"], namespace=namespace)
        started = time.perf_counter()
        result = await block.run()
        seconds = time.perf_counter() - started
        check(library, result)
        own = await asyncio.to_thread(witness.seconds, result.identifier.rpartition(":")[2])
        times.append((seconds, own))
    kept = times[WARM_UP:]
    hand_over(
        path,
        {
            "run": statistics.median(seconds for seconds, _ in kept),
            "job": statistics.median(own for _, own in kept),
            "overhead": statistics.median(seconds - own for seconds, own in kept),
        },
    )


if __name__ == "__main__":
    asyncio.run(main())
