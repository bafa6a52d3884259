"""The wheel in environments that have nothing else: each extra does its part, and without it an error helps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.package.local_server import serving
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# An installation downloads what is not in a cache yet.
_INSTALLATION_SECONDS = 5 * WAIT_SECONDS
# Nothing here runs so often that compiling all of it would pay.
_NOT_INHERITED = ("DOCKER_", "INFRABLOCKS_", "PREFECT_", "PYTHON", "UV_COMPILE_BYTECODE", "VIRTUAL_ENV")

# pip 23.0 does not start on Python 3.12 and newer.
OLDEST_PIP = "23.0" if sys.version_info < (3, 12) else "25.0"

RUN = """
import infrablocks

result = infrablocks.Process(command=["echo", "hello"]).run()
assert result.status_code == 0, result
"""
SAVE_WITH_A_KEY = """
from pydantic import SecretStr
from infrablocks import Process
from infrablocks.exceptions import BlockStoreError

try:
    Process(command=["sh", "-c", "echo $GREETING"], env={"GREETING": SecretStr("hello")}).save("greeting")
except BlockStoreError as error:
    raise SystemExit(f"{error}")
Process.load("greeting").run()
"""
LOAD_FROM_THE_API = """
from infrablocks import Process
from infrablocks.exceptions import BlockStoreError

try:
    Process.load("greeting").run()
except BlockStoreError as error:
    raise SystemExit(f"{error}")
"""


def inherited() -> dict[str, str]:
    """Return the variables of this process that say nothing to infrablocks and to Python."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}


