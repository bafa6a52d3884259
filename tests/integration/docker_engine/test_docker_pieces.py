"""Pieces of the Docker back end that need no engine: frames, positions, states."""

from __future__ import annotations

import contextlib
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from infrablocks._output.position import Skipper, StreamPosition
from infrablocks._results import Reason, WorkloadStatus
from infrablocks.docker._create import _code_of_command
from infrablocks.docker._engine_address import EngineAddress
from infrablocks.docker._errors import EngineRefusal, not_connected
from infrablocks.docker._names import name_is_taken
from infrablocks.docker._result import container_state, ended_result, parse_time
from infrablocks.docker._streams import Frames

ADDRESS = EngineAddress("unix:///x.sock", None, "a test")


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=50))), st.integers(1, 30))
def test_frames_do_not_depend_on_where_they_are_cut(frames: list[tuple[int, bytes]], size: int) -> None:
    """Each stream gets its bytes, whatever pieces the frames come in."""
    wire = b"".join(struct.pack(">BxxxL", number, len(data)) + data for number, data in frames)
    reader, streams = Frames(tty=False), {"stdout": b"", "stderr": b""}
    for start in range(0, len(wire), size):
        for stream, data in reader.feed(memoryview(wire)[start : start + size]):
            streams[stream] += data
    assert not reader.is_broken_off
    assert streams["stdout"] == b"".join(data for number, data in frames if number == 1)
    assert streams["stderr"] == b"".join(data for number, data in frames if number == 2)


def test_a_frame_that_is_broken_off() -> None:
    """It is known that something is missing."""
    wire = struct.pack(">BxxxL", 1, 5) + b"hello"
    for cut in range(1, len(wire)):
        reader = Frames(tty=False)
        reader.feed(memoryview(wire)[:cut])
        assert reader.is_broken_off


@given(st.binary(max_size=100).map(lambda data: data.replace(b"\x01", b"\n")), st.data())
def test_what_was_delivered_is_skipped(log: bytes, data: st.DataObject) -> None:
    """The log read again from its beginning gives exactly the rest, whatever pieces it comes in."""
    delivered = data.draw(st.integers(0, len(log)))
    position, size = StreamPosition(), data.draw(st.integers(1, 10))
    for start in range(0, delivered, size):
        position = position.after(log[start : min(start + size, delivered)])
    skipper = Skipper(StreamPosition(), position)
    rest = b"".join(skipper.skip(log[start : start + size]) for start in range(0, len(log), size))
    assert rest == log[delivered:]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T06:14:17.119268859Z", datetime(2026, 11, 24, 6, 14, 17, 119268, UTC)),
        ("2026-11-24T06:14:17Z", datetime(2026, 11, 24, 6, 14, 17, 0, UTC)),
        ("2026-11-24T07:14:17.5+01:00", datetime(2026, 11, 24, 6, 14, 17, 500000, UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
        ("yesterday", None),
    ],
)
def test_times(text: str | None, expected: datetime | None) -> None:
    """Nine digits of a second, other zones, and the zero time."""
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("created", 0, WorkloadStatus.PENDING),
        ("running", 0, WorkloadStatus.RUNNING),
        ("paused", 0, WorkloadStatus.RUNNING),
        ("restarting", 1, WorkloadStatus.RUNNING),
        ("exited", 0, WorkloadStatus.SUCCEEDED),
        ("stopped", 3, WorkloadStatus.FAILED),
        ("dead", 0, WorkloadStatus.UNKNOWN),
        ("removing", 0, WorkloadStatus.UNKNOWN),
    ],
)
def test_states(status: str, code: int, expected: WorkloadStatus) -> None:
    """The engines' words in those of all back ends."""
    assert container_state({"State": {"Status": status, "ExitCode": code}}).workload_status is expected


