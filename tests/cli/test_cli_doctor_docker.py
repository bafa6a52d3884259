"""`infrablocks doctor` about engines: what it looks for, and what it says about those that it finds."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.fake_engine import fake_engine

if TYPE_CHECKING:
    from tests.cli.command_line import CommandLine

DEFAULT_SOCKET = Path("/var/run/docker.sock")


def docker_lines(infrablocks: CommandLine, **variables: str) -> tuple[int, list[str]]:
    """Give the exit code, and what is said of Docker but for an engine of this machine that nobody has named."""
    done = infrablocks("doctor", **variables)
    lines = [line for line in done.stdout.splitlines() if line[9:].startswith("docker: ")]
    return done.returncode, [line for line in lines if not (str(DEFAULT_SOCKET) in line and "; not used" in line)]


def make_context(infrablocks: CommandLine, name: str, docker_host: str) -> None:
    """Write a docker context as `docker context create` does, and use it."""
    folder = infrablocks.folder / ".docker"
    meta = folder / "contexts" / "meta" / sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": docker_host}}}))
    (folder / "config.json").write_text(json.dumps({"currentContext": name}))


@pytest.mark.skipif(DEFAULT_SOCKET.exists(), reason="this machine has an engine at the usual place")
def test_no_engine_is_no_failure(infrablocks: CommandLine) -> None:
    """Who runs processes only needs none; the line says how to get one."""
    code, lines = docker_lines(infrablocks)
    assert code == 0
    assert len(lines) == 1
    assert lines[0].startswith(f"warning  docker: engine: not found at unix://{DEFAULT_SOCKET} (the default; ")
    assert lines[0].endswith(
        "install and start Docker Engine (https://docs.docker.com/engine/install/) or Podman, or set DOCKER_HOST"
    )


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"DOCKER_HOST": "unix:///no/such.sock"}, "unix:///no/such.sock (DOCKER_HOST): No such file or directory."),
        ({"DOCKER_HOST": "ssh://somewhere"}, "ssh is not supported"),
        ({"DOCKER_CONTEXT": "elsewhere"}, "the docker context 'elsewhere' (DOCKER_CONTEXT) does not exist"),
        ({"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/no"}, "no ca.pem"),
    ],
)
def test_setting_that_leads_to_no_engine_is_a_failure(
    infrablocks: CommandLine, variables: dict[str, str], message: str
) -> None:
    """Runs would fail, so that `doctor` does, with the words that they would have."""
    code, lines = docker_lines(infrablocks, **variables)
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("broken   docker: engine: Could not connect to Docker")
    assert message in lines[0]


def test_engine_is_described(infrablocks: CommandLine) -> None:
    """Name, version, API, address, control groups and image store stand in one line."""
    with fake_engine("27.1.0", "1.41") as docker_host:
        code, lines = docker_lines(infrablocks, DOCKER_HOST=docker_host)
    what = "Docker Engine v27.1.0, API 1.41"
    where = f"at {docker_host} (DOCKER_HOST)"
    assert code == 0
    assert lines == [f"ok       docker: engine: {what}, {where}; cgroup version 2, image store overlay2"]


def test_engine_that_is_newer_than_the_sdk(infrablocks: CommandLine) -> None:
    """Both versions of the API are told; so are containerd's images and an engine without root."""
    info: dict[str, Any] = {
        "Driver": "overlayfs",
        "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"],
        "CgroupVersion": None,
    }
    with fake_engine("99.0.0", "1.99", **info) as docker_host:
        _, lines = docker_lines(infrablocks, DOCKER_HOST=docker_host)
    assert "Docker Engine v99.0.0, API 1.99 (1." in lines[0]
    assert " is spoken), at " in lines[0]
    assert lines[0].endswith("; cgroup version unknown, image store containerd (overlayfs), rootless")


def test_engine_that_is_too_old(infrablocks: CommandLine) -> None:
    """An engine that a setting names and that cannot be used is a failure."""
    with fake_engine("19.03.15", "1.40") as docker_host:
        code, lines = docker_lines(infrablocks, DOCKER_HOST=docker_host)
    assert code == 1
    assert lines[1] == (
        "broken   docker: version: Docker Engine v19.03.15 is too old: Docker Engine 20.10 or newer is needed"
    )