class Environment:
    """A virtual environment with a home of its own.

    Args:
        folder: Where it is made.
        uv: The program that makes it.
    """

    def __init__(self, folder: Path, uv: str) -> None:
        self._uv = uv
        self._folder, self._home = folder / "environment", folder / "home"
        self._home.mkdir(parents=True)
        self._call([uv, "venv", "--quiet", "--python", sys.executable, str(self._folder)])

    def install(self, *requirements: str) -> None:
        """Install something with uv."""
        python = ("--python", str(self._folder / "bin/python"))
        self._call([self._uv, "pip", "install", "--quiet", *python, *requirements])

    def remove_library(self) -> None:
        """Take infrablocks out, and leave its dependencies."""
        self._call(
            [self._uv, "pip", "uninstall", "--quiet", "--python", str(self._folder / "bin/python"), "infrablocks"]
        )

    def install_with_pip(self, requirement: str) -> None:
        """Install something with the environment's own pip."""
        self._call([str(self._folder / "bin/python"), "-m", "pip", "install", "--quiet", requirement])

    def run(self, program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, as a user without any settings."""
        return subprocess.run(
            [str(self._folder / "bin" / program), *arguments],
            capture_output=True,
            check=False,
            cwd=self._home,
            env={**inherited(), "HOME": str(self._home), **variables},
            text=True,
            timeout=WAIT_SECONDS,
        )

    def _call(self, command: list[str]) -> None:
        done = subprocess.run(
            command, capture_output=True, check=False, env=inherited(), text=True, timeout=_INSTALLATION_SECONDS
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def environment_with(wheel: Path, uv: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Environment]:
    """Makes an environment that has the wheel with one extra, or with none."""
    made: dict[str, Environment] = {}

    def environment(extra: str) -> Environment:
        if extra not in made:
            made[extra] = Environment(tmp_path_factory.mktemp(extra or "none"), uv)
            made[extra].install(f"{wheel}[{extra}]" if extra else str(wheel))
        return made[extra]

    return environment


@pytest.fixture
def api_url() -> Iterator[str]:
    """The address of a Prefect API that has one block."""

    def answer(path: str) -> tuple[int, str, bytes]:
        is_block = path.startswith("/api/block_types/slug/process/block_documents/name/greeting")
        found = {"id": "1", "data": {"command": ["echo", "hello"]}, "block_document_references": {}}
        content = json.dumps(found if is_block else {"detail": "not found"}).encode()
        return 200 if is_block else 404, "application/json", content

    with serving(answer) as address:
        yield f"{address}/api"


@pytest.mark.parametrize("extra", ["", "cli", "prefect", "secrets"])
def test_a_process_runs(environment_with: Callable[[str], Environment], extra: str) -> None:
    """Without an extra and with each of them, `import infrablocks` and a process work, without any warning."""
    done = environment_with(extra).run("python", "-W", "error", "-c", RUN)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")


@pytest.mark.parametrize("module", ["docker", "kubernetes", "submission"])
def test_the_back_ends_are_there(environment_with: Callable[[str], Environment], module: str) -> None:
    """Without an extra, all that the back ends import is installed, in each of their modules."""
    code = f"""
import importlib, pkgutil, infrablocks.{module} as package
for found in pkgutil.walk_packages(getattr(package, "__path__", ()), package.__name__ + "."):
    importlib.import_module(found.name)
"""
    done = environment_with("").run("python", "-c", code)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_line(environment_with: Callable[[str], Environment]) -> None:
    """With the extra `cli`, the command runs something and has the version of the wheel."""
    environment = environment_with("cli")
    done = environment.run("infrablocks", "run", "--", "sh", "-c", "echo hello; exit 3")
    assert (done.returncode, done.stdout) == (3, "hello\n"), done.stderr
    version = environment.run("infrablocks", "--version")
    assert (version.returncode, version.stderr) == (0, "")


@pytest.mark.parametrize("extra", ["", "prefect", "secrets"])
def test_the_command_line_without_its_extra(environment_with: Callable[[str], Environment], extra: str) -> None:
    """Without the extra `cli`, the command says in one line how to get it."""
    done = environment_with(extra).run("infrablocks", "run", "--", "echo", "hello")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "pip install 'infrablocks[cli]'" in done.stderr


def test_secrets_are_saved_with_a_key(environment_with: Callable[[str], Environment]) -> None:
    """With the extra `secrets`, a block with a secret is saved with a key, loaded again and run."""
    environment = environment_with("secrets")
    make_key = "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"
    key = environment.run("python", "-c", make_key).stdout.strip()
    done = environment.run("python", "-c", SAVE_WITH_A_KEY, INFRABLOCKS_SECRET_KEY=key)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")


@pytest.mark.parametrize("extra", ["", "cli", "prefect"])
def test_secrets_without_the_extra(environment_with: Callable[[str], Environment], extra: str) -> None:
    """Without the extra `secrets`, the error of a save with a key says how to get it."""
    done = environment_with(extra).run("python", "-c", SAVE_WITH_A_KEY, INFRABLOCKS_SECRET_KEY="any")
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'infrablocks[secrets]'" in done.stderr


def test_a_block_of_the_prefect_api(environment_with: Callable[[str], Environment], api_url: str) -> None:
    """With the extra `prefect`, a block in the Prefect API is loaded and run."""
    variables = {"INFRABLOCKS_STORE": "prefect", "PREFECT_API_URL": api_url}
    done = environment_with("prefect").run("python", "-c", LOAD_FROM_THE_API, **variables)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")


@pytest.mark.parametrize("extra", ["", "cli", "secrets"])
def test_the_prefect_api_without_the_extra(
    environment_with: Callable[[str], Environment], extra: str, api_url: str
) -> None:
    """Without the extra `prefect`, the error says how to get it."""
    variables = {"INFRABLOCKS_STORE": "prefect", "PREFECT_API_URL": api_url}
    done = environment_with(extra).run("python", "-c", LOAD_FROM_THE_API, **variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'infrablocks[prefect]'" in done.stderr


@pytest.mark.parametrize(
    ("pip", "kind"),
    [(f"pip=={OLDEST_PIP}", "*.whl"), (f"pip=={OLDEST_PIP}", "*.tar.gz"), ("pip", "*.whl")],
    ids=["oldest pip, wheel", "oldest pip, source distribution", "newest pip, wheel"],
)
def test_pip_installs_it(distributions: Path, tmp_path: Path, uv: str, pip: str, kind: str) -> None:
    """An old pip and the newest one install what is published, from a path that is not plain."""
    folder = tmp_path / "a folder with ä"
    environment = Environment(folder, uv)
    (built,) = distributions.glob(kind)
    environment.install(pip, f"{built}[cli]")  # uv gets the dependencies sooner
    environment.remove_library()
    assert environment.run("python", "-c", "import infrablocks").returncode == 1
    copied = folder / built.name
    copied.write_bytes(built.read_bytes())
    environment.install_with_pip(f"{copied}[cli]")
    done = environment.run("infrablocks", "run", "--", "echo", "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
