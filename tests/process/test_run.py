"""What a run of a process gives and what the process gets."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr

from infrablocks import InfrastructureResult, Process, ProcessResult, Reason
from tests.processes import WAIT_SECONDS, Lines, children, open_files

pytestmark = pytest.mark.anyio

SHOW_SELF = """
import json, os, sys
print(json.dumps({
    "argv": sys.argv[1:], "cwd": os.getcwd(), "environ": dict(os.environ), "stdin": os.readlink("/proc/self/fd/0"),
    "session": os.getsid(0) == os.getpid(), "files": sorted(os.listdir("/proc/self/fd"))[:3],
}))
"""


async def show_self(block: Process) -> dict[str, object]:
    """Run a program that tells what it was given."""
    lines = Lines()
    assert await block.model_copy(update={"command": [sys.executable, "-c", SHOW_SELF, *block.command]}).run(
        output=lines
    )
    shown: dict[str, object] = json.loads(lines.text())
    return shown


@pytest.mark.parametrize(
    ("script", "status_code", "reason", "message"),
    [
        ("exit 0", 0, Reason.COMPLETED, "Process 'etl' exited cleanly."),
        ("exit 3", 3, Reason.ERROR, "Process 'etl' exited with status code 3."),
        (
            "exit 126",
            126,
            Reason.ERROR,
            "Process 'etl' exited with status code 126 (the command was found but is not executable).",
        ),
        ("exit 127", 127, Reason.ERROR, "Process 'etl' exited with status code 127 (the command was not found)."),
        (
            "exit 137",
            137,
            Reason.ERROR,
            "Process 'etl' exited with status code 137 (SIGKILL: it was killed, perhaps because memory ran out).",
        ),
        (
            "kill -KILL $$",
            -9,
            Reason.KILLED,
            "Process 'etl' exited with status code -9 (SIGKILL: it was killed, perhaps because memory ran out).",
        ),
        (
            "kill -TERM $$",
            -15,
            Reason.KILLED,
            "Process 'etl' exited with status code -15 (SIGTERM: it was terminated from outside).",
        ),
        ("kill -SEGV $$", -11, Reason.ERROR, "Process 'etl' exited with status code -11 (SIGSEGV)."),
    ],
)
async def test_result(script: str, status_code: int, reason: Reason, message: str) -> None:
    """The result has the process's own code, a reason, a message with the signal's name, and times in order."""
    before = datetime.now(UTC)
    result = await Process(command=["sh", "-c", script], name="etl").run()
    assert isinstance(result, ProcessResult)
    assert (result.status_code, result.reason, result.message) == (status_code, reason, message)
    assert bool(result) is (status_code == 0)
    assert result.created_at is not None
    assert result.started_at is not None
    assert result.finished_at is not None
    assert before <= result.created_at <= result.started_at <= result.finished_at <= datetime.now(UTC)


async def test_started_gets_the_pid_of_the_result() -> None:
    """`task_status.started` gets the pid as an int while the process runs; the result has it as text."""
    results = []

    async def run(*, task_status: anyio.abc.TaskStatus[int] = anyio.TASK_STATUS_IGNORED) -> None:
        results.append(
            await Process(command=["sh", "-c", "read line < wait; exit 4"], working_dir=folder).run(task_status)
        )

    folder = Path(os.environ["INFRABLOCKS_HOME"]).parent
    os.mkfifo(folder / "wait")
    async with anyio.create_task_group() as tasks:
        pid = await tasks.start(run)
        assert isinstance(pid, int)
        assert pid in children()
        await anyio.to_thread.run_sync((folder / "wait").write_text, "go\n")
    assert [(result.identifier, result.status_code) for result in results] == [(str(pid), 4)]


async def test_environment_layers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`env` lies over the Prefect settings, these over the inherited environment, and None removes a variable."""
    home = tmp_path / "prefect-home"
    home.mkdir()
    home.joinpath("profiles.toml").write_text(
        'active = "a"\n[profiles.a]\nPREFECT_API_URL = "profile"\nPREFECT_LOGGING_LEVEL = "DEBUG"\n'
    )
    monkeypatch.setenv("PREFECT_API_URL", "variable")
    monkeypatch.setenv("INHERITED", "1")
    monkeypatch.setenv("REMOVED", "1")
    monkeypatch.setenv("CHANGED", "1")
    block = Process(
        env={"REMOVED": None, "CHANGED": "2", "SECRET": SecretStr("s"), "PREFECT_LOGGING_LEVEL": "INFO", "N": 5}
    )
    environ = (await show_self(block))["environ"]
    assert isinstance(environ, dict)
    shown = {name: environ.get(name) for name in (*block.env, "INHERITED", "PREFECT_API_URL")}
    assert shown == {
        "REMOVED": None,
        "CHANGED": "2",
        "SECRET": "s",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "N": "5",
        "INHERITED": "1",
        "PREFECT_API_URL": "variable",
    }


