"""When the Docker SDK is loaded: by the first call to an engine, not by a block or its preview."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import socket, sys
def no_network(*arguments, **named):
    raise AssertionError("a connection was opened")
socket.socket.connect = no_network
from infrablocks.docker import DockerContainer, DockerRegistry, ImagePullPolicy
block = DockerContainer(name="x", volumes=["./a:/b"], ports=["80:80"], networks=["a", "b"], mem_limit="5g", gpus=1)
assert block.preview() and block.preview(as_command=True)
print(*sorted(name for name in sys.modules if name == "docker" or name.startswith(("docker.", "requests"))))
{more}
"""


def modules_after(more: str = "") -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{more}", more)], capture_output=True, text=True, check=True
    )
    return run.stdout.splitlines()


def test_a_preview_needs_neither_engine_nor_sdk() -> None:
    """Blocks are made and shown without the SDK, and no connection is opened."""
    assert modules_after() == [""]


def test_only_further_arguments_ask_the_sdk() -> None:
    """Names in `create_kwargs` are compared with those that the installed SDK knows, still without an engine."""
    more = """
print(DockerContainer(create_kwargs={"hostname": "h"}).preview().count("hostname"), "docker" in sys.modules)
"""
    assert modules_after(more)[1:] == ["1 True"]


@pytest.mark.parametrize("name", ["infrablocks.docker"])
def test_every_exported_name_exists(name: str) -> None:
    """What `__all__` says is there."""
    module = __import__(name, fromlist=["__all__"])
    assert sorted(module.__all__) == module.__all__
    assert [member for member in module.__all__ if not hasattr(module, member)] == []
