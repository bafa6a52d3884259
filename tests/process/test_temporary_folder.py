"""The run record names the temporary folder of its process, and a record without one is as good."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import anyio
import pytest

from infrablocks import Process, WorkloadStatus
from infrablocks.process._temporary_folder import remove_folder
from tests.processes import is_alive

pytestmark = pytest.mark.anyio


def the_record() -> Path:
    """Give the only run record."""
    (record,) = Path(os.environ["INFRABLOCKS_HOME"], "runs").iterdir()
    return record


@pytest.mark.parametrize("working_dir", [None, "/"])
async def test_the_record_names_the_temporary_folder(working_dir: str | None) -> None:
    """It is the one that the process works in; none where the block says another."""
    async with anyio.create_task_group() as tasks:
        pid = await tasks.start(Process(command=["sleep", "300"], working_dir=working_dir).run)
        folder = None if working_dir else str(Path(f"/proc/{pid}/cwd").readlink())
        assert json.loads(the_record().read_text())["temporary_dir"] == folder
        tasks.cancel_scope.cancel()


async def test_a_record_of_an_earlier_version() -> None:
    """A record that names no temporary folder is read as before: its process is found and killed."""
    async with anyio.create_task_group() as tasks:
        pid = await tasks.start(Process(command=["sleep", "300"]).run)
        values = json.loads(the_record().read_text())
        del values["temporary_dir"]
        the_record().write_text(json.dumps(values))
        assert await Process().status(pid) is WorkloadStatus.RUNNING
        await Process().kill(pid)
    assert not is_alive(pid)


async def test_the_agent_removes_the_folder_of_a_process_that_another_call_kills(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As long as there is an agent `kill` leaves the folder to it: it is removed once, and nothing complains."""
    async with anyio.create_task_group() as tasks:
        pid = await tasks.start(Process(command=["sleep", "300"]).run)
        folder = Path(f"/proc/{pid}/cwd").readlink()
        await Process().kill(pid)
    assert not folder.exists()
    assert "could not be removed" not in caplog.text


def test_no_file_descriptors_left(tmp_path: Path) -> None:
    """An empty folder, as that of a run that could not be started, is removed also where no file can be opened."""
    empty = tmp_path / "empty"
    empty.mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        remove_folder(empty)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not empty.exists()
