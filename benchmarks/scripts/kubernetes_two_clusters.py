"""Runs on two clusters at once, and on which of them their Jobs are afterwards.

Arguments: the file for the figures, the library, how many runs for each, the kubeconfigs of both, and the namespace,
which is of the same name on both.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from kubernetes import client, config

from benchmarks.scripts.library import cluster_config, hand_over, kubernetes_block


def jobs(kubeconfig: str, namespace: str) -> int:
    """Count the Jobs of a cluster."""
    api = client.BatchV1Api(config.new_client_from_config(kubeconfig))  # type: ignore[no-untyped-call]
    return len(api.list_namespaced_job(namespace).items)


def outcome(result: Any) -> bool:
    """Say whether a run succeeded, and what was wrong with it."""
    if isinstance(result, BaseException):
        print(f"{type(result).__name__}: {result}"[:300], file=sys.stderr)
        return False
    return bool(result.status_code == 0)


async def main() -> None:
    """Measure and hand over."""
    path, library, count, first, second, namespace = sys.argv[1:]
    before = [jobs(kubeconfig, namespace) for kubeconfig in (first, second)]
    blocks = [
        kubernetes_block(library, command=["true"], namespace=namespace, cluster_config=cluster_config(library, each))
        for each in [first, second] * int(count)
    ]
    results = await asyncio.gather(*(block.run() for block in blocks), return_exceptions=True)
    after = [jobs(kubeconfig, namespace) for kubeconfig in (first, second)]
    hand_over(
        path,
        {
            "first": after[0] - before[0],
            "second": after[1] - before[1],
            "succeeded": sum(outcome(result) for result in results),
        },
    )


if __name__ == "__main__":
    asyncio.run(main())
