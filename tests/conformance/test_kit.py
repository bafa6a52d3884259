"""The conformance kit finds what it says it finds: for each check there is a back end that breaks its sentence."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from infrablocks import InfrastructureNotFound, Process
from infrablocks.testing import InfrastructureConformance
from tests.conformance.broken_back_ends import BROKEN
from tests.processes import WAIT_SECONDS
from tests.python_programs import PythonProgram

ROOT = Path(__file__).parents[2]
FILE = "tests/conformance/broken_back_ends.py"
SHARES = 4
SILENCE_SECONDS = 2 * WAIT_SECONDS  # longer than one check may take

CHECKS = sorted(name for name in dir(InfrastructureConformance) if name.startswith("test_"))


def sentence_of(check: str) -> str:
    """Give what the check's docstring says."""
    return " ".join((inspect.getdoc(getattr(InfrastructureConformance, check)) or "").split())


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What pytest says of each test class of a broken back end, with no configuration: the texts of its failures."""
    tests = [f"{FILE}::Test_{check}::{check}" for check in BROKEN]
    tests.append(f"{FILE}::TestWithoutMakeBlock::test_preview_needs_no_engine")
    # Much of it is waiting for what never comes, so that several wait at the same time.
    folders = [tmp_path_factory.mktemp("kit") for _ in range(SHARES)]
    runs = [start_pytest(folder, tests[number::SHARES]) for number, folder in enumerate(folders)]
    found: dict[str, list[str]] = {}
    for folder, run in zip(folders, runs, strict=True):
        with run:
            run.communicate(SILENCE_SECONDS)
        kill_what_is_left(folder / "home" / "runs")
        for case in ET.parse(folder / "report.xml").getroot().iter("testcase"):
            texts = [f"{child.attrib['message']}\n{child.text}" for child in case if child.tag in {"failure", "error"}]
            found.setdefault(case.attrib["classname"].rpartition(".")[2], []).append("\n".join(texts))
    return found


def start_pytest(folder: Path, tests: list[str]) -> PythonProgram:
    """Start pytest in a process of its own, which leaves its report and its home in a folder."""
    options = ["-c", os.devnull, "--rootdir", str(ROOT), "--noconftest", "--import-mode=importlib", "-q"]
    report = ["-p", "no:cacheprovider", f"--junit-xml={folder / 'report.xml'}", f"--basetemp={folder / 'tmp'}"]
    variables = {"INFRABLOCKS_HOME": str(folder / "home"), "PREFECT_HOME": str(folder)}
    code = f"import sys, pytest; sys.path[:] = {sys.path}; sys.exit(pytest.main(sys.argv[1:]))"
    return PythonProgram(code, *options, *report, *tests, cwd=ROOT, env={**os.environ, **variables})


def kill_what_is_left(records: Path) -> None:
    """End the processes that broken back ends have left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INFRABLOCKS_HOME", str(records.parent))
        for record in records.glob("*.json"):
            pid = json.loads(record.read_text())["pid"]
            try:
                Process().kill(pid, grace_seconds=0)
            except InfrastructureNotFound:
                continue


def test_each_check_has_a_back_end_that_breaks_it() -> None:
    """No check is there that has never been seen to fail."""
    assert sorted(BROKEN) == CHECKS


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_fails_with_its_sentence(check: str, outcomes: dict[str, list[str]]) -> None:
    """A broken back end fails the check of what it breaks, with the sentence of the contract and what was found."""
    assert outcomes[f"Test_{check}"]
    for text in outcomes[f"Test_{check}"]:
        assert text.removeprefix("Failed: ").startswith(sentence_of(check))
        assert BROKEN[check].found in text


def test_a_class_without_the_fixture(outcomes: dict[str, list[str]]) -> None:
    """A test class that says nothing of its blocks is told what it needs."""
    (text,) = outcomes["TestWithoutMakeBlock"]
    assert "TestWithoutMakeBlock needs a fixture `make_block` that returns what makes a block" in text


@pytest.mark.parametrize("check", CHECKS)
def test_sentences(check: str) -> None:
    """Each check's docstring is one sentence on one line, for people to read in a list."""
    text = inspect.getdoc(getattr(InfrastructureConformance, check)) or ""
    assert text.endswith(".")
    assert "\n" not in text


def test_without_pytest() -> None:
    """Where pytest is missing, the import says what to install."""
    code = "import sys; sys.modules['pytest'] = None\nimport infrablocks.testing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: infrablocks.testing needs pytest: install it with `pip install pytest`"
    )
