"""Run what README.md says, once at a time on a machine, and report at the end what it took and what failed.

Used by `.ci/run`. It needs the standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from machine import STATE, Run, exclusive_run, missing_on_this_machine, state_directory
from pythons import UPCOMING, missing
from report import failures, only_shown, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent

_COMMANDS = 2
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Failed(Exception):
    """Something that makes `.ci/run` fail; the text becomes its last line."""


def main(arguments: Sequence[str]) -> int:
    """Run the gate, or some sessions of it; return the exit code."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, _interrupted)
    try:
        _check_machine(arguments)
        with exclusive_run(ROOT) as run:
            _run(run, arguments)
    except (Failed, RuntimeError, OSError) as error:
        _say(f".ci/run failed: {error}")
        return 1
    except KeyboardInterrupt:
        _say(".ci/run failed: interrupted; what it had started is ended")
        return 130
    _say(".ci/run: everything passed")
    return 0


def _check_machine(arguments: Sequence[str]) -> None:
    problems = missing_on_this_machine(all_sessions=not arguments)
    wanted, upcoming = (
        [version for version in versions if not arguments or f"tests-{version}" in arguments]
        for versions in (_pythons(), UPCOMING)
    )
    lacking = missing([*wanted, *upcoming])
    if os.geteuid() == 0 and not problems and lacking:
        _say(f"=== getting Python {', '.join(lacking)}")
        subprocess.run([sys.executable, "-m", "tests.engines.debian_pythons", *lacking], cwd=ROOT, check=False)
        lacking = missing(lacking)
    if needed := [version for version in wanted if version in lacking]:
        problems.append(f"no Python {', '.join(needed)}; get each with, for example: pyenv install {needed[0]}")
    if problems:
        raise Failed("; ".join(problems))
    for version in lacking:
        _say(f"=== no Python {version}, which is not supported yet: its tests are left out")


def _run(run: Run, arguments: Sequence[str]) -> None:
    begun = time.monotonic()
    environment = _environment(run)
    try:
        with _engines_getting_ready(environment, run.reports, wanted=not arguments):
            _call_readme(environment, run.reports, arguments)
    finally:
        for line in table(run.reports, time.monotonic() - begun):
            _say(line)
        for text in only_shown(run.reports):
            _say(f"=== failed, which is only shown: {text}")


def _environment(run: Run) -> dict[str, str]:
    """Return the variables of all that CI starts.

    Missing interpreters and engines are errors and not skips, see noxfile.py and tests/engines.
    """
    # pyenv's python3, which may have started this, offers one version only to what it starts.
    inherited = {name: value for name, value in os.environ.items() if name != "PYENV_VERSION"}
    return {
        **inherited,
        "CI": "true",
        "INFRABLOCKS_CI_REPORT": str(run.reports),
        "PIP_CONSTRAINT": (ROOT / ".ci/constraints.txt").as_uri(),  # pip splits a path at its spaces
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PYTHONUNBUFFERED": "1",
        # Said for the engines, so that what they start tells to which state directory it belongs.
        STATE: state_directory(),
        **run.environment,
    }


@contextlib.contextmanager
def _engines_getting_ready(environment: dict[str, str], directory: Path, *, wanted: bool) -> Iterator[None]:
    """Install and build what the engines need beside the first sessions; the last session waits for it."""
    if not wanted:
        yield
        return
    log = directory / "engines.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "tests.engines", "prepare"]
        builder = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield
    finally:
        builder.terminate()
        builder.wait()
        _say(f"\n=== engines\n{log.read_text(errors='replace').rstrip()}")


def _call_readme(environment: dict[str, str], directory: Path, arguments: Sequence[str]) -> None:
    commands = re.findall(r"^\$ (python3 -m venv .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    if len(commands) != _COMMANDS:
        raise Failed(f"README.md has {len(commands)} lines '$ python3 -m venv …', not {_COMMANDS}")
    report = directory / "nox.json"
    sessions, separator, rest = _split(arguments)
    options = ["--report", str(report), *(["--session", *sessions] if sessions else []), *separator, *rest]
    for command in (commands[0], f"{commands[1]} {shlex.join(options)}"):
        _say(f"\n=== {command}")
        shell = ["bash", "-euo", "pipefail", "-c", command]
        done = subprocess.run(shell, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise Failed("; ".join(failures(report, directory)) or _before_any_session(command, done.returncode))


def _before_any_session(command: str, code: int) -> str:
    hint = "see above" if (ROOT / ".venv-test/bin/nox").exists() else "is there a network?"
    return f"{command} ended with {code} before any session; {hint}"


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Split sessions from what is theirs: `lint tests-3.11 -- tests/process`."""
    words = list(arguments)
    if "--" not in words:
        return words, [], []
    place = words.index("--")
    return words[:place], ["--"], words[place + 1 :]


def _pythons() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", text) for text in project["classifiers"]]
    return [match[1] for match in found if match]


def _interrupted(number: int, _frame: object) -> None:
    for each in _SIGNALS:  # what follows is to come to its end
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt(signal.Signals(number).name)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
