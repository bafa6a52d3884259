"""Detached processes: what they keep, who finds them again, and what happens when somebody is killed."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from infrablocks import (
    InfrastructureError,
    InfrastructureNotAvailable,
    InfrastructureNotFound,
    OutputCursor,
    Process,
    Reason,
    WorkloadCreationError,
    WorkloadStatus,
)
from infrablocks.process import _supervisor
from tests.processes import WAIT_SECONDS, Lines, children, is_alive, open_files, read_numbers, wait_until
from tests.reap.agents import watches

pytestmark = pytest.mark.anyio


def runs() -> Path:
    """Give the folder of all records."""
    return Path(os.environ["INFRABLOCKS_HOME"], "runs")


def folder_of(identifier: str | int) -> Path:
    """Give the folder of a run."""
    return runs() / f"{socket.gethostname()}-{identifier}"


def supervisor_of(identifier: str | int) -> int:
    """Give the pid of a run's supervisor."""
    return int(json.loads(folder_of(identifier).joinpath("run.json").read_text())["supervisor_pid"])


def detached(*command: str, **fields: Any) -> Process:
    """Make a block."""
    return Process(command=list(command), detached=True, **fields)


async def start(block: Process) -> int:
    """Start a run and leave it, as an agent does that goes away."""
    async with anyio.create_task_group() as tasks:
        pid = await tasks.start(block.run)
        tasks.cancel_scope.cancel()
    return int(pid)


async def test_the_result_is_that_of_any_run() -> None:
    """Status code, reason, message, times and both streams: by the run itself, and twice more by attaching."""
    lines, again, third = Lines(), Lines(), Lines()
    block = detached("sh", "-c", "echo out; echo err >&2; printf last; exit 3", name="n")
    result = await block.run(output=lines)
    assert (result.status_code, result.reason, result.message) == (
        3,
        Reason.ERROR,
        "Process 'n' exited with status code 3.",
    )
    assert result.created_at is not None
    assert result.started_at is not None
    assert result.finished_at is not None
    assert result.created_at <= result.started_at <= result.finished_at
    assert await Process().attach(result.identifier, output=again) == result
    assert await Process().attach(f"{socket.gethostname()}:{result.identifier}", output=third) == result
    for seen in (lines, again, third):
        assert (seen.text("stdout"), seen.text("stderr")) == ("out\nlast", "err\n")
    assert await Process().status(result.identifier) is WorkloadStatus.FAILED


