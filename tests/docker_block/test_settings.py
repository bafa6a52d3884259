"""What a container is made with: whole settings, and the rules behind each of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import SecretStr

from infrablocks.docker import DockerContainer, ImagePullPolicy
from infrablocks.docker._options import container_name
from infrablocks.docker._reference import ImageReference
from infrablocks.docker._settings import ContainerSettings, container_settings
from tests.docker_block.facts import facts

LABELS = {"io.prefect.version": "3.1.0", "io.infrablocks.version": "0.1.0"}
HOSTS = {"host.docker.internal": "host-gateway"}
API = "PREFECT_API_URL"


def build(block: DockerContainer, **changes: Any) -> ContainerSettings:
    return container_settings(block, facts(**changes))


def test_the_settings_of_a_plain_container() -> None:
    """A block with nothing but image and command."""
    assert build(DockerContainer(image="busybox:1.36", command=["true"])) == ContainerSettings(
        image=ImageReference("docker.io", "library/busybox", "1.36"),
        image_pull_policy=ImagePullPolicy.IF_NOT_PRESENT,
        credentials=None,
        environment={},
        create={
            "image": "busybox:1.36",
            "network": None,
            "network_mode": None,
            "command": ["true"],
            "labels": LABELS,
            "extra_hosts": HOSTS,
            "name": None,
            "volumes": [],
        },
        networks=(),
        auto_remove=False,
        stream_output=True,
    )


def test_the_whole_preview() -> None:
    """Every field has its argument of the SDK's `containers.create`, those of the seed first."""
    block = DockerContainer(
        image="localhost:5000/a:1",
        command=["sh", "-c", "echo hi"],
        env={"A": "1", "TOKEN": SecretStr("t0ken"), "GONE": None},
        labels={"prefect.io/flow-run-id": "7", "team": "data"},
        name="My run!",
        networks=["a", "b"],
        auto_remove=True,
        volumes=["./x:/x:ro", "data:/data", "~/y:/y"],
        stream_output=False,
        mem_limit="512m",
        memswap_limit=-1,
        cpus=0.5,
        gpus=2,
        privileged=True,
        user=1000,
        working_dir="/srv",
        platform="linux/arm64",
        shm_size="64m",
        init=False,
        ports=["[::1]:8080:80", "9000-9001:9000-9001/udp", ":81"],
        create_kwargs={"hostname": "h", "extra_hosts": {"db": "10.0.0.1"}},
    )
    settings = build(block, base_environment={"PREFECT_API_KEY": "pnu_key", "PREFECT_HOME": "/root"})
    expected = {
        "image": "localhost:5000/a:1",
        "network": "a",
        "network_mode": None,
        "command": ["sh", "-c", "echo hi"],
        "environment": {"PREFECT_API_KEY": "********", "A": "1", "TOKEN": "********", "GONE": None},
        "auto_remove": True,
        "labels": {**LABELS, "io.prefect.flow-run-id": "7", "team": "data"},
        "extra_hosts": {**HOSTS, "db": "10.0.0.1"},
        "name": "My-run",
        "volumes": ["/srv/x:/x:ro", "data:/data", "/home/me/y:/y"],
        "mem_limit": 536870912,
        "memswap_limit": -1,
        "nano_cpus": 500000000,
        "device_requests": [{"count": 2, "capabilities": [["gpu"]]}],
        "privileged": True,
        "user": "1000",
        "working_dir": "/srv",
        "platform": "linux/arm64",
        "shm_size": 67108864,
        "init": False,
        "ports": {
            "80/tcp": [{"HostIp": "::1", "HostPort": "8080"}],
            "9000/udp": [{"HostIp": "", "HostPort": "9000"}],
            "9001/udp": [{"HostIp": "", "HostPort": "9001"}],
            "81/tcp": [{"HostIp": "", "HostPort": ""}],
        },
        "hostname": "h",
        "networks": ["a", "b"],
    }
    assert json.loads(settings.as_json(show_secrets=False)) == expected
    assert list(json.loads(settings.as_json(show_secrets=False))) == list(expected)
    shown = {"PREFECT_API_KEY": "pnu_key", "A": "1", "TOKEN": "t0ken", "GONE": None}
    assert json.loads(settings.as_json(show_secrets=True)) == {**expected, "environment": shown}
    assert settings.networks == ("b",)
    assert settings.removed_variables == ("GONE",)
    assert not settings.stream_output


def test_without_prefect_and_without_a_command() -> None:
    """Without Prefect there is no label for it; an empty command leaves the image's own."""
    create = build(DockerContainer(image="a", command=[]), prefect_version=None, version=None).create
    assert create["labels"] == {"io.infrablocks.version": "unknown"}
    assert create["command"] is None


