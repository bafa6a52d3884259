"""What stands beside a detached process and outlives its agent: it keeps the output and the status code, and then ends.

This runs as a program of its own, once for each such process, for days: it imports little, nothing of this package.
`_detached_start` hands it this module's code and a `config`; `_run_folder` and `_kept_output` read what it writes into
its working directory, the run's folder:

- `run.json`: what the process is, written before it runs;
- `output-00000001` and so on: what it printed, the oldest removed as new ones come;
- `watch`: a socket that tells whoever connects when something was written, by one byte, and closes at the end;
- `end.json`: how it ended. The file is made at the start under another name: a full disk is then no obstacle.
"""

# pathlib and contextlib are memory that every such process would pay for:
# ruff: noqa: PTH104, PTH106, PTH108, PTH110, PTH123, SIM105, S606
from __future__ import annotations

import os
import select
import signal
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_READ_BYTES = 64 * 1024  # also the size of a pipe
_SEGMENTS = 8  # that the output is kept in
_END_BYTES = 4096
_DRAIN_SECONDS = 0.5
_CHECK_MILLISECONDS = 50
_MAGIC = b"IBO1"


def main(config: dict[str, Any]) -> None:
    """Start the command of `config`, report that, and stay until it has ended.

    Args:
        config: `folder` (made for this run), `runs` (where it belongs), `host`, `record` (the text of a JSON object to
            go into `run.json`), `command`, `environment`, `working_dir`, `temporary_dir` (to be removed, or None),
            `stream_output` and `output_limit`.
    """
    if os.fork():
        os._exit(0)  # the agent waits for this one; the other is nobody's child
    os.chdir(config["folder"])
    watchers = _Watchers()
    command = _Command(config)
    _write("run.json", _record(config["record"], command.pid))
    _write("end.new", b" " * _END_BYTES)
    folder = f"{config['runs']}/{config['host']}-{command.pid}"
    if os.path.exists(folder):  # an earlier process had this pid
        os.rename(folder, f"{folder}.replaced-{time.time_ns()}")
    os.rename(config["folder"], folder)
    error = command.execute()
    if error:
        _remove_tree(folder)
        _report(b"error %d\n" % error)
        return
    if not _report(b"started %d\n" % command.pid):
        command.kill()  # the agent is gone, and nobody knows of this process
    _turn_away()
    supervise(command, watchers, _OutputFiles(config["output_limit"]), config["temporary_dir"])


def supervise(command: _Command, watchers: _Watchers, files: _OutputFiles, temporary_dir: str | None) -> None:
    """Keep what the command prints until it has ended, then how it did."""
    poll = select.poll()
    for descriptor in (watchers.descriptor, command.exit_descriptor, *command.pipes):
        if descriptor is not None:
            poll.register(descriptor, select.POLLIN)
    finished_at, drain = 0.0, _Drain(command.pipes)
    while not drain.is_over:
        for descriptor, _ in poll.poll(drain.milliseconds(_CHECK_MILLISECONDS if command.must_be_checked else None)):
            if descriptor in command.pipes:
                data = _read(descriptor)
                if data:
                    files.write(command.pipes[descriptor], data)
                    watchers.tell()
                else:
                    poll.unregister(descriptor)
                    command.close_pipe(descriptor)
                drain.note(descriptor, data)
            elif descriptor == command.exit_descriptor:
                poll.unregister(descriptor)
            else:
                watchers.serve(descriptor, poll)
        if not finished_at and command.has_ended():
            finished_at = time.time()
            drain.begin()
    files.finish()
    problem = "" if temporary_dir is None else _remove_tree(temporary_dir)
    _write_end(command, finished_at, files, problem)
    watchers.close()
    command.forget()