async def test_environment_and_working_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command gets the environment, folder, file mask and signals that any process gets."""
    lines, plain_lines = Lines(), Lines()
    monkeypatch.setenv("INHERITED", "héritage")
    command = ["sh", "-c", "env | grep -v '^_=' | sort; pwd; umask; grep -E 'Sig(Blk|Ign)' /proc/self/status; cat"]
    fields: dict[str, Any] = {"command": command, "env": {"A": "ä\n", "HOME": None}, "working_dir": tmp_path}
    assert await Process(detached=True, **fields).run(output=lines)
    assert await Process(**fields).run(output=plain_lines)
    assert "INHERITED=héritage\n" in lines.text()
    assert lines == plain_lines


async def test_the_temporary_folder_is_removed() -> None:
    """Without a working_dir the command runs in an empty folder, which is gone with it."""
    lines = Lines()
    assert await detached("sh", "-c", "pwd; ls -A; mkdir -p a/b; touch a/b/c; ln -s / a/root").run(output=lines)
    (line,) = lines
    assert not Path(line[1].rstrip("\n")).exists()
    assert Path("/usr").exists()


async def test_a_cancelled_run_leaves_the_process(tmp_path: Path) -> None:
    """By default it goes on, and attaching gives the whole output and the result; `kill` says otherwise."""
    go, lines = tmp_path / "go", Lines()
    pid = await start(detached("sh", "-c", f"echo one; until [ -e {go} ]; do sleep 0.02; done; echo two; exit 4"))
    assert await Process().status(pid) is WorkloadStatus.RUNNING
    go.touch()
    result = await Process().attach(pid, output=lines)
    assert (result.status_code, lines.text()) == (4, "one\ntwo\n")
    pid = await start(detached("sleep", "300", on_cancel="kill"))
    assert not is_alive(pid)


async def test_cancelled_attach_leaves_the_process() -> None:
    """Whoever attaches and goes away again does not end what was there before."""
    pid = await start(detached("sleep", "300"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Process().attach, pid)
        await anyio.to_thread.run_sync(wait_until, watches)
        tasks.cancel_scope.cancel()
    assert is_alive(pid)
    await Process().kill(pid)


async def test_kill() -> None:
    """`kill` ends the whole group, twice is once, and everybody who watches sees it."""
    pid = await start(detached("sh", "-c", "sleep 300 & echo $!; wait"))
    lines, results = Lines(), []

    async with anyio.create_task_group() as tasks:

        async def attach() -> None:
            results.append(await Process().attach(pid, output=lines))

        tasks.start_soon(attach)
        while not lines:  # noqa: ASYNC110
            await anyio.sleep(0.01)
        await Process().kill(pid)
    assert (results[0].status_code, results[0].reason) == (-15, Reason.KILLED)
    assert not is_alive(int(lines.text()))
    await Process().kill(pid)
    assert await Process().status(pid) is WorkloadStatus.FAILED


async def test_timeout_of_an_attached_run() -> None:
    """A time limit counts for whoever attaches, too."""
    pid = await start(detached("sleep", "300"))
    result = await Process(timeout_seconds=0.2).attach(pid)
    assert (result.status_code, result.reason) == (-15, Reason.DEADLINE_EXCEEDED)


async def test_two_who_attach(tmp_path: Path) -> None:
    """Two who attach at the same time get the same, all of it."""
    go = tmp_path / "go"
    script = f"for i in $(seq 3000); do echo $i; done; until [ -e {go} ]; do sleep 0.02; done; echo end; exit 2"
    pid = await start(detached("sh", "-c", script))
    outputs, results = (Lines(), Lines()), []

    async def attach(lines: Lines) -> None:
        results.append(await Process().attach(pid, output=lines))

    async with anyio.create_task_group() as tasks:
        for lines in outputs:
            tasks.start_soon(attach, lines)
        await anyio.to_thread.run_sync(wait_until, lambda: all(outputs))
        go.touch()
    assert results[0] == results[1]
    assert outputs[0].text() == outputs[1].text() == "".join(f"{i}\n" for i in range(1, 3001)) + "end\n"


async def test_stream_output() -> None:
    """Without it nothing is kept, and who attaches without it gets the result alone."""
    lines = Lines()
    result = await detached("sh", "-c", "readlink /proc/$$/fd/1; exit 1", stream_output=False).run(output=lines)
    assert (result.status_code, lines) == (1, [])
    assert list(folder_of(result.identifier).glob("output-*")) == []
    result = await detached("echo", "hi").run(output=lines)
    lines.clear()
    assert await Process(stream_output=False).attach(result.identifier, output=lines) == result
    assert lines == []


async def test_logs() -> None:
    """`logs` gives what was printed so far, while the process runs and after it."""
    pid = await start(detached("sh", "-c", "echo one; sleep 300"))
    lines = Lines()
    while not lines:
        await Process().logs(pid, output=lines)
    assert lines == [("stdout", "one\n")]
    await Process().kill(pid)


@pytest.mark.parametrize("stderr_too", [False, True])
async def test_output_limit(stderr_too: bool) -> None:
    """The oldest lines go first, a line says so, the files stay below the limit, and what is left is whole lines."""
    limit = 64 * 1024
    echo = "echo $i is a number; echo $i >&2" if stderr_too else "echo $i is a number"
    command = f"i=0; while [ $i -lt 20000 ]; do i=$((i+1)); {echo}; done"
    result = await detached("bash", "-c", command, output_limit=limit, stream_output=True).run(output=Lines())
    files = list(folder_of(result.identifier).glob("output-*"))
    assert limit // 2 < sum(file.stat().st_size for file in files) <= limit
    lines, cursor = Lines(), OutputCursor()
    assert await Process().attach(result.identifier, output=lines, cursor=cursor) == result
    notice, *kept = [line for stream, line in lines if stream == "stdout"]
    first = 20_000 - len(kept) + 1
    assert notice == f"[infrablocks: lines are missing here, line {first} follows (output_limit={limit})]\n"
    assert kept == [f"{number} is a number\n" for number in range(first, 20_001)]
    assert json.loads(str(cursor))["lines"] == {"stdout": 20_000, "stderr": 20_000 if stderr_too else 0}
    for delivered in (first - 1, first, 19_990, 20_000):
        rest = Lines()
        after = json.dumps({"version": 1, "lines": {"stdout": delivered, "stderr": 20_000}})
        assert await Process().attach(result.identifier, after=after, output=rest) == result
        assert [line for _, line in rest] == [f"{number} is a number\n" for number in range(delivered + 1, 20_001)]


async def test_a_line_longer_than_what_is_kept() -> None:
    """Of a line that never ends the last part is kept."""
    limit = 64 * 1024 * 8
    code = "import os\nfor _ in range(100): os.write(1, b'x' * 65536)\nos.write(1, b'end')"
    result = await detached(sys.executable, "-c", code, output_limit=limit).run(output=Lines())
    lines = Lines()
    assert await Process().attach(result.identifier, output=lines) == result
    assert lines[0][1].startswith("[infrablocks: lines are missing here, line 1 follows")
    assert lines.text().endswith("xend")
    assert limit // 2 < len(lines.text()) < limit


async def test_a_full_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be written is left out, as a line and a warning say; status code and the other lines are right."""
    go, lines = tmp_path / "go", Lines()
    pid = await start(detached("bash", "-c", f"until [ -e {go} ]; do sleep 0.05; done; seq 200000; exit 6"))
    resource.prlimit(supervisor_of(pid), resource.RLIMIT_FSIZE, (200_000, 200_000))
    go.touch()
    result = await Process().attach(pid, output=lines)
    numbers = [int(line) for _, line in lines if not line.startswith("[")]
    assert result.status_code == 6
    assert 0 < len(lines) - len(numbers) < 20
    assert numbers == sorted(set(numbers))
    assert 100_000 < len(numbers) < 200_000
    assert caplog.text.count(f"Not all output of Process {pid} could be kept: File too large") == 1