@pytest.mark.parametrize(
    ("image", "policy", "expected"),
    [
        ("a", None, "ALWAYS"),
        ("a:latest", None, "ALWAYS"),
        ("localhost:5000/a", None, "ALWAYS"),
        ("a:1", None, "IF_NOT_PRESENT"),
        ("a@sha256:" + "0" * 64, None, "IF_NOT_PRESENT"),
        ("a:latest@sha256:" + "0" * 64, None, "IF_NOT_PRESENT"),
        ("a", "never", "NEVER"),
        ("a", "if_not_present", "IF_NOT_PRESENT"),
        ("a", "IfNotPresent", "IF_NOT_PRESENT"),
        ("a:1", "Always", "ALWAYS"),
    ],
)
def test_pull_policy(image: str, policy: Any, expected: str) -> None:
    """Without a policy the newest image is always looked for, and a particular one only where it is not there."""
    block = DockerContainer(image=image, image_pull_policy=policy)
    assert build(block).image_pull_policy is ImagePullPolicy(expected)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"prefect.io/flow-run-id": "1"}, {"io.prefect.flow-run-id": "1"}),
        ({"a.b.c/key/x": "1"}, {"c.b.a.key/x": "1"}),
        ({"a/b": "1"}, {"a.b": "1"}),
        ({"plain": "", "a.b.c": "2", "/x": "3", "x/": "4"}, {"plain": "", "a.b.c": "2", "/x": "3", "x/": "4"}),
        ({"io.prefect.version": "mine"}, {"io.prefect.version": "mine"}),
    ],
)
def test_labels(labels: dict[str, str], expected: dict[str, str]) -> None:
    """Labels get Docker's form when the settings are built, also those of a copy; the block keeps its own."""
    copy = DockerContainer().model_copy(update={"labels": labels})
    assert build(copy).create["labels"] == {**LABELS, **expected}
    assert copy.labels == labels


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, None),
        ("", None),
        ("x", None),
        ("!?#", None),
        ("-_.", None),
        ("ab", "ab"),
        ("_-.ab", "ab"),
        ("My flow / run #1", "My-flow-run-1"),
        ("ünï", "uni"),
        ("x" * 300, "x" * 250),
    ],
)
def test_name(name: str | None, expected: str | None) -> None:
    """A name that Docker takes, or none where too little is left of it."""
    assert build(DockerContainer(name=name)).create["name"] == expected


@given(st.text())
def test_every_name_is_valid(name: str) -> None:
    """Whatever the text, Docker takes the name that is made of it."""
    made = container_name(name)
    assert made is None or (re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", made) and len(made) <= 250)


@pytest.mark.parametrize("where", ["base", "env", "secret"])
@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("http://localhost:4200/api", "host"),
        ("http://LOCALHOST/api", "host"),
        ("http://127.0.0.1:4200/api", "host"),
        ("http://127.8.8.8/api", "host"),
        ("http://0.0.0.0:4200/api", "host"),
        ("http://[::1]:4200/api", "host"),
        ("http://user:pw@localhost:4200/api", "host"),
        ("http://api.mylocalhost.io/api", None),
        ("http://localhost.example.com/api", None),
        ("https://api.prefect.cloud/api?x=localhost", None),
        ("http://host.docker.internal:4200/api", None),
    ],
)
def test_network_mode(url: str, mode: str | None, where: str) -> None:
    """On Linux, and only there, the host's network is chosen for an API on this machine, and it is told why."""
    env = {"base": {}, "env": {API: url}, "secret": {API: SecretStr(url)}}[where]
    base = {API: url} if where == "base" else {}
    settings = build(DockerContainer(env=env), base_environment=base)
    assert settings.create["network_mode"] == mode
    assert bool(settings.notes) == (mode == "host")
    assert "pw" not in "".join(settings.notes)
    assert where != "secret" or "4200" not in "".join(settings.notes)
    assert build(DockerContainer(env=env), base_environment=base, platform="darwin").create["network_mode"] is None


def test_the_note_on_the_network_mode() -> None:
    """The reason for the choice is there in words."""
    settings = build(DockerContainer(), base_environment={API: "http://me:pw@localhost:4200/api"})
    (note,) = settings.notes
    assert note == (
        "The container gets network mode 'host', since the Prefect API is on this machine (localhost:4200/api); set "
        "`network_mode` to choose another."
    )


@pytest.mark.parametrize(
    "fields",
    [{"network_mode": "bridge"}, {"networks": ["a"]}, {"ports": ["80:80"]}, {"env": {API: None}}],
)
def test_no_network_mode_is_chosen(fields: dict[str, Any]) -> None:
    """What the user has chosen, and what the host's network cannot have, leaves the mode as it is."""
    settings = build(DockerContainer(**fields), base_environment={API: "http://localhost:4200/api"})
    assert settings.create["network_mode"] == fields.get("network_mode")
    assert settings.notes == settings.warnings == ()
    expected = {} if "env" in fields else {API: "http://host.docker.internal:4200/api"}
    assert settings.environment == expected


@pytest.mark.parametrize("url", ["localhost:4200/api", "http://[::1/api", "http://x:port/", "http:// localhost", "x"])
def test_an_api_url_that_is_none(url: str) -> None:
    """A URL that cannot be parsed gives a warning without its password, no mode, and is passed on as it is."""
    settings = build(DockerContainer(), base_environment={API: f"u:pw@{url}"})
    assert settings.create["network_mode"] is None
    assert settings.warnings == (
        f"PREFECT_API_URL {url!r} is not a URL with a host. The network mode will not be inferred.",
    )
    assert settings.environment == {API: f"u:pw@{url}"}