class _Command:
    """The command, first waiting to be executed, so that it is on record before it does anything."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self.pipes: dict[int, int] = {}
        ends: list[int] = []
        for stream in (1, 2):
            if config["stream_output"]:
                reader, writer = os.pipe()
                os.set_blocking(reader, False)
                self.pipes[reader] = stream
                ends.append(writer)
            else:
                ends.append(os.open(os.devnull, os.O_WRONLY))
        gate, self._gate = os.pipe()
        self._failure, failure = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            self._become_command(ends, gate, failure)
        for descriptor in (*ends, gate, failure):
            os.close(descriptor)
        try:
            self.exit_descriptor: int | None = os.pidfd_open(self.pid)
        except OSError:  # a kernel older than 5.3
            self.exit_descriptor = None

    def _become_command(self, ends: list[int], gate: int, failure: int) -> None:
        try:
            os.close(self._gate)
            os.setsid()
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
                signal.signal(number, signal.SIG_DFL)
            for target, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), *ends)):
                os.dup2(descriptor, target)
            if os.read(gate, 1):
                os.chdir(self._config["working_dir"])
                command = self._config["command"]
                os.execvpe(command[0], command, self._config["environment"])
        except OSError as error:
            os.write(failure, b"%d" % (error.errno or 0))
        finally:
            os._exit(255)

    def execute(self) -> int:
        """Let it go; give the error number where it cannot be executed."""
        os.write(self._gate, b"x")
        os.close(self._gate)
        error = os.read(self._failure, 16)
        os.close(self._failure)
        return int(error or 0)

    def kill(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    @property
    def must_be_checked(self) -> bool:
        return self.exit_descriptor is None

    def has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def status_code(self) -> int:
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        if ended is None:
            return -1
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def close_pipe(self, descriptor: int) -> None:
        del self.pipes[descriptor]
        os.close(descriptor)

    def forget(self) -> None:
        os.waitpid(self.pid, 0)


class _Drain:
    """Says how long to read on after the end of the command: all it printed, and what comes in half a second."""

    def __init__(self, pipes: dict[int, int]) -> None:
        self._pipes = pipes
        self._end = 0.0
        self._unread: dict[int, int] = {}

    def begin(self) -> None:
        self._end = time.monotonic() + _DRAIN_SECONDS
        self._unread = dict.fromkeys(self._pipes, _READ_BYTES)

    def note(self, descriptor: int, data: bytes) -> None:
        if descriptor in self._unread:
            self._unread[descriptor] -= len(data)

    def milliseconds(self, otherwise: int | None) -> int | None:
        return max(0, int((self._end - time.monotonic()) * 1000)) if self._end else otherwise

    @property
    def is_over(self) -> bool:
        if not self._end:
            return False
        if time.monotonic() < self._end:
            return not self._pipes
        # A pipe that could be read to its end was empty at some time since the command has ended.
        return all(self._unread[descriptor] <= 0 or not _can_be_read(descriptor) for descriptor in self._pipes)


class _OutputFiles:
    """Files that the output is kept in, as frames: the stream, the length, and the bytes as they came.

    Each file begins with where it stands in the two streams: lines, and bytes of a line that was begun.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._segment_bytes = limit // _SEGMENTS
        self._places = {1: (0, 0), 2: (0, 0)}
        self._sizes: dict[str, int] = {}
        self._number = 0
        self._descriptor = -1
        self._size = 0
        self.error = 0

    def write(self, stream: int, data: bytes) -> None:
        piece_bytes = self._segment_bytes // 2
        for start in range(0, len(data), piece_bytes):
            self._write_frame(stream, data[start : start + piece_bytes])

    def finish(self) -> None:
        """Say where the output ends, if the last of it could not be kept: a line that was begun is not one."""
        if self.error and self._descriptor < 0:
            try:
                self._open_next()
            except OSError:
                pass
        self._close()

    def _write_frame(self, stream: int, data: bytes) -> None:
        frame = bytes([stream]) + len(data).to_bytes(4, "big") + data
        try:
            if self._descriptor < 0 or self._size + len(frame) > self._segment_bytes:
                self._open_next()
            self._append(frame)
        except OSError as error:  # the disk is full; what comes later may find room again, in a file that says where
            self.error = error.errno or -1
            self._close()
        lines, begun = self._places[stream]
        last = data.rfind(b"\n")
        if last < 0:
            self._places[stream] = (lines, begun + len(data))
        else:
            self._places[stream] = (lines + data.count(b"\n"), len(data) - last - 1)

    def _open_next(self) -> None:
        self._close()
        while self._sizes and sum(self._sizes.values()) + self._segment_bytes > self._limit:
            name = next(iter(self._sizes))
            os.unlink(name)
            del self._sizes[name]
        self._number += 1
        name = f"output-{self._number:08d}"
        self._descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._size = 0
        self._append(
            _MAGIC + b"".join(number.to_bytes(8, "big") for place in self._places.values() for number in place)
        )

    def _append(self, data: bytes) -> None:
        # What of it could be written before an error stays there, at the end of this file: whoever reads just then
        # would see zeros where it is taken back.
        rest = memoryview(data)
        while rest:
            written = os.write(self._descriptor, rest)
            self._size += written
            rest = rest[written:]

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._sizes[f"output-{self._number:08d}"] = self._size
        self._descriptor = -1


