"""Nodes that cost nothing: the API server and its controllers are real, and pods only seem to run.

Thousands of pods can be played at once, and what no real node does on request, such as getting lost.
"""

import json
import subprocess
import sys
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.engines import fake_node
from tests.engines.cluster import Cluster
from tests.engines.cluster_access import FAKE_NODES
from tests.engines.errors import EngineError, tail
from tests.engines.loopback import LOOPBACK

_LABEL = "infrablocks.test/fake-nodes"
_CHECKOUT = Path(fake_node.__file__).parents[2]


class FakeNodes:
    """Some fake nodes, while the context lasts. A process of their own plays them; if ours dies, they go, too.

    Every pod that is bound to one of them becomes Running and then Succeeded, unless its annotations say something
    else: see `fake_scripts`.

    Args:
        cluster: Where.
        nodes: How many; 50 pods or 10,000 fit on one.
        run_seconds: How long a pod runs that does not say.
        tainted: Whether only those pods get there that have `pod_settings`. Without, any pod may.
    """

    def __init__(self, cluster: Cluster, nodes: int = 1, *, run_seconds: float = 1, tainted: bool = True) -> None:
        self._cluster, self._run_seconds, self._tainted = cluster, run_seconds, tainted
        self._set = f"fake-{uuid.uuid4().hex[:8]}"
        self.names = [f"{self._set}-{number}" for number in range(nodes)]

    @property
    def pod_settings(self) -> dict[str, Any]:
        """What a pod needs in its ``spec`` to be bound to one of these nodes and to no others."""
        toleration = {"key": _LABEL, "value": self._set, "operator": "Equal", "effect": "NoSchedule"}
        return {"nodeSelector": {_LABEL: self._set}, "tolerations": [toleration]}

    @property
    def log(self) -> Path:
        """What their process says."""
        return self._cluster.directory / "fake-nodes.log"

    def __enter__(self) -> Self:
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", fake_node.__name__],
                cwd=_CHECKOUT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        try:
            self._order(self._configuration())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def lose(self, *names: str) -> None:
        """Let nodes be silent from now on, as if the network were cut; without names all.

        After 20 seconds they are no longer ready, after ten more their pods are given up: unless no node of the cluster
        is ready, for then the cluster takes itself to be cut off.
        """
        self._order({"lose": names or self.names})

    def remove(self, *names: str) -> None:
        """Remove nodes from the cluster, with no word on their pods; without names all."""
        self._order({"remove": names or self.names})

    def _configuration(self) -> dict[str, Any]:
        taint = {"key": _LABEL, "value": self._set, "effect": "NoSchedule"}
        return {
            "host": LOOPBACK,
            "port": self._cluster.ports.api,
            "tls": str(self._cluster.ca_file.parent),
            "token": self._cluster.users.token(FAKE_NODES),
            "nodes": self.names,
            "node": {
                "metadata": {"labels": {_LABEL: self._set}},
                "spec": {"taints": [taint] if self._tainted else []},
            },
            "run_seconds": self._run_seconds,
        }

    def _order(self, order: dict[str, Any]) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:  # they are pipes
            raise EngineError("the fake nodes were not started")
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        if not stdout.readline():
            raise EngineError(f"the fake nodes have ended; {tail(self.log)}")

    def _end(self) -> None:
        with self._process as process:  # closes its input, and waits
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
