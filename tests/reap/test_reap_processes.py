"""What agents leave behind on this machine is found, removed and ended; what they watch is left alone."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks import InfrastructureNotFound, Process, ReapedWorkload, WorkloadStatus
from tests.cli.command_line import CommandLineHere
from tests.processes import is_alive, wait_until
from tests.reap.agents import agent, killed_agent, watches

if TYPE_CHECKING:
    from collections.abc import Callable

FOREVER = "Process(command=['sleep', '300'], stream_output=False, detached={detached}, working_dir='/')"


def runs() -> list[str]:
    """Give the names of all run records and folders."""
    folder = Path(os.environ["INFRABLOCKS_HOME"], "runs")
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def summary(reaped: tuple[ReapedWorkload, ...]) -> list[tuple[str, WorkloadStatus, str]]:
    """Give what is the same each time."""
    return [(one.identifier, one.status, one.action) for one in reaped]


@pytest.fixture(params=[False, True], ids=["plain", "detached"])
def detached(request: pytest.FixtureRequest) -> bool:
    """Both kinds of processes."""
    return bool(request.param)


def test_what_a_killed_agent_leaves_behind_is_ended(detached: bool) -> None:
    """A process whose agent was killed is left without `kill`, ended with it, and then not found any more."""
    pid = killed_agent(FOREVER.format(detached=detached))
    block = Process()
    assert summary(block.reap(dry_run=True, kill=True)) == [(pid, WorkloadStatus.RUNNING, "would kill")]
    assert summary(block.reap()) == [(pid, WorkloadStatus.RUNNING, "left")]
    assert is_alive(int(pid))
    assert summary(block.reap(kill=True)) == [(pid, WorkloadStatus.RUNNING, "killed")]
    assert (is_alive(int(pid)), runs(), watches(), summary(block.reap())) == (False, [], [], [])


def temporary_folders(folder: Path) -> list[str]:
    """Give the names of the working folders that runs have made."""
    return sorted(path.name for path in folder.glob("infrablocks-*") if path.name != "infrablocks-home")


@pytest.fixture
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have agents make their temporary folders in one that is empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_the_temporary_folder_goes_too(detached: bool, own_temporary_folder: Path) -> None:
    """The working folder that a run has made is removed with its process, and with what the process has put there."""
    command = ["sh", "-c", "mkdir made; echo text >made/file; touch ready; exec sleep 300"]
    pid = killed_agent(f"Process(command={command}, stream_output=False, detached={detached})")
    wait_until(lambda: [*own_temporary_folder.glob("infrablocks-*/ready")] != [])
    if detached:
        kill_supervisor(pid)
    assert summary(Process().reap()) == [(pid, WorkloadStatus.RUNNING, "left")]
    assert len(temporary_folders(own_temporary_folder)) == 1
    assert summary(Process().reap(kill=True)) == [(pid, WorkloadStatus.RUNNING, "killed")]
    assert (temporary_folders(own_temporary_folder), runs()) == ([], [])


def test_the_temporary_folder_of_what_has_ended(detached: bool, own_temporary_folder: Path) -> None:
    """The working folder of a process that has ended unseen is removed with its record."""
    pid = killed_agent(f"Process(command=['sleep', '300'], stream_output=False, detached={detached})")
    if detached:
        kill_supervisor(pid)
    os.killpg(int(pid), signal.SIGKILL)
    wait_until(lambda: not is_alive(int(pid)))
    assert len(temporary_folders(own_temporary_folder)) == 1
    assert summary(Process().reap()) == [(pid, WorkloadStatus.UNKNOWN, "removed")]
    assert (temporary_folders(own_temporary_folder), runs()) == ([], [])


def test_the_temporary_folder_of_what_is_killed_by_its_identifier(own_temporary_folder: Path) -> None:
    """`kill` of a process whose agent is gone takes its working folder away with its record."""
    pid = killed_agent("Process(command=['sleep', '300'], stream_output=False)")
    Process().kill(pid)
    assert (temporary_folders(own_temporary_folder), runs()) == ([], [])


@pytest.mark.parametrize("kind", ["another name", "a link", "a file"])
def test_what_is_no_temporary_folder_of_a_run_stays(kind: str, own_temporary_folder: Path) -> None:
    """What a record names as its working folder is removed only if it can be one."""
    pid = killed_agent(FOREVER.format(detached=False))
    folder = own_temporary_folder / ("mine" if kind == "another name" else "infrablocks-1")
    real = own_temporary_folder / "real"
    real.mkdir()
    if kind == "another name":
        folder.mkdir()
    elif kind == "a link":
        folder.symlink_to(real)
    else:
        folder.touch()
    (record,) = Path(os.environ["INFRABLOCKS_HOME"], "runs").iterdir()
    record.write_text(json.dumps({**json.loads(record.read_text()), "temporary_dir": str(folder)}))
    assert summary(Process().reap(kill=True)) == [(pid, WorkloadStatus.RUNNING, "killed")]
    assert (sorted(own_temporary_folder.iterdir()), runs()) == (sorted([folder, real]), [])


def kill_supervisor(pid: str) -> None:
    """Kill the process that stands beside a detached one."""
    (folder,) = Path(os.environ["INFRABLOCKS_HOME"], "runs").glob(f"*-{pid}")
    supervisor_pid = json.loads(folder.joinpath("run.json").read_text())["supervisor_pid"]
    os.kill(supervisor_pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(supervisor_pid))


def test_what_an_agent_watches_is_left_alone(detached: bool) -> None:
    """A process that an agent watches is no business of `reap`, in whichever process the agent is."""
    with agent(FOREVER.format(detached=detached)) as (_, pid):
        assert summary(Process().reap(kill=True)) == []
        assert is_alive(int(pid))
    assert summary(Process().reap(kill=True)) == [(pid, WorkloadStatus.RUNNING, "killed")]


def test_a_stopped_agent_still_watches() -> None:
    """An agent that is stopped for a while goes on later: what it watches is left alone."""
    with agent(FOREVER.format(detached=False)) as (program, pid):
        program.send_signal(signal.SIGSTOP)
        assert summary(Process().reap(kill=True)) == []
        assert is_alive(int(pid))
    Process().reap(kill=True)


def test_what_has_ended_is_removed(detached: bool, tmp_path: Path) -> None:
    """A process that has ended after its agent is removed without `kill`; the exit code of a detached one is known."""
    command = f"until [ -e {tmp_path}/go ]; do sleep 0.01; done; exit 3"
    block = f"Process(command=['sh', '-c', {command!r}], stream_output=False, detached={detached}, working_dir='/')"
    pid = killed_agent(block)
    (tmp_path / "go").touch()
    wait_until(lambda: not is_alive(int(pid)))
    if detached:
        wait_until(lambda: Process().status(pid) is WorkloadStatus.FAILED)
    status = WorkloadStatus.FAILED if detached else WorkloadStatus.UNKNOWN
    assert summary(Process().reap(dry_run=True)) == [(pid, status, "would remove")]
    assert summary(Process().reap()) == [(pid, status, "removed")]
    assert runs() == []
    with pytest.raises(InfrastructureNotFound):
        Process().status(pid)


@pytest.mark.anyio
async def test_what_attach_watches_is_left_alone() -> None:
    """A process that this program has attached to is watched until the attaching ends."""
    pid = await anyio.to_thread.run_sync(killed_agent, FOREVER.format(detached=True))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Process().attach, pid)
        await anyio.to_thread.run_sync(wait_until, lambda: len(watches()) > 1)
        assert summary(await Process().reap(kill=True)) == []
        tasks.cancel_scope.cancel()
    assert summary(await Process().reap(kill=True)) == [(pid, WorkloadStatus.RUNNING, "killed")]


@pytest.mark.anyio
async def test_what_a_cancelled_run_leaves_is_not_watched() -> None:
    """A run that was cancelled and leaves its process does not watch it any more, though its program goes on."""
    block = Process(command=["sleep", "300"], on_cancel="leave", stream_output=False)
    async with anyio.create_task_group() as tasks:
        pid = await tasks.start(block.run)
        assert summary(await Process().reap(kill=True)) == []
        tasks.cancel_scope.cancel()
    assert summary(await Process().reap(kill=True)) == [(str(pid), WorkloadStatus.RUNNING, "killed")]


@pytest.mark.anyio
async def test_many_at_once_while_runs_begin_and_end() -> None:
    """Of hundreds of runs that begin and end meanwhile `reap` touches none, and ends exactly what was left."""
    left = [await anyio.to_thread.run_sync(killed_agent, FOREVER.format(detached=False)) for _ in range(2)]
    codes: list[int] = []

    async def run() -> None:
        codes.append((await Process(command=["true"], stream_output=False).run()).status_code)

    reaped: list[str] = []

    async def reap(limit: Callable[[], bool]) -> None:
        while not limit():
            reaped.extend(one.identifier for one in await Process().reap(kill=True))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reap, lambda: len(codes) == 200)
        for _ in range(200):
            tasks.start_soon(run)
    assert (codes, sorted(reaped)) == ([0] * 200, sorted(left))
    assert (runs(), watches()) == ([], [])


def test_the_folder_of_a_process_that_was_never_started() -> None:
    """The folder of a detached process whose agent was killed before the start is removed, once it is old enough."""
    folder = Path(os.environ["INFRABLOCKS_HOME"], "runs", "new-1-2-abc")
    folder.mkdir(parents=True)
    assert summary(Process().reap()) == []
    os.utime(folder, (1, 1))
    assert summary(Process().reap()) == [("new-1-2-abc", WorkloadStatus.PENDING, "removed")]
    assert runs() == []


def test_a_record_of_an_earlier_boot() -> None:
    """A record from before the machine was restarted is removed, and whoever has the pid now is left alone."""
    folder = Path(os.environ["INFRABLOCKS_HOME"], "runs")
    pid = killed_agent(FOREVER.format(detached=False))
    (record,) = folder.iterdir()
    text = record.read_text()
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    record.write_text(text.replace(boot_id, "0" * 8 + boot_id[8:]))
    assert summary(Process().reap(kill=True)) == [(pid, WorkloadStatus.UNKNOWN, "removed")]
    assert (is_alive(int(pid)), runs()) == (True, [])
    os.killpg(int(pid), signal.SIGKILL)


def test_the_command(tmp_path: Path) -> None:
    """The command prints a line for each workload, and only what --kill and --dry-run say is done."""
    command_line = CommandLineHere(tmp_path)
    pid = killed_agent(FOREVER.format(detached=False))
    words = ["--dry-run --kill", "", "--kill", "--kill"]
    outcomes = [command_line("reap", *each.split()) for each in words]
    assert [(each.returncode, each.stderr) for each in outcomes] == [(0, "")] * 4
    printed = [[line.split("\t") for line in each.stdout.splitlines()] for each in outcomes]
    assert [[(line[0], line[2]) for line in lines] for lines in printed] == [
        [(pid, "would kill")],
        [(pid, "left")],
        [(pid, "killed")],
        [],
    ]
    assert printed[0][0][1].startswith("Running, ")
    assert printed[0][0][1].endswith(" s old")
