"""Starting a process, and what can go wrong with it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infrablocks._environment import inherited_environment
from infrablocks.exceptions import WorkloadCreationError
from infrablocks.process._temporary_folder import make_temporary_folder, remove_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infrablocks.process._settings import ProcessSettings


def spawn(settings: ProcessSettings) -> tuple[subprocess.Popen[bytes], Path | None]:
    """Start a process in a session of its own, with nothing to read on stdin. Blocks.

    Returns:
        The process and the temporary folder it runs in, None where it has another one.

    Raises:
        WorkloadCreationError: It could not be started; nothing is left behind.
    """
    environment = settings.environment(inherited_environment())
    temporary_dir = None
    try:
        if settings.working_dir is None:
            temporary_dir = Path(make_temporary_folder())
        return _popen(settings, environment, temporary_dir or settings.working_dir), temporary_dir
    except (OSError, ValueError) as error:
        if temporary_dir is not None:
            with suppress(OSError):
                remove_folder(temporary_dir)
        raise WorkloadCreationError(problem_text(settings, environment, error)) from error


def _popen(
    settings: ProcessSettings, environment: Mapping[str, str], working_dir: Path | None
) -> subprocess.Popen[bytes]:
    output = subprocess.PIPE if settings.stream_output else subprocess.DEVNULL
    arguments, own_group = _for_this_system(settings.command)
    return subprocess.Popen(  # noqa: S603 (running commands is what this is for)
        arguments,
        bufsize=0,
        cwd=working_dir,
        env=None if environment is os.environ else environment,
        stderr=output,
        stdin=subprocess.DEVNULL,
        stdout=output,
        **own_group,
    )


def _for_this_system(command: tuple[str, ...]) -> tuple[str | tuple[str, ...], dict[str, Any]]:
    """Give the command in the form this system wants, and the arguments that put it into a group of its own."""
    if sys.platform == "win32":
        return subprocess.list2cmdline(command), {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return command, {"start_new_session": True}


_PROBLEMS = {
    errno.E2BIG: "its arguments and environment variables are too long for the system",
    errno.EACCES: "{program!r} is not executable; check its permissions",
    errno.EAGAIN: "the system has no room for more processes",
    errno.EMFILE: "no file descriptors are left; raise `ulimit -n` or run fewer at once",
    errno.ENFILE: "no file descriptors are left on this machine",
    errno.ENOENT: "there is no program {program!r}; check `command` and PATH",
    errno.ENOEXEC: "{program!r} is no program; a script begins with #!/bin/sh or the like",
    errno.ENOMEM: "the system has no memory left",
}


def problem_text(settings: ProcessSettings, environment: Mapping[str, str], error: OSError | ValueError) -> str:
    """Say what is wrong in the words of the block's fields, without a value that may be secret."""
    program, working_dir = settings.command[0], settings.working_dir
    path = shutil.which(program, mode=os.F_OK, path=environment.get("PATH", os.defpath))
    if not program:
        problem = "command[0], the program, is empty"
    elif not isinstance(error, OSError):
        problem = _not_passable(settings.command, environment, error)
    elif working_dir is not None and not working_dir.is_dir():
        fault = "is no folder" if working_dir.exists() else "does not exist"
        problem = f"its working_dir {str(working_dir)!r} {fault}"
    elif error.errno == errno.ENOENT and path is not None:
        problem = f"the interpreter that {program!r} names in its first line is missing"
    elif Path(path or program).is_dir():
        problem = f"{program!r} is a folder"
    else:
        problem = _PROBLEMS.get(error.errno or 0, f"{{program!r}}: {error.strerror}").format(program=program)
    return f"Process could not be started: {problem}."


def _not_passable(command: tuple[str, ...], environment: Mapping[str, str], error: ValueError) -> str:
    """Say which value the operating system cannot take."""
    for name, value in environment.items():
        if "\0" in value:
            return f"the variable {name!r} holds a NUL byte"
    for index, argument in enumerate(command):
        if "\0" in argument:
            return f"command[{index}] holds a NUL byte"
    return str(error)