async def test_a_slow_reader_does_not_hold_the_command_up() -> None:
    """The command ends while nobody reads; the reader finds what is left, and a line for the rest."""
    lines = Lines()
    held = anyio.Event()
    pid = await start(detached("bash", "-c", "for i in {1..30000}; do echo $i; done", output_limit=64 * 1024))

    def slow(stream: str, line: str) -> None:
        lines(stream, line)
        if len(lines) == 1:
            wait_until(lambda: not is_alive(pid))

    result = await Process().attach(pid, output=slow)
    held.set()
    assert result
    numbers = [int(line) for _, line in lines if not line.startswith("[")]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 30_000


async def test_a_daemon_that_holds_the_output_open(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The supervisor ends within two seconds of the command, whoever holds the output open."""
    block = detached("sh", "-c", "sleep 300 & echo $! > pid; echo out; exit 5", working_dir=tmp_path)
    lines = Lines()
    with anyio.fail_after(WAIT_SECONDS):
        result = await block.run(output=lines)
    assert _supervisor._DRAIN_SECONDS < 2
    assert (result.status_code, lines.text()) == (5, "out\n")
    assert caplog.text.count("has left a process behind that holds its output open") == 1
    wait_until(lambda: not is_alive(supervisor_of(result.identifier)))
    os.kill(read_numbers(tmp_path / "pid", 1)[0], signal.SIGKILL)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"command": ["no-such-program"]}, "there is no program 'no-such-program'"),
        ({"command": ["/etc/passwd"]}, "'/etc/passwd' is not executable"),
        ({"command": ["true"], "working_dir": Path("/no/such")}, "its working_dir '/no/such' does not exist"),
        ({"command": ["true", "a\0b"]}, r"command\[1\] holds a NUL byte"),
        ({"command": ["true", *["x" * 100_000] * 40]}, "too long for the system"),
    ],
)
async def test_what_cannot_be_started(fields: dict[str, Any], message: str) -> None:
    """One clear error as for any process; nothing is left behind, not even an open file."""
    files, processes = open_files(), children()
    with pytest.raises(WorkloadCreationError, match=message):
        await Process(detached=True, **fields).run()
    assert list(runs().iterdir()) == []
    assert open_files() <= files
    assert children() == processes


async def test_no_supervisor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a Python to run it, or a folder to keep things in, the error says what is missing."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/no/python")
        with pytest.raises(WorkloadCreationError, match="the supervisor that a detached process needs, run by '/no/py"):
            await detached("true").run()
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho something is broken\nexit 1\n")
    broken.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(broken))
        with pytest.raises(WorkloadCreationError, match="did not start: it ended with 'something is broken'"):
            await detached("true").run()
    assert list(runs().iterdir()) == []
    monkeypatch.setenv("INFRABLOCKS_HOME", "/dev/null")
    with pytest.raises(WorkloadCreationError, match="needs a folder for its output and status code"):
        await detached("true").run()


async def test_a_process_that_cannot_be_watched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When its folder is out of reach as soon as it runs, it is killed: nobody would hear of it."""
    from infrablocks.process import _detached  # noqa: PLC0415 (its folder is taken away)

    def find(identifier: str) -> None:
        read_numbers(tmp_path / "pid", 1)
        raise InfrastructureNotAvailable(f"no folder for {identifier}")

    monkeypatch.setattr(_detached, "find_run_folder", find)
    with pytest.raises(WorkloadCreationError, match="could not be watched and was killed: no folder for"):
        await detached("sh", "-c", "echo $$ > pid; exec sleep 300", working_dir=tmp_path).run()
    (pid,) = read_numbers(tmp_path / "pid", 1)
    wait_until(lambda: not is_alive(pid))


async def test_the_supervisor_is_small_and_private(tmp_path: Path) -> None:
    """It never takes more than 12 MiB, holds no secret in its arguments, and what it writes is its owner's alone."""
    # More than is kept, in one stream as lines and in the other without any end of a line.
    flood = "yes | head -c 20000000; head -c 20000000 /dev/zero >&2; touch done; sleep 300"
    script = f"echo hi; until [ -e go ]; do sleep 0.05; done; {flood}"
    pid = await start(detached("sh", "-c", script, env={"PREFECT_API_KEY": "pnu_secret"}, working_dir=tmp_path))
    supervisor = supervisor_of(pid)
    wait_until(lambda: list(folder_of(pid).glob("output-*")))
    assert "pnu_secret" not in Path(f"/proc/{supervisor}/cmdline").read_text()
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder_of(pid).iterdir() if not path.is_socket()}
    assert modes == {"run.json": 0o600, "end.new": 0o600, "output-00000001": 0o600}
    assert [path.stat().st_mode & 0o777 for path in (runs(), folder_of(pid))] == [0o700, 0o700]
    assert all("pnu_secret" not in path.read_text() for path in folder_of(pid).glob("*.json"))
    tmp_path.joinpath("go").touch()
    await anyio.to_thread.run_sync(wait_until, tmp_path.joinpath("done").exists)
    status = Path(f"/proc/{supervisor}/status").read_text()
    assert int(status.partition("VmHWM:")[2].split()[0]) <= 12 * 1024
    await Process().kill(pid)
    wait_until(lambda: not is_alive(supervisor))


