"""What cannot be run: one clear error that names field and value, and nothing is left behind."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from pydantic import ValidationError

from infrablocks import InfrastructureError, InvalidSettings, Process, WorkloadCreationError
from tests.processes import Lines, children, open_files

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a file that is not executable and one that is no program."""
    tmp_path.joinpath("plain").write_text("x")
    tmp_path.joinpath("no-program").write_text("x")
    tmp_path.joinpath("no-program").chmod(0o755)
    tmp_path.joinpath("no-interpreter").write_text("#!/no/such/interpreter\n")
    tmp_path.joinpath("no-interpreter").chmod(0o755)
    return tmp_path


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield
    assert list(temporary.iterdir()) == []
    assert children() == set()
    assert not Path(os.environ["INFRABLOCKS_HOME"], "runs").exists()


async def test_empty_command() -> None:
    """An empty command is a ValueError when it is run or shown, and one of our own errors."""
    block = Process(command=[])
    with pytest.raises(ValueError, match="^Process cannot be run with empty command") as caught:
        await block.run()
    assert isinstance(caught.value, InvalidSettings)
    with pytest.raises(InvalidSettings, match="^Process cannot be run with empty command"):
        await anyio.to_thread.run_sync(block.preview)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"command": ["no-such-program", "x"]}, "there is no program 'no-such-program'; check `command` and PATH."),
        ({"command": ["", "x"]}, "command[0], the program, is empty."),
        ({"command": ["{folder}/plain"]}, "'{folder}/plain' is not executable; check its permissions."),
        ({"command": ["{folder}"]}, "'{folder}' is a folder."),
        ({"command": ["{folder}/no-program"]}, "'{folder}/no-program' is no program; a script begins with #!/bin/sh"),
        ({"command": ["{folder}/no-interpreter"]}, "the interpreter that '{folder}/no-interpreter' names"),
        ({"command": ["true"], "env": {"PATH": "{folder}"}}, "there is no program 'true'; check `command` and PATH."),
        (
            {"command": ["true", "x" * 4_000_000]},
            "its arguments and environment variables are too long for the system.",
        ),
        ({"command": ["true"], "env": {"A": "s3cret\0"}}, "the variable 'A' holds a NUL byte."),
        ({"command": ["true", "a\0b"]}, "command[1] holds a NUL byte."),
        ({"command": ["true"], "working_dir": "{folder}/none"}, "its working_dir '{folder}/none' does not exist."),
        ({"command": ["true"], "working_dir": "{folder}/plain"}, "its working_dir '{folder}/plain' is no folder."),
    ],
)
async def test_what_cannot_be_started(settings: dict[str, Any], message: str, folder: Path) -> None:
    """A process that cannot be started is an error that names the cause, and quotes no value of a variable."""

    def filled(value: Any) -> Any:
        match value:
            case str():
                return value.replace("{folder}", str(folder))
            case list():
                return [filled(item) for item in value]
            case dict():
                return {key: filled(item) for key, item in value.items()}
            case _:
                return value

    with pytest.raises(WorkloadCreationError) as caught:
        await Process(**filled(settings)).run()
    assert str(caught.value).startswith(f"Process could not be started: {filled(message)}")
    assert isinstance(caught.value, InfrastructureError)
    assert caught.value.__cause__ is not None
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("", "''"), ("A=B", "'A=B'"), ("A\0", r"'A\\x00'"), (5, "5")],
)
async def test_names_of_variables(name: Any, shown: str) -> None:
    """A name that no system can set is refused when the block is made, and in a copy that passed validation by."""
    with pytest.raises(ValidationError, match=f"{shown} is not the name of a variable"):
        Process(command=["true"], env={name: "1"})
    copy = Process(command=["true"]).model_copy(update={"env": {name: "1"}})
    with pytest.raises(InvalidSettings, match=f"env: {shown} is not the name of a variable"):
        await copy.run()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("env", {"A": ["x"]}, "env.A"),
        ("command", "echo hi", "command"),
        ("timeout_seconds", 0, "greater than 0"),
        ("timeout_seconds", float("inf"), "less than inf"),
        ("grace_seconds", -1, "greater than or equal to 0"),
        ("on_cancel", "stop", "'kill' or 'leave'"),
        ("type", "docker-container", "'process'"),
        ("detached", "perhaps", "detached"),
        ("output_limit", 1000, "greater than or equal to 65536"),
    ],
)
async def test_wrong_fields(field: str, value: Any, message: str) -> None:
    """A wrong value is refused when the block is made, with the field's name."""
    with pytest.raises(ValidationError, match=message) as caught:
        Process(**{field: value})
    assert caught.value.errors()[0]["loc"][0] == field


async def test_a_copy_with_a_wrong_environment() -> None:
    """A copy that passed validation by is checked when it is used: numbers become text, lists are refused."""
    lines = Lines()
    copy = Process(command=["sh", "-c", "echo $A"]).model_copy(update={"env": {"A": 1}})
    assert await copy.run(output=lines)
    assert lines == [("stdout", "1\n")]
    for wrong in ({"A": ["x"]}, ["A"]):
        with pytest.raises(InvalidSettings, match="^env"):
            await copy.model_copy(update={"env": wrong}).run()
    (Path(os.environ["INFRABLOCKS_HOME"]) / "runs").rmdir()


async def test_output_is_a_file(tmp_path: Path) -> None:
    """A file is no sink, since its `write` takes no stream; the error says what to pass."""
    with tmp_path.joinpath("log").open("w") as file, pytest.raises(TypeError, match="lambda stream, line: file.write"):
        await Process(command=["true"]).run(output=file)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="output='x' is neither a callable"):
        await Process(command=["true"]).run(output="x")  # type: ignore[arg-type]


async def test_no_file_descriptors_left() -> None:
    """When no file can be opened that run alone fails, in one clear error, and later ones work."""
    block = Process(command=["true"])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert await block.run()
    (Path(os.environ["INFRABLOCKS_HOME"]) / "runs").rmdir()
    before = open_files()
    for spare in range(1, 12):
        # Every step of the creation meets the limit once.
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + spare, hard))
        problem = ""
        try:
            await block.run()
        except WorkloadCreationError as error:
            problem = str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert not problem or "file descriptors" in problem or "Too many open files" in problem
        assert children() == set()
        if sys.version_info >= (3, 11, 4):  # before that, `Popen` itself loses what it has opened
            assert open_files() <= before
    assert await block.run()
    (Path(os.environ["INFRABLOCKS_HOME"]) / "runs").rmdir()


async def test_a_home_that_cannot_be_written(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a place for run records the run goes on, with a warning."""
    with monkeypatch.context() as patch:
        patch.setenv("INFRABLOCKS_HOME", "/proc/none")
        assert await Process(command=["true"]).run()
    assert "No run record for process" in caplog.text