async def test_session_stdin_and_arguments() -> None:
    """A process gets its arguments as they are, the null device to read, a session of its own and no file of ours."""
    shown = await show_self(Process(command=["a b", "", "$HOME", "é"]))
    assert shown["argv"] == ["a b", "", "$HOME", "é"]
    assert shown["stdin"] == "/dev/null"
    assert shown["session"] is True
    assert shown["files"] == ["0", "1", "2"]


async def test_reading_stdin_ends_at_once() -> None:
    """A command that reads stdin gets its end, and does not wait for a terminal."""
    with anyio.fail_after(WAIT_SECONDS):
        assert await Process(command=["cat"]).run()


async def test_given_working_directory(tmp_path: Path) -> None:
    """A given folder is used, as a path or as text, and is left as the process left it."""
    folder = tmp_path / "given"
    folder.mkdir()
    assert (await show_self(Process(working_dir=folder, command=[])))["cwd"] == str(folder)
    assert await Process(working_dir=str(folder), command=["touch", "made"]).run()
    assert [path.name for path in folder.iterdir()] == ["made"]


async def test_temporary_working_directory() -> None:
    """Without a folder each run has a new one, which is removed with all that is in it."""
    block = Process(command=["sh", "-c", "mkdir -p a/b; touch a/b/c; pwd"])
    lines = Lines()
    assert await block.run(output=lines)
    assert await block.run(output=lines)
    folders = lines.text().splitlines()
    assert len(set(folders)) == 2
    assert not any(Path(folder).exists() for folder in folders)


async def test_a_temporary_directory_that_cannot_be_removed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What goes wrong with the temporary folder does not replace the result."""
    result = await Process(command=["sh", "-c", 'rmdir "$PWD"; exit 3']).run()
    assert result.status_code == 3
    assert "could not be removed" in caplog.text


@pytest.mark.parametrize("stream_output", [True, False])
async def test_nothing_is_left_behind(*, stream_output: bool) -> None:
    """After runs that end well, fail, cannot start or are cancelled there is no file, child, folder or record left."""
    block = Process(command=["sh", "-c", "echo x; exit 1"], stream_output=stream_output)
    lines = Lines()
    await block.run(output=lines)
    before = open_files()
    for _ in range(12):
        await block.run(output=lines)
        with pytest.raises(Exception, match="no program"):
            await block.model_copy(update={"command": ["no-such-program"]}).run()
        with anyio.move_on_after(0.01):
            await block.model_copy(update={"command": ["sleep", "60"]}).run()
    assert open_files() <= before
    assert children() == set()
    assert list((Path(os.environ["INFRABLOCKS_HOME"]) / "runs").iterdir()) == []
    assert lines == ([("stdout", "x\n")] * 13 if stream_output else [])


async def test_ignored_sigchld_makes_no_success_of_a_failure() -> None:
    """Where the system forgets children at once (SIGCHLD ignored), the code is -1 and unknown, never 0."""
    program = """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
from infrablocks import Process
result = Process(command=["sh", "-c", "exit 3"]).run()
print(result.status_code, result.reason)
"""
    lines = Lines()
    assert await Process(command=[sys.executable, "-c", program]).run(output=lines)
    assert lines.text() == "-1 Unknown\n"


async def test_blocks_are_not_changed_by_a_run() -> None:
    """A run changes nothing of its block, and a copy shares nothing with it."""
    block = Process(command=["true"], env={"A": "1"}, labels={"a": "b"}, name="n")
    before = block.model_dump()
    copies = [block.model_copy(update={"name": "other"}), block.copy(update={"name": "other"})]
    await block.run()
    for copy in copies:
        copy.env["A"] = "2"
        copy.command.append("x")
        assert (copy.name, type(copy)) == ("other", Process)
    assert block.model_dump() == before


async def test_times_are_close_to_the_commands_own(tmp_path: Path) -> None:
    """A run has started when it is reported, and has not finished before its command ends."""
    end = tmp_path / "end"
    block = Process(command=["sh", "-c", f"until [ -e {end} ]; do sleep 0.01; done"])
    results: list[InfrastructureResult] = []

    async def run(*, task_status: anyio.abc.TaskStatus[int]) -> None:
        results.append(await block.run(task_status))

    async with anyio.create_task_group() as group:
        before = datetime.now(UTC)
        await group.start(run)
        reported = datetime.now(UTC)
        end.touch()
    (result,) = results
    assert result.started_at is not None
    assert result.finished_at is not None
    assert before <= result.started_at <= reported <= result.finished_at <= datetime.now(UTC)
