"""Python programs for tests, which start at once: forked from a process that has imported the library already.

An interpreter of its own needs half a second until it has imported the library: start one only where that is tested.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

_STARTER = Path(__file__).with_name("python_starter.py")


class PythonProgram:
    """A program that runs, with the methods of `subprocess.Popen`. It is no child of this process.

    Args:
        code: Its text.
        arguments: What `sys.argv` has behind the name.
        env: Its variables; without them this process's own.
        cwd: Its folder; without it this process's own.
        stdout: A file descriptor, or a pipe of its own.
        stderr: A file descriptor, a pipe of its own, or the same as stdout.
        stdout_bytes: How much its pipe for stdout holds.
    """

    def __init__(
        self,
        code: str,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        stdout_bytes: int = 65536,
    ) -> None:
        environment = dict(os.environ if env is None else env)
        folder = str(cwd or Path.cwd())
        request = {"code": code, "arguments": arguments, "environment": environment, "folder": folder}
        pipes = {name: os.pipe() for name in ("stdout", "stderr", "end")}
        fcntl.fcntl(pipes["stdout"][1], fcntl.F_SETPIPE_SZ, stdout_bytes)
        ends = {name: end for name, (_, end) in pipes.items()}
        files = [
            ends["stdout"] if stdout == subprocess.PIPE else stdout,
            {subprocess.PIPE: ends["stderr"], subprocess.STDOUT: ends["stdout"]}.get(stderr, stderr),
            ends["end"],
        ]
        try:
            socket.send_fds(_starter(), [json.dumps(request).encode()], files)
        finally:
            for end in ends.values():
                os.close(end)
        self.pid = int(_starter().recv(100))
        self.returncode: int | None = None
        self.stdout, self.stderr, self._end = (os.fdopen(pipe, "rb", buffering=0) for pipe, _ in pipes.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()
        self.close()

    def send_signal(self, number: int) -> None:
        """Send a signal, if the program has not ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the program, if it has not ended."""
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """Give the exit code, if the program has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float = WAIT_SECONDS) -> int:
        """Wait until the program has ended; gives the exit code."""
        if self.returncode is None:
            if not select.select([self._end], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(["python"], timeout)
            self.returncode = os.waitstatus_to_exitcode(int(self._end.read()))
        return self.returncode

    def communicate(self, silence: float = WAIT_SECONDS) -> tuple[bytes, bytes]:
        """Read all that the program prints, and wait until it has ended; it may say nothing for so many seconds."""
        printed: dict[int, list[bytes]] = {pipe.fileno(): [] for pipe in (self.stdout, self.stderr)}
        waiting = set(printed)
        while waiting:
            readable, _, _ = select.select(waiting, [], [], silence)
            assert readable, f"nothing within {silence} s"
            for pipe in readable:
                if not (data := os.read(pipe, 65536)):
                    waiting.remove(pipe)
                printed[pipe].append(data)
        self.wait()
        stdout, stderr = (b"".join(pieces) for pieces in printed.values())
        return stdout, stderr

    def close(self) -> None:
        """Close the pipes."""
        for pipe in (self.stdout, self.stderr, self._end):
            pipe.close()


@cache
def _starter() -> socket.socket:
    """Start the process that programs are forked from. It ends with this one: nobody has the socket any more."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        words = [sys.executable, "-P", str(_STARTER), str(there.fileno())]
        # Programs inherit its stdout, which is to have a buffer as that of most programs has.
        buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
        subprocess.run(words, check=True, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL, env=buffered)
    return here