class _Watchers:
    """Those who want to know when something was written."""

    def __init__(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind("watch")
        self._listener.listen(128)
        self._listener.setblocking(False)
        self._connections: dict[int, socket.socket] = {}

    @property
    def descriptor(self) -> int:
        return self._listener.fileno()

    def serve(self, descriptor: int, poll: select.poll) -> None:
        """Let a new one in, or an old one go."""
        if descriptor != self.descriptor:
            poll.unregister(descriptor)
            self._connections.pop(descriptor).close()
            return
        try:
            connection = self._listener.accept()[0]
        except OSError:
            time.sleep(_CHECK_MILLISECONDS / 1000)  # too many of them: this one waits until another goes
            return
        connection.setblocking(False)
        self._connections[connection.fileno()] = connection
        poll.register(connection.fileno(), select.POLLIN)
        self._tell(connection)  # something may have been written while it was waiting to be let in

    def tell(self) -> None:
        for connection in self._connections.values():
            self._tell(connection)

    def _tell(self, connection: socket.socket) -> None:
        try:
            connection.send(b".")
        except OSError:
            pass  # it has enough to wake up for; or it is gone, which `serve` learns

    def close(self) -> None:
        self._listener.close()
        os.unlink("watch")
        for connection in self._connections.values():
            connection.close()


def _record(text: str, pid: int) -> bytes:
    with open(f"/proc/{pid}/stat", "rb") as file:
        status = file.read()
    start_time = int(status[status.rindex(b")") + 2 :].split()[19])
    added = f'"pid": {pid}, "start_time": {start_time}, "supervisor_pid": {os.getpid()}, "started_at": {time.time()!r}'
    return f"{text[:-1]}, {added}}}".encode()


def _write_end(command: _Command, finished_at: float, files: _OutputFiles, problem: str) -> None:
    held_open = "true" if command.pipes else "false"
    problem = problem[:200].encode("ascii", "backslashreplace").decode().replace("\\", "\\\\").replace('"', '\\"')
    end = (
        f'{{"status_code": {command.status_code()}, "finished_at": {finished_at!r}, "held_open": {held_open}, '
        f'"output_error": {files.error}, "folder_problem": "{problem}"}}'
    )
    descriptor = os.open("end.new", os.O_WRONLY)
    os.write(descriptor, end.encode())
    os.ftruncate(descriptor, len(end))
    os.close(descriptor)
    os.rename("end.new", "end.json")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _READ_BYTES)
    except OSError:
        return b""


def _can_be_read(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def _report(text: bytes) -> bool:
    """Tell the agent; False: it is gone."""
    try:
        os.write(1, text)
    except OSError:
        return False
    return True


def _turn_away() -> None:
    """Let go of the agent. What ends everything on this machine is not to end this one before its command."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


def _write(name: str, data: bytes) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(descriptor, data)
    os.close(descriptor)


def _remove_tree(path: str) -> str:
    """Remove a folder with all that is in it; give the problem, if there is one."""
    try:
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                problem = _remove_tree(entry.path)
                if problem:
                    return problem
            else:
                os.unlink(entry.path)
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        return str(error)
    return ""