def test_host_network_elsewhere() -> None:
    """The mode `host` on another platform is passed on with a warning."""
    settings = build(DockerContainer(network_mode="host"), platform="darwin")
    assert settings.create["network_mode"] == "host"
    assert settings.warnings == (
        "'host' network mode is not supported on platform 'darwin' and may not work as intended.",
    )


def test_warnings_are_given_and_notes_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preview warns; what is only told is told when the container is made."""
    monkeypatch.setenv(API, "http://[::1/api")
    with pytest.warns(UserWarning, match="The network mode will not be inferred"):
        DockerContainer().preview()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:4200/api", "http://host.docker.internal:4200/api"),
        ("http://127.0.0.1/api?from=localhost#127.0.0.1", "http://host.docker.internal/api?from=localhost#127.0.0.1"),
        ("http://[::1]:4200", "http://host.docker.internal:4200"),
        ("http://0.0.0.0:4200/", "http://host.docker.internal:4200/"),
        ("HTTP://u:localhost@LocalHost:4200/a", "HTTP://u:localhost@host.docker.internal:4200/a"),
        ("http://localhost@example.com/", "http://localhost@example.com/"),
        ("http://api.mylocalhost.io/", "http://api.mylocalhost.io/"),
        ("http://127.0.0.1.nip.io/", "http://127.0.0.1.nip.io/"),
        ("http://example.com/localhost", "http://example.com/localhost"),
    ],
)
def test_api_url_in_the_container(url: str, expected: str) -> None:
    """Only the host of the inherited URL is replaced, and not where the network is the host's; `env` stays as it is."""
    bridge = DockerContainer(network_mode="bridge")
    assert build(bridge, base_environment={API: url}).environment == {API: expected}
    assert build(DockerContainer(network_mode="host"), base_environment={API: url}).environment == {API: url}
    given_by_user = DockerContainer(network_mode="bridge", env={API: url})
    assert build(given_by_user, base_environment={API: "http://localhost"}).environment == {API: url}


@pytest.mark.parametrize(
    ("fields", "platform", "expected"),
    [
        ({}, "linux", HOSTS),
        ({}, "darwin", None),
        ({"env": {API: "http://localhost:4200"}}, "linux", HOSTS),
        ({"env": {API: "http://host.docker.internal:4200"}}, "linux", HOSTS),
        ({"env": {API: "https://api.prefect.cloud"}}, "linux", None),
        ({"env": {API: SecretStr("https://api.prefect.cloud")}}, "linux", None),
        ({"env": {API: None}}, "linux", HOSTS),
        ({"network_mode": "host"}, "linux", HOSTS),
        ({"network_mode": "container:x"}, "linux", None),
        ({"create_kwargs": {"extra_hosts": {"a": "1.2.3.4"}}}, "darwin", {"a": "1.2.3.4"}),
        (
            {"create_kwargs": {"extra_hosts": {"host.docker.internal": "1.2.3.4"}}},
            "linux",
            {"host.docker.internal": "1.2.3.4"},
        ),
    ],
)
def test_extra_hosts(fields: dict[str, Any], platform: str, expected: dict[str, str] | None) -> None:
    """On Linux the engine's machine has a name in the container, unless `env` says that the API is elsewhere."""
    assert build(DockerContainer(**fields), platform=platform).create["extra_hosts"] == expected


def test_settings_of_this_machine_stay_here() -> None:
    """Paths of this machine and a server's settings are left out; what `env` says is passed on whatever it is."""
    base = {
        "PREFECT_API_URL": "https://api.prefect.cloud",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_HOME": "/home/me/.prefect",
        "PREFECT_PROFILES_PATH": "/home/me/.prefect/profiles.toml",
        "PREFECT_LOCAL_STORAGE_PATH": "/home/me/.prefect/storage",
        "PREFECT_LOGGING_SETTINGS_PATH": "/home/me/.prefect/logging.yml",
        "PREFECT_API_SSL_CERT_FILE": "/etc/ssl/cert.pem",
        "PREFECT_SERVER_API_HOST": "0.0.0.0",
        "PREFECT_API_DATABASE_CONNECTION_URL": "sqlite://",
    }
    settings = build(DockerContainer(env={"PREFECT_HOME": "/home/x"}), base_environment=base)
    assert settings.environment == {
        "PREFECT_API_URL": "https://api.prefect.cloud",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_HOME": "/home/x",
    }


def test_nothing_is_shared_with_the_block() -> None:
    """Who changes the settings does not change the block."""
    block = DockerContainer(create_kwargs={"cap_add": ["A"]}, networks=["a", "b"], command=["x"])
    before = block.model_copy(deep=True)
    settings = build(block)
    settings.create["cap_add"].append("B")
    settings.create["command"].append("B")
    assert block == before
