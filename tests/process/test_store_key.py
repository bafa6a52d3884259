"""The key to the secrets of saved blocks stays with this process: what it starts gets the key only if `env` has it."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

import infrablocks
from infrablocks import DockerContainer, KubernetesJob, Process
from infrablocks.submission import prepare_for_flow_run

if TYPE_CHECKING:
    from typing_extensions import TypeIs

pytestmark = pytest.mark.anyio

KEY, KEY_FILE = "INFRABLOCKS_SECRET_KEY", "INFRABLOCKS_SECRET_KEY_FILE"
VALUE = "key-3c1d"
# A variable that is not set is told apart from an empty one. The parent of a detached process is its supervisor.
SHOW = f'echo "<${{{KEY}-none}}> <${{{KEY_FILE}-none}}> <$BESIDE>"'
SHOW_SUPERVISOR = f'tr "\\0" "\\n" </proc/$PPID/environ | grep -e "^{KEY}" -e ^BESIDE'


@pytest.fixture(autouse=True)
def _key_of_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INFRABLOCKS_HOME", str(tmp_path))
    monkeypatch.setenv(KEY, VALUE)
    monkeypatch.setenv(KEY_FILE, "/the/key")
    monkeypatch.setenv("BESIDE", "beside")


async def printed(block: Process) -> str:
    """Run a block and give what it prints."""
    lines: list[str] = []
    await block.run(output=lambda _stream, line: lines.append(line))
    return "".join(lines)


@pytest.mark.parametrize("env", [{}, {"A": "1"}, {KEY: None}, {KEY_FILE: None, "A": None}], ids=str)
@pytest.mark.parametrize("detached", [False, True])
async def test_a_command_does_not_get_the_key(*, detached: bool, env: dict[str, Any]) -> None:
    """It inherits the other variables, whatever the block itself sets."""
    block = Process(command=["sh", "-c", SHOW], env=env, detached=detached)
    assert await printed(block) == "<none> <none> <beside>\n"


@pytest.mark.parametrize("block_class", [Process, DockerContainer, KubernetesJob])
def test_no_block_passes_the_key_on(block_class: type[Process | DockerContainer | KubernetesJob]) -> None:
    """The key is not among the variables that a process, a container or a Job gets on top of what it inherits."""
    assert KEY not in block_class(command=["true"]).preview(show_secrets=True)
    assert VALUE in block_class(command=["true"], env={KEY: VALUE}).preview(show_secrets=True)
    assert VALUE not in block_class(command=["true"], env={KEY: VALUE}).preview()


@pytest.mark.parametrize("given", [VALUE, "another", SecretStr("another")], ids=repr)
@pytest.mark.parametrize("detached", [False, True])
async def test_a_command_gets_a_key_that_is_given(*, detached: bool, given: str | SecretStr) -> None:
    """A key in `env` is passed on, and so is the name of a file that holds one."""
    block = Process(command=["sh", "-c", SHOW], env={KEY: given, KEY_FILE: "/a"}, detached=detached)
    value = given.get_secret_value() if isinstance(given, SecretStr) else given
    assert await printed(block) == f"<{value}> </a> <beside>\n"


async def test_a_supervisor_does_not_get_the_key() -> None:
    """Nobody finds the key in the environment of the supervisor, which may live for days."""
    block = Process(command=["sh", "-c", SHOW_SUPERVISOR], detached=True, env={KEY: "of the command", "BESIDE": None})
    assert await printed(block) == "BESIDE=beside\n"


async def test_a_flow_run_does_not_get_the_key() -> None:
    """Nor does a process that an agent starts for a flow run."""
    flow_run = SimpleNamespace(id=uuid4(), name="a-flow-run")
    block = prepare_for_flow_run(flow_run, Process(command=["sh", "-c", SHOW]))
    assert await printed(block) == "<none> <none> <beside>\n"


def test_a_key_that_is_given_is_a_secret(tmp_path: Path) -> None:
    """It is masked wherever the block is shown, also where it was given as plain text."""
    block = Process(command=["true"], env={KEY: VALUE, KEY_FILE: "/a"})
    block.to_yaml(tmp_path / "block.yaml")
    shown = [repr(block), block.preview(), (tmp_path / "block.yaml").read_text()]
    assert [text for text in shown if VALUE in text or "/a" not in text] == []
    assert VALUE in block.preview(show_secrets=True)


def _starts_a_program(node: ast.AST) -> TypeIs[ast.Call]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return ast.unparse(node.func) in {f"subprocess.{name}" for name in ("Popen", "run", "call", "check_output")}


def test_each_program_is_given_its_environment() -> None:
    """Nothing in the library starts a program that inherits all there is, the key among it."""
    started, without = [], []
    for file in Path(infrablocks.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if _starts_a_program(node):
                started.append(f"{file.name}:{node.lineno}")
                if "env" not in {keyword.arg for keyword in node.keywords}:
                    without.append(started[-1])
    assert (len(started) >= 5, without) == (True, [])