@pytest.mark.parametrize("missing", [{}, {"ExitCode": None}], ids=["missing", "null"])
@pytest.mark.parametrize("status", ["exited", "stopped", "dead"])
def test_no_exit_code(missing: dict[str, None], status: str) -> None:
    """A container that has ended, and whose code the engine does not tell, has not succeeded."""
    state = container_state({"State": {"Status": status, "Error": "lost", **missing}})
    assert state.workload_status is WorkloadStatus.UNKNOWN
    result = ended_result("x" * 64, state)
    assert (result.status_code, result.reason) == (-1, Reason.UNKNOWN)
    assert result.message == (
        f"Docker container {'x' * 12!r} has ended; the engine does not tell its exit code. Its output may tell how. "
        "The engine says: lost"
    )


def test_out_of_memory() -> None:
    """It wins over the signal; a container that goes on after one of its processes was killed has not failed by it."""
    state = {"Status": "exited", "ExitCode": 137, "OOMKilled": True}
    assert ended_result("x" * 64, container_state({"State": state})).reason is Reason.OOM_KILLED
    survived = ended_result("x" * 64, container_state({"State": {**state, "ExitCode": 0}}))
    assert (survived.reason, survived.message) == (Reason.COMPLETED, f"Docker container {'x' * 12!r} exited cleanly.")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ('exec: "a": executable file not found in $PATH: unknown', 127),
        ('exec: "/a/b": stat /a/b: no such file or directory', 127),
        ('exec: "/etc/passwd": permission denied', 126),
        ("error mounting: no such file or directory", None),
        ("network a not found", None),
    ],
)
def test_start_errors(answer: str, code: int | None) -> None:
    """Only what is about the command has the code of a shell."""
    assert _code_of_command(answer) == code


@pytest.mark.parametrize(
    ("status", "answer", "taken"),
    [(409, "Conflict.", True), (500, 'the container name "x" is already in use by ID', True), (500, "other", False)],
)
def test_a_name_that_is_taken(status: int, answer: str, taken: bool) -> None:
    """Docker has a status for it, Podman only words (PITFALL 38)."""
    assert name_is_taken(EngineRefusal(ADDRESS, status, answer)) is taken


def test_no_permission() -> None:
    """The error says what to do."""
    error = OSError("aborted", PermissionError(13, "Permission denied"))
    assert str(not_connected(ADDRESS, error)) == (
        "Could not connect to Docker at unix:///x.sock (a test): Permission denied. "
        "Add the user to the group that owns the socket (mostly `docker`), and log in again."
    )


def test_no_file_descriptor() -> None:
    """Where this process has too many open files, it is not the engine that is to be looked at (PITFALL 58)."""
    error = OSError("aborted", OSError(24, "Too many open files"))
    assert str(not_connected(ADDRESS, error)) == (
        "Could not connect to Docker at unix:///x.sock (a test): Too many open files. "
        "No file descriptors are left; raise `ulimit -n` or run fewer at once."
    )


def test_pools_of_connections_begin_empty() -> None:
    """A pool, of which the SDK makes one for each URL, is not filled before use, and keeps what comes back."""
    from infrablocks.docker._session import Session  # noqa: PLC0415 - it loads the SDK

    with contextlib.closing(Session(ADDRESS, "1.41")) as session:
        url = session.url("/containers/x/json")
        pool = session.get_adapter(url).get_connection(url)  # type: ignore[attr-defined]
        assert (pool.pool.qsize(), pool.pool.maxsize) == (0, 0)
        assert session.get_adapter(url).get_connection(url) is pool  # type: ignore[attr-defined]


def test_no_sdk_before_it_is_needed() -> None:
    """Only these modules import the SDK at their top; all others do in functions."""
    import infrablocks.docker  # noqa: PLC0415

    for path in Path(infrablocks.docker.__file__).parent.glob("*.py"):
        top = [line for line in path.read_text().splitlines() if line.startswith(("import docker", "from docker"))]
        assert not top or path.name == "_session.py", path