async def test_the_supervisor_does_not_mind_signals() -> None:
    """What asks all processes of this machine to end does not lose the status code of those that still end by it."""
    pid = await start(detached("sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"))
    lines = Lines()
    while not lines:
        await Process().logs(pid, output=lines)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(supervisor_of(pid), number)
    os.kill(pid, signal.SIGTERM)
    assert (await Process().attach(pid)).status_code == 9


@pytest.mark.parametrize("watching", [True, False])
async def test_a_supervisor_that_was_killed(watching: bool) -> None:
    """The result is -1 Unknown at once, and its message tells what has become of the command."""
    pid = await start(detached("sleep", "300", working_dir="/"))
    results: list[Any] = []

    async def attach() -> None:
        results.append(await Process().attach(pid))

    with anyio.fail_after(WAIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            if watching:
                tasks.start_soon(attach)
                await anyio.to_thread.run_sync(wait_until, watches)
            os.kill(supervisor_of(pid), signal.SIGKILL)
            wait_until(lambda: not is_alive(supervisor_of(pid)))
            if not watching:
                tasks.start_soon(attach)
    (result,) = results
    assert (result.status_code, result.reason, result.finished_at) == (-1, Reason.UNKNOWN, None)
    assert f"It still runs; end it with kill('{pid}')" in result.message
    assert await Process().status(pid) is WorkloadStatus.RUNNING
    await Process().kill(pid)
    assert not is_alive(pid)
    assert await Process().status(pid) is WorkloadStatus.UNKNOWN
    assert "has ended after its supervisor" in (await Process().attach(pid)).message


async def test_a_pid_that_was_used_again() -> None:
    """A record of another process with this pid neither lets that one be killed nor takes it for the command."""
    ended = await detached("true").run()
    with subprocess.Popen(["sleep", "300"]) as stranger:
        record = json.loads(folder_of(ended.identifier).joinpath("run.json").read_text())
        folder_of(ended.identifier).joinpath("end.json").unlink()
        folder_of(ended.identifier).joinpath("run.json").write_text(
            json.dumps({**record, "pid": stranger.pid, "start_time": 1})
        )
        folder_of(ended.identifier).rename(folder_of(stranger.pid))
        await Process().kill(stranger.pid)
        assert await Process().status(stranger.pid) is WorkloadStatus.UNKNOWN
        assert (await Process().attach(stranger.pid)).reason is Reason.UNKNOWN
        assert stranger.poll() is None
        stranger.kill()


async def test_a_process_that_got_the_pid_of_an_ended_run() -> None:
    """An earlier run's result makes way for a process of ours that has its pid now."""
    ended = await detached("true").run()
    async with anyio.create_task_group() as tasks:
        pid = await tasks.start(Process(command=["sleep", "300"]).run)
        folder_of(ended.identifier).rename(folder_of(pid))
        await Process().kill(pid)
    assert not is_alive(pid)


async def test_another_boot_and_another_container() -> None:
    """What ran before a restart has ended unseen; what runs in another container is out of reach."""
    result = await detached("true").run()
    path = folder_of(result.identifier) / "run.json"
    record = json.loads(path.read_text())
    folder_of(result.identifier).joinpath("end.json").unlink()
    path.write_text(json.dumps({**record, "boot_id": "another"}))
    assert "was running when this machine was restarted" in (await Process().attach(result.identifier)).message
    path.write_text(json.dumps({**record, "pid_namespace": "pid:[1]"}))
    before = open_files()
    with pytest.raises(InfrastructureNotAvailable, match="another container of this machine"):
        await Process().attach(result.identifier)
    assert open_files() <= before


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("run.json", b"{", InfrastructureNotAvailable, "run.json of a run cannot be read"),
        ("run.json", b"[]", InfrastructureNotAvailable, "it holds no JSON object"),
        ("run.json", b'{"version": 2}', InfrastructureNotAvailable, "its version is 2"),
        ("run.json", b'{"version": 1}', InfrastructureNotAvailable, "run.json of a run cannot be read"),
        ("end.json", b'{"status_code": "x"}', InfrastructureNotAvailable, "end.json of a run cannot be read"),
        ("end.json", b"\xff", InfrastructureNotAvailable, "end.json of a run cannot be read"),
        ("output-00000001", b"x" * 100, InfrastructureError, "is damaged. Attach with stream_output=False"),
        ("output-00000001", b"IBO1" + bytes(32) + b"\x07" * 9, InfrastructureError, "is damaged"),
        ("output-00000001", b"IBO1" + bytes(32) + b"\x01\xff\xff\xff\xff", InfrastructureError, "is damaged"),
    ],
)
async def test_damaged_files(name: str, content: bytes, error: type[Exception], message: str) -> None:
    """A damaged file gives a clear error that names it; nothing stays open, and the process is left alone."""
    result = await detached("echo", "hi").run(output=Lines())
    folder_of(result.identifier).joinpath(name).write_bytes(content)
    before = open_files()
    with pytest.raises(error, match=message) as caught:
        await Process().attach(result.identifier, output=Lines())
    assert str(folder_of(result.identifier) / name) in str(caught.value)
    assert open_files() <= before


