"""What one measurement needs of the clusters, as long as stdin is open; run by the interpreter of the test tooling.

Arguments: JSON with `clusters` (names of engines that are up), `nodes` (how many fake ones each gets that any pod may
run on), `run_seconds` (how long a pod runs there) and `shared` (whether all use the namespace "default", in place of a
new one each). Prints one line of JSON: what `kubernetes_clusters.Place` is made of, for each cluster.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tests.engines import ENGINES
from tests.engines.cluster import Cluster
from tests.engines.fake_nodes import FakeNodes

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHARED = "default"


def main() -> None:
    """Prepare, say so, and wait for the end of stdin."""
    wanted = json.loads(sys.argv[1])
    with ExitStack() as stack:
        places = []
        for name in wanted["clusters"]:
            cluster = ENGINES[name]
            if not isinstance(cluster, Cluster):
                raise SystemExit(f"{name} is no cluster")
            if wanted["nodes"]:
                stack.enter_context(
                    FakeNodes(cluster, wanted["nodes"], run_seconds=wanted["run_seconds"], tainted=False)
                )
            namespace = stack.enter_context(_shared(cluster) if wanted["shared"] else cluster.namespace())
            places.append(_place(cluster, namespace))
        print(json.dumps(places), flush=True)
        sys.stdin.read()


@contextmanager
def _shared(cluster: Cluster) -> Iterator[str]:
    """Give a namespace that every cluster has, and remove its Jobs at the end."""
    try:
        yield _SHARED
    finally:
        cluster.api("DELETE", f"/apis/batch/v1/namespaces/{_SHARED}/jobs?propagationPolicy=Background")


def _place(cluster: Cluster, namespace: str) -> dict[str, str]:
    tls = cluster.ca_file.parent
    return {
        "kubeconfig": str(cluster.kubeconfig),
        "namespace": namespace,
        "address": cluster.address,
        "authority": str(cluster.ca_file),
        "certificate": str(tls / "server.pem"),
        "key": str(tls / "server-key.pem"),
        "token": cluster.users.token("admin"),
    }


if __name__ == "__main__":
    main()
