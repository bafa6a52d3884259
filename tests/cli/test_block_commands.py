"""`infrablocks block`, and saved blocks as arguments of `run` and `preview`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from infrablocks import DockerContainer, DockerRegistry, Process
from infrablocks.blocks.stores import sqlite_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.command_line import CommandLine

    Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("INFRABLOCKS_STORE", raising=False)
    monkeypatch.setenv("INFRABLOCKS_SECRET_KEY", Fernet.generate_key().decode())
    yield
    sqlite_file.close()


@pytest.fixture
def call(infrablocks: CommandLine) -> Call:
    """Give the exit code, and what was printed to stdout and to stderr."""

    def called(*words: str) -> tuple[int, str, str]:
        done = infrablocks(*words)
        return done.returncode, done.stdout, done.stderr

    return called


def test_a_block_is_saved_run_listed_and_removed(infrablocks: CommandLine, call: Call) -> None:
    """What is saved is what runs, with the changes of this call; what is removed is gone."""
    saved = infrablocks("block", "save", "hello", "--env", "WHO=world", "--", "sh", "-c", 'echo "hello $WHO"')
    assert (saved.returncode, saved.stdout, saved.stderr) == (0, "process/hello\n", "")
    ran = infrablocks("run", "process/hello", "--set", "env.WHO=them")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "hello them\n", "")
    as_saved = "WHO=world \\\nsh -c 'echo \"hello $WHO\"'\n"
    assert call("preview", "process/hello") == (0, as_saved, "")
    assert call("preview", "process/hello", "--env", "WHO=you", "--", "true") == (0, "WHO=you \\\ntrue\n", "")
    assert call("preview", "process/hello") == (0, as_saved, "")
    assert call("block", "ls") == (0, "process/hello\n", "")
    assert call("block", "rm", "process/hello") == (0, "", "")
    assert call("block", "ls") == (0, "", "")
    assert Process.list() == []


def test_save_from_a_file_and_from_another_block(tmp_path: Path, call: Call) -> None:
    """A block may come from a file, or from a saved one, with changes; it need not run anything."""
    (tmp_path / "etl.yaml").write_text("type: docker-container\nimage: etl:3\ncommand: [etl]\n")
    (tmp_path / "main.yaml").write_text(
        "type: docker-registry\nusername: ci\npassword: t0ken\nregistry_url: registry.example.com\n"
    )
    assert call("block", "save", "etl", "etl.yaml") == (0, "docker-container/etl\n", "")
    changes = ("--set", "mem_limit=4g", "--name", "large")
    assert call("block", "save", "large", "docker-container/etl", *changes) == (0, "docker-container/large\n", "")
    assert call("block", "save", "main", "main.yaml") == (0, "docker-registry/main\n", "")
    assert DockerContainer.load("large") == DockerContainer(
        image="etl:3", command=["etl"], mem_limit="4g", name="large"
    )
    assert DockerRegistry.load("main").password == SecretStr("t0ken")
    containers = "docker-container/etl\ndocker-container/large\n"
    assert call("block", "ls") == (0, f"{containers}docker-registry/main\n", "")
    assert call("block", "ls", "docker-container") == (0, containers, "")


def test_overwrite(call: Call) -> None:
    """Without --overwrite another block of the name stays, and the error is one line."""
    assert call("block", "save", "a", "--", "echo", "old")[0] == 0
    code, out, err = call("block", "save", "a", "--", "echo", "new")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("Error: a block process/a is saved already: ")
    assert Process.load("a").command == ["echo", "old"]
    assert call("block", "save", "a", "--overwrite", "--", "echo", "new")[0] == 0
    assert Process.load("a").command == ["echo", "new"]


def test_show_masks_secrets_and_names_references(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """`show` prints YAML without any secret, needs no key, and names the saved blocks inside."""
    registry = DockerRegistry(username="ci", password=SecretStr("t0ken"), registry_url="registry.example.com")
    registry.save("main")
    block = DockerContainer(image="etl:3", image_registry=registry, env={"TOKEN": SecretStr("swordfish"), "A": "1"})
    block.save("etl")
    block.image_registry = DockerRegistry(username="x", password=SecretStr("other"), registry_url="y.example.com")
    block.save("own")
    monkeypatch.delenv("INFRABLOCKS_SECRET_KEY")
    beginning = "type: docker-container\nenv:\n  TOKEN: '********'\n  A: '1'\nimage: etl:3\n"
    shown = f"{beginning}image_registry: docker-registry/main\n"
    assert call("block", "show", "docker-container/etl") == (0, shown, "")
    own = (
        f"{beginning}image_registry:\n"
        "  type: docker-registry\n  username: x\n  password: '********'\n  registry_url: y.example.com\n"
    )
    assert call("block", "show", "docker-container/own") == (0, own, "")


def test_secrets_of_a_saved_block_are_masked_and_used(infrablocks: CommandLine, call: Call) -> None:
    """A saved secret reaches the command, and no preview or error."""
    Process(command=["printenv", "TOKEN"], env={"TOKEN": SecretStr("swordfish")}).save("a")
    assert infrablocks("run", "process/a").stdout == "swordfish\n"
    assert call("preview", "process/a") == (0, "TOKEN='********' \\\nprintenv TOKEN\n", "")
    code, _, err = call("run", "process/a", "--set", "timeout_seconds=soon")
    assert code == 125
    assert "swordfish" not in err


def test_a_file_of_that_name_is_meant_rather(tmp_path: Path, call: Call) -> None:
    """Where there is a file with the name of a saved block, it is the file that runs."""
    Process(command=["echo", "saved"]).save("a")
    (tmp_path / "process").mkdir()
    (tmp_path / "process" / "a").write_text("type: process\ncommand: [echo, file]\n")
    assert call("preview", "process/a") == (0, "echo file\n", "")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("run", "process/nosuch"), 125, "there is no saved block process/nosuch in "),
        (("preview", "nosuch/nosuch"), 125, 'there is no block type "nosuch"'),
        (("block", "show", "process/nosuch"), 1, "there is no saved block process/nosuch in "),
        (("block", "show", "nosuch"), 1, "'nosuch' does not say of which type the block is: write slug/name"),
        (("block", "rm", "process/nosuch"), 1, "there is no saved block process/nosuch in "),
        (("block", "ls", "proces"), 1, 'there is no block type "proces"; did you mean process?'),
        (("block", "save", "My Block", "--", "true"), 1, "'My Block' is not the name of a block: use lower case"),
        (("run", "docker-registry/main"), 125, "docker-registry/main is not the name of a block of Infrastructure"),
        (("block", "save", "x", "docker-registry/main", "--env", "A=1"), 1, "a docker-registry has neither a command"),
    ],
)
def test_mistakes(call: Call, words: tuple[str, ...], code: int, text: str) -> None:
    """Each mistake is an error in one line."""
    DockerRegistry(username="ci", password=SecretStr("t0ken"), registry_url="registry.example.com").save("main")
    returned, out, err = call(*words)
    assert (returned, out, err.count("\n")) == (code, "", 1)
    assert err.startswith(f"Error: {text}")


@pytest.mark.parametrize("words", [("block", "save", "--", "a", "b"), ("block", "save", "a"), ("block", "save")])
def test_arguments_in_the_wrong_place(call: Call, words: tuple[str, ...]) -> None:
    """Nothing is saved that was perhaps not meant."""
    assert call(*words)[0] == 2
    assert Process.list() == []


def test_a_store_that_is_none(monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    """A wrong store is an error in one line."""
    monkeypatch.setenv("INFRABLOCKS_STORE", "redis")
    told = "Error: INFRABLOCKS_STORE is 'redis'; it can be sqlite (the default) or prefect\n"
    assert call("block", "ls") == (1, "", told)