async def test_old_results_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that was seen stays an hour, one that was not seven days; what still runs stays."""
    from infrablocks.process import _old_run_folders  # noqa: PLC0415 (its clock is turned back)

    seen, unseen, running = (
        await detached("true").run(),
        await start(detached("true")),
        await start(detached("sleep", "300")),
    )
    wait_until(lambda: folder_of(unseen).joinpath("end.json").exists())

    async def left_after(seconds: float) -> set[str]:
        for pid in (seen.identifier, unseen, running):
            if folder_of(pid).exists():
                os.utime(folder_of(pid), (time.time() - seconds,) * 2)
        monkeypatch.setattr(_old_run_folders, "_tidied_at", -1000.0)
        latest = await detached("true").run()
        return {path.name for path in runs().iterdir()} - {folder_of(latest.identifier).name}

    names = [folder_of(pid).name for pid in (seen.identifier, unseen, running)]
    assert await left_after(3000) >= set(names)
    left = await left_after(4000)
    assert names[0] not in left
    assert left >= set(names[1:])
    left = await left_after(7 * 24 * 3600 + 100)
    assert names[1] not in left
    assert names[2] in left
    with pytest.raises(InfrastructureNotFound, match=f"has the process {unseen} "):
        await Process().attach(unseen)
    await Process().kill(running)


async def test_the_temporary_folder_of_an_old_run_without_a_supervisor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is removed with the folder of the run after seven days; where the process still runs it stays."""
    from infrablocks.process import _old_run_folders  # noqa: PLC0415 (its clock is turned back)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    pids = [await start(detached("sleep", "300")) for _ in range(2)]
    folders = [Path(f"/proc/{pid}/cwd").readlink() for pid in pids]
    for pid in pids:
        supervisor = supervisor_of(pid)
        os.kill(supervisor, signal.SIGKILL)
        wait_until(lambda: not is_alive(supervisor))  # noqa: B023 (called at once)
    os.killpg(pids[0], signal.SIGKILL)
    wait_until(lambda: not is_alive(pids[0]))
    for pid in pids:
        os.utime(folder_of(pid), (time.time() - 7 * 24 * 3600 - 100,) * 2)
    monkeypatch.setattr(_old_run_folders, "_tidied_at", -1000.0)
    await detached("true").run()
    assert [folder_of(pid).exists() for pid in pids] == [False, False]
    assert [folder.exists() for folder in folders] == [False, True]
    os.killpg(pids[1], signal.SIGKILL)
