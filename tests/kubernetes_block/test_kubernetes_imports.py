"""When the Kubernetes SDK is loaded: by the first call to a cluster, not by a block or its preview."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import socket, sys
def no_network(*arguments, **named):
    raise AssertionError("a connection was opened")
socket.socket.connect = no_network
from infrablocks import KubernetesClusterConfig, KubernetesJob
patch = [{"op": "test", "path": "/kind", "value": "Job"}]
block = KubernetesJob(name="x", labels={"a b": "c"}, cpu_limit=1, customizations=patch)
assert block.preview() and block.build_job()
print(*sorted(name for name in sys.modules if name.split(".")[0] in {"kubernetes", "urllib3", "requests", "docker"}))
"""


def test_a_preview_needs_neither_cluster_nor_sdk() -> None:
    """Blocks are made and shown without the SDK, and no connection is opened."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert run.stdout == "\n"
