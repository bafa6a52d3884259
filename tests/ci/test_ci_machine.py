"""`.ci/run` says at once what a machine lacks, runs alone on it, and leaves nothing behind."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import machine
import pytest
from machine import RUN, STATE, clean_up, exclusive_run

from tests.processes import is_alive, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
FIRST = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is that of the test, and caches are its own."""
    monkeypatch.setenv(STATE, str(tmp_path / "engines"))
    monkeypatch.setenv("INFRABLOCKS_ENGINES_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _ensurepip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's newer Pythons have none, of which `.ci/run` would speak first."""
    if find_spec("ensurepip") is None:
        (tmp_path / "modules").mkdir()
        (tmp_path / "modules" / "ensurepip.py").touch()
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))


def ci_run(*before: str, sessions: Sequence[str] = (), **variables: str) -> subprocess.CompletedProcess[str]:
    """Call `.ci/run` behind a command that takes something away from it."""
    environment = {**os.environ, **variables}
    command = [*before, "bash", str(ROOT / ".ci/run"), *sessions]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def only_what_ci_run_needs(folder: Path) -> str:
    """Give a search path with a Python, but none that has a version in its name."""
    for program in ("bash", "dirname", "git", "python3"):
        path = shutil.which(program) if program != "python3" else sys.executable
        assert path is not None
        (folder / program).symlink_to(path)
    return str(folder)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stderr
    return done.stdout.splitlines()[-1]


def lock_file(tmp_path: Path) -> Path:
    return tmp_path / f"engines-ci-{os.getuid()}.lock"


@contextmanager
def marked(run: str, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that says it belongs to a run."""
    with subprocess.Popen(command, env={**os.environ, RUN: f"outer:{run}"}) as process:
        try:
            # For a moment a program that begins has no variables.
            wait_until(lambda: f"{RUN}=outer:{run}" in Path(f"/proc/{process.pid}/environ").read_text().split("\0"))
            yield process
        finally:
            process.kill()


def test_without_root() -> None:
    """Somebody who is not root is told so, before anything is installed."""
    done = ci_run("unshare", "--user", HOME=str(Path.home()))
    assert "only root can start the engines of the integration tests" in last_line(done)


def test_without_go(tmp_path: Path) -> None:
    """Without Go the engines could not be built, which is said at the beginning and not after half an hour."""
    done = ci_run(PATH=only_what_ci_run_needs(tmp_path))
    assert "no Go, from whose modules engines are built; install it and put it in PATH" in last_line(done)


def test_without_a_python(tmp_path: Path) -> None:
    """Who is not root, for whom CI cannot get a Python, is told which ones are missing and how to get one."""
    unshare = shutil.which("unshare")
    assert unshare is not None
    variables = {"HOME": str(tmp_path), "PATH": only_what_ci_run_needs(tmp_path), "PYENV_ROOT": str(tmp_path)}
    done = ci_run(unshare, "--user", sessions=["tests-3.12", "tests-3.14"], **variables)
    assert "no Python 3.12, 3.14; get each with, for example: pyenv install 3.12" in last_line(done)


def test_with_a_full_disk(tmp_path: Path) -> None:
    """A disk that is too small is named, with what is free and what is needed."""
    small = tmp_path / "small"
    small.mkdir()
    script = f'mount -t tmpfs -o size=1m small {small} && exec "$@"'
    unshared = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    done = ci_run(*unshared, TMPDIR=str(small))
    assert f"{small} has 0.0 GB free, and 15 GB are needed" in last_line(done)


def test_a_second_run(tmp_path: Path) -> None:
    """While one runs another one ends at once, and names the first; the first one's record is left alone."""
    record = json.dumps({"id": FIRST, "pid": 12345, "checkout": "/somewhere"})
    with lock_file(tmp_path).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(record)
        lock.flush()
        with (
            pytest.raises(RuntimeError, match=r"another .ci/run works on this machine \(process 12345 in /somewhere\)"),
            exclusive_run(ROOT),
        ):
            pass
    assert lock_file(tmp_path).read_text() == record


def test_after_a_run_that_was_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a killed run left running is ended before the next one begins, and that is said."""
    lock_file(tmp_path).write_text(json.dumps({"id": FIRST, "pid": 1, "checkout": "/somewhere"}))
    with marked(FIRST, ["sleep", "300"]) as left, marked("other", ["sleep", "300"]) as other:
        with exclusive_run(ROOT):
            assert left.wait() == -signal.SIGTERM
        assert is_alive(other.pid)
    assert "an earlier .ci/run was killed" in capsys.readouterr().out
    assert lock_file(tmp_path).read_text() == ""


@pytest.mark.parametrize("record", ["", '{"id": "ab', '{"pid": 1}', '{"id": "", "pid": 1, "checkout": "/"}', "[]"])
def test_a_record_that_no_run_has_written(tmp_path: Path, record: str) -> None:
    """A record that was cut short, or is somebody's joke, ends no process and keeps nobody from running."""
    lock_file(tmp_path).write_text(record)
    with marked("", ["sleep", "300"]) as other, exclusive_run(ROOT):
        assert is_alive(other.pid)


def test_half_made_environments_of_a_killed_run(tmp_path: Path) -> None:
    """Those of the same checkout are made anew: one without pip or nox would never be mended."""
    checkout = tmp_path / "checkout"
    (checkout / ".venv-test" / "bin").mkdir(parents=True)
    (checkout / "src").mkdir()
    lock_file(tmp_path).write_text(json.dumps({"id": FIRST, "pid": 1, "checkout": str(checkout)}))
    with exclusive_run(checkout):
        assert [path.name for path in checkout.iterdir()] == ["src"]


def test_a_program_that_begins_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has no variables at the first look, as its program begins, is found at the second."""
    looks: Iterator[dict[str, str]] = iter([{}])
    of_process = machine._variables
    with marked("beginning", ["sleep", "300"]) as process:
        monkeypatch.setattr(
            machine, "_variables", lambda pid: next(looks, of_process(pid)) if pid == process.pid else of_process(pid)
        )
        clean_up("beginning", ROOT)
        assert process.wait() == -signal.SIGTERM


def test_what_a_run_has_started_is_ended(tmp_path: Path) -> None:
    """At its end no process of a run is alive, however it was started, and whatever it does about SIGTERM."""
    with exclusive_run(ROOT) as run:
        environment = {**os.environ, **run.environment}
        pid_file = tmp_path / "pid"
        script = f"setsid sh -c 'echo $$ > {pid_file}; exec sleep 300' &"
        subprocess.run(["sh", "-c", script], env=environment, check=True)
        wait_until(lambda: pid_file.exists() and pid_file.read_text())
        pid = int(pid_file.read_text())
        assert is_alive(pid)
    assert not is_alive(pid)
    ready = tmp_path / "ready"
    ignores_sigterm = f"trap '' TERM; touch {ready}; while :; do sleep 0.1; done"
    with marked("stubborn", ["sh", "-c", ignores_sigterm]) as stubborn:
        wait_until(ready.exists)
        clean_up("stubborn", ROOT, grace_seconds=0.3)
        assert stubborn.wait() == -signal.SIGKILL
