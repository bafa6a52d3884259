"""A commit that breaks something makes `.ci/run` fail, and the last line says what. Run by `nox -s gate`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(1200)

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Broken:
    """A commit that breaks one thing.

    Attributes:
        path: The file that it changes.
        old: What it takes out; empty: it adds at the end.
        new: What it puts in.
        arguments: The session that is to notice it, with as few tests as are needed for that.
        last_line: What follows `.ci/run failed: `.
    """

    path: str
    old: str
    new: str
    arguments: tuple[str, ...]
    last_line: str


BROKEN = {
    "lint": Broken("src/infrablocks/_exit_codes.py", "", "\nimport os\n", ("lint",), "lint"),
    "types": Broken("src/infrablocks/_exit_codes.py", "", '\n_NUMBER: int = "one"\n', ("typing",), "typing"),
    "unit": Broken(
        "src/infrablocks/_exit_codes.py",
        "127: ",
        "123: ",
        ("tests-3.11", "--", "tests/test_exit_codes.py", "-k", "127"),
        "tests-3.11 (tests.test_exit_codes::test_hints[127-the command was not found])",
    ),
    "one engine": Broken(
        "tests/engines/podman.py",
        '"system", "service"',
        '"system", "no-such-service"',
        ("integration", "--", "tests/integration/docker_engine/test_docker_attach.py"),
        "integration (up of podman)",
    ),
    "docs": Broken(
        "README.md",
        "status_code == 3",
        "status_code == 4",
        ("docs", "--", "tests/docs", "-k", "README"),
        "docs (tests.docs.test_snippets::test_each_snippet_does_what_its_page_says[README.md])",
    ),
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the checkout, in which environments are kept from test to test."""
    folder = tmp_path_factory.mktemp("gate") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    """What `.ci/run` gets: a state directory of its own, and with it a lock of its own."""
    with tempfile.TemporaryDirectory(prefix="ib-", dir="/tmp") as folder:  # a socket's path must be short
        yield {**os.environ, "INFRABLOCKS_ENGINES_STATE": f"{folder}/engines"}


def git(clone: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=clone, check=True)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_commit(clone: Path, variables: dict[str, str], kind: str) -> None:
    """The exit code is 1, and the last line names the session and the test or the engine."""
    broken = BROKEN[kind]
    file = clone / broken.path
    text = file.read_text()
    assert broken.old in text
    file.write_text(text.replace(broken.old, broken.new, 1) if broken.old else text + broken.new)
    git(clone, "commit", "--quiet", "--all", f"--message=Break {kind}")
    try:
        command = ["bash", ".ci/run", *broken.arguments]
        done = subprocess.run(command, cwd=clone, env=variables, capture_output=True, text=True, check=False)
    finally:
        git(clone, "reset", "--quiet", "--hard", "HEAD~1")
    sys.stdout.write(done.stdout + done.stderr)  # pytest shows it when the test has failed
    assert done.stdout.splitlines()[-1] == f".ci/run failed: {broken.last_line}"
    assert done.returncode == 1
