"""The command line that a preview shows makes the same container as a run."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from infrablocks import DockerContainer

if TYPE_CHECKING:
    import docker

    from tests.engines import ContainerEngine

# Podman 4.3 does not know host-gateway, which is said in a warning.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:`host.docker.internal` could not be"),
]

# What is each container's own, or what the command line always says and the API need not.
OWN = ("Id", "Created", "Name", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath", "GraphDriver", "State")
PODMANS_OWN = ("StaticDir", "OCIConfigPath", "ConmonPidFile", "PidFile", "NetworkSettings", "Storage")
SAID_OTHERWISE = frozenset(
    {
        "Config.CreateCommand",
        "Config.Entrypoint",  # Podman: [] and [""]
        "Config.Hostname",
        "HostConfig.AutoRemove",  # ours is done by the library, since an engine forgets the exit code
        "HostConfig.ConsoleSize",
        "HostConfig.PidsLimit",  # Podman: the command line sends 0
        "HostConfig.Annotations.io.podman.annotations.pids-limit",  # the same
        "HostConfig.RestartPolicy.Name",  # "" and "no"
    }
)

SETTINGS: list[Any] = [
    {},
    {"env": {"A": "1\n2", "B": "", "C": "it's $HOME"}, "labels": {"a.b/c": "x y"}},
    pytest.param(
        {"network_mode": "none", "user": "1:2", "working_dir": "/w", "init": True},
        marks=pytest.mark.denied_to_rootless(
            "the pasted command has host-gateway, for which a lone loopback has no address"
        ),
    ),
    {"volumes": ["/tmp:/b:ro", "infrablocks-test-volume:/c"], "mem_limit": "64m", "memswap_limit": -1},
    {"cpus": 1.5, "shm_size": "1m", "platform": "linux/amd64"},
    {"ports": ["127.0.0.1:18080:80", "18000:9000/udp"]},
    {"create_kwargs": {"cap_add": ["SYS_ADMIN"], "cap_drop": ["CHOWN"], "cpu_shares": 512, "hostname": "h"}},
    {"create_kwargs": {"read_only": True, "tmpfs": {"/t": "size=1m"}, "extra_hosts": {"a": "192.0.2.4"}}},
    {"create_kwargs": {"dns": ["127.0.0.1"], "dns_search": ["b.test"], "stop_signal": "SIGINT"}},
]


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Give the parts of an answer by their paths, without those that are empty."""
    if isinstance(value, dict):
        parts: dict[str, Any] = {}
        for name, item in value.items():
            parts |= flat(item, f"{path}.{name}" if path else name)
        return parts
    if isinstance(value, list):
        value = sorted(str(item).removeprefix("CAP_") for item in value)
    return {path: value} if value else {}


def inspected(client: docker.DockerClient, identifier: str) -> dict[str, Any]:
    """Ask the engine about a container, and keep what should be the same."""
    answer = client.api.inspect_container(identifier)
    kept = {name: value for name, value in answer.items() if name not in (*OWN, *PODMANS_OWN)}
    parts = {name: value for name, value in flat(kept).items() if name not in SAID_OTHERWISE}
    # Each run has an id of its own, and says which machine's agent it is from.
    return {
        name: [item for item in value if not str(item).startswith("HOSTNAME=")] if name == "Config.Env" else value
        for name, value in parts.items()
        if not name.endswith(("io.infrablocks.run-id", "io.infrablocks.agent-host"))
    }


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "+".join(settings) or "plain")
def test_the_pasted_command_makes_the_same_container(
    settings: dict[str, Any], engine: ContainerEngine, client: docker.DockerClient, labels: dict[str, str]
) -> None:
    """`inspect` tells no difference between the container of a run and that of the pasted command."""
    fields = {**settings, "labels": {**labels, **settings.get("labels", {})}}
    block = DockerContainer(image="busybox:test", command=["true"], image_pull_policy="never", **fields)
    identifier = block.run().identifier
    command = block.preview(as_command=True, show_secrets=True)
    assert command.startswith("docker run ")
    created = subprocess.run(
        ["sh", "-c", command.replace("docker run ", "docker create ", 1)], capture_output=True, text=True, check=False
    )
    assert created.returncode == 0, created.stderr
    other = client.containers.get(created.stdout.split()[-1])
    other.start()
    other.wait()
    ours, pasted = inspected(client, identifier), inspected(client, str(other.id))
    if engine.name == "podman":  # to which host-gateway is not sent
        pasted.pop("HostConfig.ExtraHosts", None)
        ours.pop("HostConfig.ExtraHosts", None)
    different = {name: (ours.get(name), pasted.get(name)) for name in ours.keys() | pasted.keys()}
    assert {name: pair for name, pair in different.items() if pair[0] != pair[1]} == {}, engine.name


@pytest.mark.anyio
async def test_a_pasted_command_gives_the_same_output(labels: dict[str, str]) -> None:
    """Pasted into a shell, the command prints what the run prints and exits with the same code."""
    block = DockerContainer(
        image="busybox:test",
        command=["sh", "-c", 'echo "$A"; exit 4'],
        env={"A": "it's"},
        auto_remove=False,  # with `--rm` Podman tells the docker command the exit code 0
        image_pull_policy="never",
        labels=labels,
    )
    pasted = await anyio.run_process(
        ["sh", "-c", await anyio.to_thread.run_sync(lambda: block.preview(as_command=True))], check=False
    )
    assert (pasted.stdout, pasted.returncode) == (b"it's\n", 4)
    assert (await block.run()).status_code == 4
