"""What the block hands to the half that talks to an engine."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from infrablocks import Block, InvalidBlockFile, get_block_class
from infrablocks.docker import DockerContainer, DockerRegistry, _client, _create, _watch
from infrablocks.docker._settings import RegistryCredentials

if TYPE_CHECKING:
    from pathlib import Path


def test_creating_tells_what_was_chosen(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The reason for a chosen network mode is logged when the container is made, and not by a preview."""
    made: list[Any] = []
    monkeypatch.setattr(_create, "create_container", lambda *arguments: made.append(arguments))
    monkeypatch.setenv("PREFECT_API_URL", "http://localhost:4200/api")
    block = DockerContainer()
    with caplog.at_level(logging.INFO, "infrablocks"):
        block.preview()
        assert caplog.messages == []
        block._create(settings := block._build())
    assert made == [(settings, block.logger)]
    (message,) = caplog.messages
    assert message == (
        "The container gets network mode 'host', since the Prefect API is on this machine "
        "(http://localhost:4200/api); set `network_mode` to choose another."
    )
    assert caplog.records[0].levelno == logging.INFO
    assert caplog.records[0].name == "infrablocks.docker-container"


def test_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container is found by its identifier; to watch it, what the block says of its output and removal counts."""
    calls: list[Any] = []
    monkeypatch.setattr(_watch, "find_container", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(_watch, "reattach_container", lambda *arguments, **named: calls.append((arguments, named)))
    block = DockerContainer(stream_output=False, auto_remove=True)
    block._find("abc")
    block._reattach("abc", None)
    named = {"stream_output": False, "auto_remove": True}
    assert calls == [("abc",), (("abc",), named)]


def test_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login gives the engine's reply."""
    monkeypatch.setattr(_client, "login", lambda *arguments: {"arguments": arguments})
    registry = DockerRegistry(username="ci", password=SecretStr("x"), registry_url="https://r.example.com")
    credentials = RegistryCredentials("ci", SecretStr("x"), "r.example.com")
    assert registry.login() == {"arguments": (credentials,)}


def test_the_classes_are_found() -> None:
    """Both blocks are found by their slugs."""
    assert get_block_class("docker-container") is DockerContainer
    assert get_block_class("docker-registry") is DockerRegistry


def test_a_block_file(tmp_path: Path) -> None:
    """Every field can be written to a file and is read from it as it was."""
    block = DockerContainer(
        image="a:1",
        image_pull_policy="always",
        volumes=["./x:/x"],
        mem_limit="5m",
        cpus=0.5,
        gpus="all",
        user=1000,
        ports=["2222:22"],
        create_kwargs={"cap_add": ["A"], "sysctls": {"net.a": "1"}},
    )
    block.to_yaml(tmp_path / "block.yaml")
    assert Block.from_yaml(tmp_path / "block.yaml") == block


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("volumes: [a]", "'a' is not a volume"),
        ("ports: [80:80/x]", "'80:80/x' is not a port"),
        ("gpus: true", "gpus"),
        ("create_kwargs: {cap_ad: [A]}", "'cap_ad' is not an argument"),
    ],
)
def test_a_wrong_block_file(line: str, problem: str, tmp_path: Path) -> None:
    """An error in a file has its line, the field and the value."""
    tmp_path.joinpath("block.yaml").write_text(f"type: docker-container\n{line}\n")
    with pytest.raises(InvalidBlockFile, match="block.yaml:2: ") as caught:
        Block.from_yaml(tmp_path / "block.yaml")
    assert problem in str(caught.value)
