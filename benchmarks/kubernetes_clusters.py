"""The clusters that the Kubernetes rows talk to: two of the project's test tooling."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import tooling
from benchmarks.api_proxy import ApiProxy

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.counting_proxy import Requests
    from benchmarks.environments import Environment
    from benchmarks.samples import Figures

REAL = "kubernetes"
"""The cluster with a node of its own."""

FAKE = "kubernetes2"
"""The one with fake nodes only: API server and controllers are real, and pods only seem to run."""

_STAGE_SECONDS = 120.0
_UP_SECONDS = 900.0
_DOWN_SECONDS = 180.0


@dataclass(frozen=True)
class Place:
    """Where runs are made.

    Attributes:
        kubeconfig: Leads there, as an administrator.
        namespace: Empty, and for one measurement.
        address: The URL of the API server.
        authority: The file with the certificate of its authority.
        certificate: The file with its own certificate.
        key: The file with the key of that.
        token: The administrator's.
    """

    kubeconfig: str
    namespace: str
    address: str
    authority: str
    certificate: str
    key: str
    token: str


@dataclass(frozen=True)
class KubernetesBench:
    """What a group of Kubernetes rows measures with.

    Attributes:
        bench: The environments and the files.
    """

    bench: Bench

    @contextmanager
    def places(
        self, *clusters: str, nodes: int = 0, run_seconds: float = 1.0, shared: bool = False
    ) -> Iterator[list[Place]]:
        """Give a place on each of these clusters, all removed at the end.

        Args:
            clusters: `REAL` and `FAKE`, or one of them.
            nodes: How many fake nodes each gets.
            run_seconds: How long a pod runs on one of those.
            shared: Whether the namespaces are of the same name.
        """
        wanted = {"clusters": clusters, "nodes": nodes, "run_seconds": run_seconds, "shared": shared}
        stage = tooling.start("benchmarks.kubernetes_stage", json.dumps(wanted))
        try:
            yield [Place(**place) for place in json.loads(_line(stage))]
        finally:
            stage.communicate(timeout=_STAGE_SECONDS)

    @contextmanager
    def place(self, cluster: str, *, nodes: int = 0, run_seconds: float = 1.0) -> Iterator[Place]:
        """Give a place on one cluster; see `places`."""
        with self.places(cluster, nodes=nodes, run_seconds=run_seconds) as places:
            yield places[0]

    @contextmanager
    def counting(self, place: Place, *, storm_seconds: float = 0.0) -> Iterator[tuple[Path, Requests, ApiProxy]]:
        """Give a kubeconfig that leads to a place through a proxy, the requests sent there so far, and the proxy."""
        proxy = ApiProxy(place, storm_seconds=storm_seconds)
        path = self.bench.directory / "counting-kubeconfig.json"
        with proxy as requests:
            config = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {"name": "here", "cluster": {"server": proxy.address, "certificate-authority": place.authority}}
                ],
                "users": [{"name": "admin", "user": {"token": place.token}}],
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
                "current-context": "here",
            }
            path.touch(mode=0o600)
            path.write_text(json.dumps(config), encoding="utf-8")
            yield path, requests, proxy

    def run(
        self,
        environment: Environment,
        script: str,
        place: Place,
        *arguments: str,
        timeout: float = 300,
        kubeconfig: Path | None = None,
    ) -> Figures:
        """Run a script as `Bench.run` does, with the namespace as its last argument, and a place or another way to it.

        Args:
            environment: As for `Bench.run`.
            script: As for `Bench.run`.
            place: Where the default cluster is.
            arguments: As for `Bench.run`.
            timeout: As for `Bench.run`.
            kubeconfig: Leads to the default cluster in place of the place's own.
        """
        variables = {"KUBECONFIG": str(kubeconfig or place.kubeconfig)}
        return self.bench.run(environment, script, *arguments, place.namespace, timeout=timeout, variables=variables)


@contextmanager
def kubernetes_bench(bench: Bench) -> Iterator[KubernetesBench]:
    """Give a bench with two clusters, which are taken down at the end."""
    try:
        tooling.call("up", REAL, FAKE, seconds=_UP_SECONDS, gives_way=True)
        yield KubernetesBench(bench)
    finally:
        tooling.call("down", REAL, FAKE, seconds=_DOWN_SECONDS)


def _line(stage: subprocess.Popen[str]) -> str:
    if stage.stdout is None or not (line := stage.stdout.readline()):
        raise SystemExit("the clusters could not be prepared")
    return line
