"""Starting a detached process: its supervisor, which then starts it."""

from __future__ import annotations

import importlib.util
import marshal
import os
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.abc import InspectLoader
from typing import TYPE_CHECKING, Any

from infrablocks._environment import inherited_environment
from infrablocks.exceptions import WorkloadCreationError
from infrablocks.process._old_run_folders import remove_old_folders
from infrablocks.process._run_folder import make_run_folder, record_text
from infrablocks.process._spawn import problem_text
from infrablocks.process._temporary_folder import make_temporary_folder, remove_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from infrablocks.process._settings import ProcessSettings

_ANSWER_SECONDS = 60.0
# Neither the site's packages nor anything of the environment or the folder it starts in is imported.
_PROGRAM = (
    "import marshal, sys; names = {'__name__': 'supervisor'}; exec(marshal.load(sys.stdin.buffer), names); "
    "names['main'](marshal.load(sys.stdin.buffer))"
)


def start_detached(settings: ProcessSettings, name: str | None, created_at: datetime) -> int:
    """Start a process that outlives this one. Blocks; for a worker thread.

    Returns:
        Its pid.

    Raises:
        WorkloadCreationError: It could not be started; nothing is left behind.
    """
    remove_old_folders()
    environment = settings.environment(inherited_environment())
    try:
        folder = make_run_folder()
    except OSError as error:
        raise WorkloadCreationError(
            f"Process could not be started: a detached process needs a folder for its output and status code: {error}."
        ) from error
    temporary_dir: str | None = None
    try:
        if settings.working_dir is None:
            temporary_dir = make_temporary_folder()
        config = _config(settings, environment, folder, temporary_dir)
        config["record"] = record_text(name, created_at, settings.output_limit, temporary_dir)
        return _start_supervisor(config)
    except BaseException as error:
        for path in filter(None, (folder, temporary_dir)):
            with suppress(OSError):
                remove_folder(path)
        if isinstance(error, OSError | ValueError):
            raise WorkloadCreationError(problem_text(settings, environment, error)) from error
        raise


def _config(
    settings: ProcessSettings, environment: Mapping[str, str], folder: str, temporary_dir: str | None
) -> dict[str, Any]:
    if any("\0" in text for text in (*settings.command, *environment, *environment.values())):
        raise ValueError("embedded null byte")
    return {
        "folder": folder,
        "runs": os.path.dirname(folder),  # noqa: PTH120 (as text, for the supervisor)
        "host": socket.gethostname(),
        "command": [os.fsencode(argument) for argument in settings.command],
        "environment": {os.fsencode(name): os.fsencode(value) for name, value in environment.items()},
        "working_dir": temporary_dir or os.path.abspath(settings.working_dir or "."),  # noqa: PTH100 (as above)
        "temporary_dir": temporary_dir,
        "stream_output": settings.stream_output,
        "output_limit": settings.output_limit,
    }


def _start_supervisor(config: dict[str, Any]) -> int:
    """Start the supervisor and have it start the command.

    Raises:
        OSError: The command cannot be executed.
        WorkloadCreationError: There is something wrong with the supervisor.
    """
    answer = _ask_supervisor(_code() + marshal.dumps(config))
    match answer.split():
        case [b"started", pid]:
            return int(pid)
        case [b"error", number]:
            raise OSError(int(number), os.strerror(int(number)))
        case _:
            last_line = answer.decode(errors="replace").strip().rpartition("\n")[2]
            raise _not_supervised(f"it ended with {last_line!r}")


def _ask_supervisor(question: bytes) -> bytes:
    try:
        # Its arguments are the same for all: what may be secret goes through a pipe.
        supervisor = subprocess.Popen(  # noqa: S603 (an interpreter like this one)
            [sys.executable, "-I", "-S", "-c", _PROGRAM],
            env=inherited_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _not_supervised(str(error)) from error
    with supervisor:
        try:
            return supervisor.communicate(question, timeout=_ANSWER_SECONDS)[0]
        except subprocess.TimeoutExpired as error:
            supervisor.kill()
            raise _not_supervised(f"it did not answer within {_ANSWER_SECONDS:g} seconds") from error


def _not_supervised(problem: str) -> WorkloadCreationError:
    return WorkloadCreationError(
        f"Process could not be started: the supervisor that a detached process needs, run by {sys.executable!r}, "
        f"did not start: {problem}."
    )


@cache
def _code() -> bytes:
    """Give the supervisor's code, compiled: its start then does not depend on where this package is installed."""
    name = f"{__package__}._supervisor"
    spec = importlib.util.find_spec(name)
    loader = None if spec is None else spec.loader
    if not isinstance(loader, InspectLoader):
        raise WorkloadCreationError(f"Process could not be started: the code of {name} cannot be read.")
    return marshal.dumps(loader.get_code(name))