def test_what_an_engine_cannot_do(infrablocks: CommandLine) -> None:
    """It is a warning, with the fields that will not work."""
    with fake_engine("4.3.1", "1.41", podman=True, SwapLimit=False, MemoryLimit=True) as docker_host:
        code, lines = docker_lines(infrablocks, DOCKER_HOST=docker_host)
    assert code == 0
    assert lines[0].startswith("ok       docker: engine: Podman v4.3.1, ")
    what = "Podman v4.3.1 does not know `host-gateway`; Podman 4.7 and newer do: containers do not get this name"
    assert lines[1:] == [
        f"warning  docker: host.docker.internal: {what}",
        "warning  docker: limits: the engine's machine cannot do memswap_limit",
    ]


@pytest.mark.parametrize(
    ("version", "podman", "options", "dropped"),
    [
        ("1", True, ["name=rootless"], True),
        ("2", True, ["name=rootless"], False),
        ("1", True, ["name=seccomp"], False),
        ("1", False, ["name=rootless"], False),
    ],
)
def test_limits_that_rootless_podman_drops(
    infrablocks: CommandLine, version: str, options: list[str], *, podman: bool, dropped: bool
) -> None:
    """With cgroup version 1 it says that it has limits, and ignores them: that is a warning."""
    info: dict[str, Any] = {"CgroupVersion": version, "SecurityOptions": options}
    with fake_engine("28.0.0", "1.44", podman=podman, **info) as docker_host:
        code, lines = docker_lines(infrablocks, DOCKER_HOST=docker_host)
    what = "rootless Podman with cgroup version 1 ignores mem_limit, memswap_limit, cpus"
    expected = [f"warning  docker: limits: {what}"] if dropped else []
    assert (code, [line for line in lines if "limits" in line]) == (0, expected)


def test_context_and_those_that_are_not_used(infrablocks: CommandLine) -> None:
    """The current context counts like DOCKER_HOST, and is only named where that is set too."""
    with fake_engine("27.1.0", "1.41") as first, fake_engine("28.0.0", "1.41") as second:
        make_context(infrablocks, "work", first)
        code, lines = docker_lines(infrablocks)
        assert (code, len(lines)) == (0, 1)
        assert f"Docker Engine v27.1.0, API 1.41, at {first} (docker context 'work'); " in lines[0]
        assert "not used" not in lines[0]
        code, (used, other) = docker_lines(infrablocks, DOCKER_HOST=second)
        assert code == 0
        assert f"v28.0.0, API 1.41, at {second} (DOCKER_HOST)" in used
        assert f"v27.1.0, API 1.41, at {first} (docker context 'work')" in other
        assert other.endswith(f"; not used (DOCKER_HOST={first} would use it)")
    code, lines = docker_lines(infrablocks)
    assert code == 1
    assert lines[0].startswith(f"broken   docker: engine: Could not connect to Docker at {first} ")
    with fake_engine("28.0.0", "1.41") as second:
        code, lines = docker_lines(infrablocks, DOCKER_HOST=second)
    assert code == 0
    assert lines[1].startswith(f"warning  docker: engine: Could not connect to Docker at {first} ")


def test_engine_at_a_usual_place(infrablocks: CommandLine) -> None:
    """Podman's socket of a user is found, with what to set for using it."""
    with fake_engine("5.2.0", "1.41", podman=True) as docker_host:
        path = Path(docker_host.removeprefix("unix://"))
        (path.parent / "podman").mkdir()
        podman = path.rename(path.parent / "podman" / "podman.sock")
        code, lines = docker_lines(infrablocks, XDG_RUNTIME_DIR=str(path.parent))
    assert code == 0
    assert lines[-1].startswith(f"ok       docker: engine: Podman v5.2.0, API 1.41, at unix://{podman} (a usual place)")
    assert lines[-1].endswith(f"; not used (DOCKER_HOST=unix://{podman} would use it)")
