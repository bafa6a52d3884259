"""The `docker` command that a preview shows: whole texts, and that a shell reads back what the settings have."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import SecretStr

from infrablocks import InvalidSettings
from infrablocks.docker import DockerContainer
from infrablocks.docker._command import docker_command
from infrablocks.docker._settings import container_settings
from tests.docker_block.facts import facts


def shown(block: DockerContainer, *, show_secrets: bool = False, **changes: Any) -> str:
    return docker_command(container_settings(block, facts(**changes)), show_secrets=show_secrets)


def test_the_whole_command() -> None:
    """One option a line, every field has its own, and everything is quoted."""
    block = DockerContainer(
        image="busybox:1.36",
        command=["sh", "-c", "echo $HOME; rm -rf /"],
        env={"A": "it's", "TOKEN": SecretStr("t0ken")},
        labels={"prefect.io/x": "1 2"},
        name="My run!",
        auto_remove=True,
        volumes=["./x y:/x:ro"],
        mem_limit="512m",
        memswap_limit="1g",
        cpus=1.5,
        gpus="all",
        privileged=True,
        user="1:2",
        working_dir="/w",
        platform="linux/arm64",
        shm_size="64m",
        init=True,
        ports=["[::1]:8080:80", "127.0.0.1::81", ":82", "83/udp", "9000-9010:84"],
        create_kwargs={"hostname": "h", "cap_add": ["SYS_ADMIN"], "read_only": True},
    )
    expected = r"""docker run \
  --pull missing \
  --rm \
  --name My-run \
  --memory 536870912 \
  --memory-swap 1073741824 \
  --shm-size 67108864 \
  --user 1:2 \
  --workdir /w \
  --platform linux/arm64 \
  --cpus 1.5 \
  --privileged \
  --init \
  --label io.prefect.version=3.1.0 \
  --label io.infrablocks.version=0.1.0 \
  --label 'io.prefect.x=1 2' \
  --add-host host.docker.internal:host-gateway \
  --volume '/srv/x y:/x:ro' \
  --publish '[::1]:8080:80/tcp' \
  --publish 127.0.0.1::81/tcp \
  --publish 82/tcp \
  --publish 83/udp \
  --publish 9000-9010:84/tcp \
  --gpus all \
  --hostname h \
  --cap-add SYS_ADMIN \
  --read-only \
  --env 'A=it'"'"'s' \
  --env 'TOKEN=********' \
  busybox:1.36 \
  sh -c 'echo $HOME; rm -rf /'"""
    assert shown(block) == expected
    assert shown(block, show_secrets=True) == shown(block).replace("'TOKEN=********'", "TOKEN=t0ken")
    host = DockerContainer(image="busybox")
    assert "  --network host \\\n" in shown(host, base_environment={"PREFECT_API_URL": "http://localhost:4200"})


def test_several_networks_and_removed_variables() -> None:
    """With several networks the container is made, connected and started, which engines before 25 can do too."""
    block = DockerContainer(image="a", command=[], networks=["n1", "n2", "n3"], env={"GONE": None})
    assert shown(block, platform="darwin") == (
        "container=$(env -u GONE \\\n"
        "docker create \\\n"
        "  --pull always \\\n"
        "  --network n1 \\\n"
        "  --label io.prefect.version=3.1.0 \\\n"
        "  --label io.infrablocks.version=0.1.0 \\\n"
        "  --env GONE \\\n"
        "  a) &&\n"
        'docker network connect n2 "$container" &&\n'
        'docker network connect n3 "$container" &&\n'
        'docker start --attach "$container"'
    )


@pytest.mark.parametrize(
    ("create_kwargs", "options"),
    [
        ({"tty": True, "stdin_open": False}, ["--tty", "--interactive=false"]),
        ({"entrypoint": ["a", "b"]}, ["--entrypoint a"]),
        ({"entrypoint": []}, ["--entrypoint ''"]),
        (
            {"healthcheck": {"test": "x y", "interval": 10**9, "retries": 3}},
            ["--health-cmd 'x y'", "--health-interval 1000000000ns", "--health-retries 3"],
        ),
        ({"healthcheck": {"Test": ["NONE"]}}, ["--no-healthcheck"]),
        (
            {"healthcheck": {"test": ["CMD-SHELL", "x"], "start_period": 5}},
            ["--health-cmd x", "--health-start-period 5ns"],
        ),
        ({"device_read_bps": [{"Path": "/dev/a", "Rate": 5}]}, ["--device-read-bps /dev/a:5"]),
        ({"blkio_weight_device": [{"Path": "/dev/a", "Weight": 5}]}, ["--blkio-weight-device /dev/a:5"]),
        (
            {"dns": ["1.1.1.1"], "dns_opt": ["x"], "group_add": [7]},
            ["--dns 1.1.1.1", "--dns-option x", "--group-add 7"],
        ),
        (
            {"log_config": {"type": "local", "config": {"max-size": "1m"}}},
            ["--log-driver local", "--log-opt max-size=1m"],
        ),
        ({"log_config": {"Type": "none"}}, ["--log-driver none"]),
        ({"restart_policy": {"Name": "on-failure", "MaximumRetryCount": 3}}, ["--restart on-failure:3"]),
        ({"restart_policy": {"Name": "always"}}, ["--restart always"]),
        ({"sysctls": {"net.a": 1}, "storage_opt": {"size": "1g"}}, ["--sysctl net.a=1", "--storage-opt size=1g"]),
        ({"tmpfs": {"/t": "size=1m", "/u": ""}}, ["--tmpfs /t:size=1m", "--tmpfs /u"]),
        ({"ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 6}]}, ["--ulimit nofile=5:6"]),
        ({"links": {"a": "b"}}, ["--link a:b"]),
        ({"links": [["a", "b"]]}, ["--link a:b"]),
        ({"volumes_from": "a,b"}, ["--volumes-from a", "--volumes-from b"]),
        (
            {
                "mounts": [
                    {
                        "Type": "bind",
                        "Source": "/a,b",
                        "Target": "/t",
                        "ReadOnly": True,
                        "BindOptions": {"Propagation": "rslave"},
                    }
                ]
            },
            ["""--mount 'type=bind,"source=/a,b",target=/t,readonly,bind-propagation=rslave'"""],
        ),
        (
            {"mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 9}}]},
            ["--mount type=tmpfs,target=/t,tmpfs-size=9"],
        ),
        ({"device_requests": [{"count": 2, "capabilities": [["gpu"]]}]}, ["--gpus 2"]),
        (
            {"device_requests": [{"Driver": "nvidia", "DeviceIDs": ["0", "1"], "Capabilities": [["gpu", "utility"]]}]},
            ["""--gpus 'driver=nvidia,"device=0,1",capabilities=utility'"""],
        ),
    ],
)
def test_options_of_create_kwargs(create_kwargs: dict[str, Any], options: list[str]) -> None:
    """What has no field has an option too."""
    plain = shown(DockerContainer(image="a:1", command=["x"])).splitlines()
    lines = shown(DockerContainer(image="a:1", command=["x"], create_kwargs=create_kwargs)).splitlines()
    assert [line.strip().removesuffix(" \\") for line in lines if line not in plain][: len(options)] == options


def test_words_of_an_entrypoint() -> None:
    """The command line takes one word for an entrypoint; the others are put before the command."""
    assert shown(DockerContainer(image="a", command=["x"], create_kwargs={"entrypoint": "p 'q r'"})).endswith(
        "  --entrypoint p \\\n  a \\\n  'q r' x"
    )


@pytest.mark.parametrize(
    "create_kwargs",
    [
        {"networking_config": {"a": {"aliases": ["b"]}}},
        {"lxc_conf": {}},
        {"use_config_proxy": True},
        {"healthcheck": {"test": ["CMD", "x"]}},
        {"healthcheck": "x"},
        {"mounts": [{"Type": "bind", "Target": "/t", "VolumeOptions": {"Labels": {"a": "b"}}}]},
        {"device_requests": [{"count": 1, "capabilities": [["tpu"]]}]},
        {"restart_policy": "always"},
        {"ulimits": [{"limit": 3}]},
    ],
)
def test_what_has_no_option(create_kwargs: dict[str, Any]) -> None:
    """What the command line cannot say is an error that names it, and the other preview still has it."""
    block = DockerContainer(create_kwargs=create_kwargs)
    (name,) = create_kwargs
    with pytest.raises(InvalidSettings, match=f"`docker run` has no option for '{name}' of create_kwargs as it is"):
        block.preview(as_command=True)
    assert json.loads(block.preview())[name] == create_kwargs[name]


def test_a_label_that_has_no_option() -> None:
    """The command line cannot set a label with "=" in its key."""
    block = DockerContainer(labels={"a=b": "c"})
    assert json.loads(block.preview())["labels"]["a=b"] == "c"
    with pytest.raises(InvalidSettings, match="cannot set the label 'a=b'"):
        block.preview(as_command=True)


text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
name = st.text(st.characters(exclude_characters="=\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def fake_docker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a program `docker` that prints its arguments."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "docker"
    # Not the environment's own Python: the path of a checkout may have spaces, which `#!` cannot have.
    program.write_text(f"#!{Path(sys.executable).resolve()}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize("shell", ["sh", "bash"])
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command=st.lists(text, max_size=4), env=st.dictionaries(name, text | st.none(), max_size=4), label=text)
def test_a_shell_runs_exactly_the_preview(
    shell: str, command: list[str], env: dict[str, str | None], label: str, fake_docker: Path
) -> None:
    """Pasted into a shell, the preview gives `docker` the very arguments, variables and labels that the block has."""
    block = DockerContainer(image="a:1", command=command, env=env, labels={"label": label})
    pasted = f"export PATH={shlex.quote(str(fake_docker))}:$PATH\n{block.preview(as_command=True, show_secrets=True)}"
    run = subprocess.run([shell, "-c", pasted], capture_output=True, check=True, env={**os.environ, "PYTHONUTF8": "1"})
    arguments = json.loads(run.stdout)
    position = arguments.index("a:1")
    assert arguments[0] == "run"
    assert arguments[position + 1 :] == command
    values = list(pairwise(arguments[: position + 1]))
    variables = [f"{key}={value}" for key, value in env.items() if value is not None]
    removed = [key for key, value in env.items() if value is None]
    assert [value for option, value in values if option == "--env"] == variables + removed
    assert ("--label", f"label={label}") in values
