"""Where a log that was rotated goes on behind what was delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, strategies as st

from infrablocks.docker._log_place import LogPlace
from infrablocks.docker._log_search import LogLimits, LogMovedError

if TYPE_CHECKING:
    from infrablocks._output import Output, StreamName

LINES = [f"{number} {'x' * (number % 40)}\n".encode() for number in range(300)]
TICKS = [b"tick\n"] * 600


class Written:
    """In the place of the output: notes what the place itself writes."""

    def __init__(self) -> None:
        self.data = b""

    def write_from_thread(self, stream: str, data: bytes) -> None:
        """Note it."""
        assert stream == "stdout"
        self.data += data


def limits(driver: str = "json-file", **options: str) -> LogLimits:
    """Read the limits of a container's log."""
    config = {key.replace("_", "-"): value for key, value in options.items()}
    return LogLimits({"HostConfig": {"LogConfig": {"Type": driver, "Config": config}}})


def resumed(
    delivered: bytes, log: bytes, *, size: int = 97, rotates: LogLimits | None = None, stream: StreamName = "stdout"
) -> tuple[bytes, bool]:
    """Give what comes of a log after something was delivered, and whether lines may be lost."""
    place, output = LogPlace(), Written()
    place.limits = rotates or limits(max_size="1k")
    for start in range(0, len(delivered), 333):
        place.note(stream, delivered[start : start + 333])
    scans = place.scans()
    pieces = [log[start : start + size] for start in range(0, len(log), size)]
    for piece in pieces:
        scans[stream].feed(piece)
    may_be_lost = place.move(scans, cast("Output", output))
    resumption = place.resumptions(checked=True)[stream]
    return output.data + b"".join(resumption.skip(piece) for piece in pieces), may_be_lost


@given(st.data())
def test_each_byte_comes_once(data: st.DataObject) -> None:
    """Wherever the stream was cut and wherever the log begins: what follows comes once; a gap is told."""
    whole = b"".join(LINES)
    cut, begin = data.draw(st.integers(1, len(whole))), data.draw(st.integers(0, len(LINES) - 1))
    gone = len(b"".join(LINES[:begin]))
    rest, may_be_lost = resumed(whole[:cut], whole[gone:], size=data.draw(st.integers(1, 3000)))
    if begin == 0 or gone < whole.rfind(b"\n", 0, cut) + 1:
        assert rest == whole[cut:]
    else:
        assert rest == b"\n" * (not whole[:cut].endswith(b"\n")) + whole[gone:]
        assert may_be_lost


@pytest.mark.parametrize(("begin", "lost"), [(0, False), (100, False), (150, False), (199, True), (200, True)])
def test_a_warning_where_lines_may_be_lost(begin: int, *, lost: bool) -> None:
    """Only where the last delivered line, or all but that, is gone."""
    assert resumed(b"".join(LINES[:200]), b"".join(LINES[begin:])) == (b"".join(LINES[200:]), lost)


def test_lines_that_are_all_the_same() -> None:
    """What cannot be told apart is counted, and told; not so where the log is surely whole."""
    delivered, log = b"".join(TICKS[:400]), b"".join(TICKS)
    assert resumed(delivered, log) == (b"tick\n" * 200, True)
    assert resumed(delivered, log, rotates=limits(max_size="10m", max_file="3")) == (b"tick\n" * 200, False)
    assert resumed(delivered, log, rotates=limits("local")) == (b"tick\n" * 200, False)
    assert resumed(delivered, b"tick\n" * 300) == (b"", True)


def test_the_same_line_later() -> None:
    """A line that comes again is not taken for that which was delivered."""
    assert resumed(b"begin\n", b"".join([*LINES, b"begin\n"])) == (b"".join([*LINES, b"begin\n"]), True)


def test_one_line_that_does_not_end() -> None:
    """A progress bar: the place is found in the middle of the line."""
    text = "".join(f"\r{number} ▇" for number in range(1000)).encode()
    cut = text.index(b"\r700 ")
    assert resumed(text[:cut], text[500:]) == (text[cut:], False)


def test_what_is_no_text() -> None:
    """A log of JSON has other bytes there; ASCII is compared."""
    whole = [b"%d \xff\xfe\n" % number for number in range(500)]
    log = b"".join(line.replace(b"\xff\xfe", "\ufffd\ufffd".encode()) for line in whole)
    begin = log.index(b"\n200 ") + 1
    assert resumed(b"".join(whole[:300]), log[begin:])[0] == log[log.index(b"\n300 ") + 1 :]


def test_a_stream_whose_lines_are_gone() -> None:
    """What is left of stderr is new and nothing is lost, where the end of stdout is still there."""
    place = LogPlace()
    place.limits = limits(max_size="1k")
    place.note("stderr", b"begin\n")
    place.note("stdout", b"".join(LINES[:200]))
    scans = place.scans()
    scans["stdout"].feed(b"".join(LINES[100:]))
    scans["stderr"].feed(b"end\n")
    assert place.move(scans, cast("Output", Written())) is False
    resumptions = place.resumptions(checked=True)
    assert resumptions["stderr"].skip(b"end\n") == b"end\n"
    assert resumptions["stdout"].skip(b"".join(LINES[100:])) == b"".join(LINES[200:])


def test_nothing_was_delivered() -> None:
    """Of a log that is not surely whole, lines may be lost; an engine that says nothing of limits is believed."""
    log = b"".join(LINES)
    assert resumed(b"", log) == (log, True)
    assert resumed(b"", log, rotates=limits(max_size="10m", max_file="2")) == (log, False)
    assert resumed(b"", log, rotates=limits("journald")) == (log, False)


def test_a_log_that_moves_on() -> None:
    """That the log was rotated after it was looked through is seen before anything of it comes."""
    place = LogPlace()
    place.note("stdout", b"".join(LINES[:200]))
    resumption = place.resumptions(checked=True)["stdout"]
    with pytest.raises(LogMovedError):
        resumption.skip(b"".join(LINES[20:]))


def test_what_is_skipped_in_pieces() -> None:
    """What is left out is compared whatever pieces it comes in."""
    place = LogPlace()
    place.note("stdout", b"".join(LINES[:200]))
    resumption = place.resumptions(checked=True)["stdout"]
    assert b"".join(resumption.skip(line[:1]) + resumption.skip(line[1:]) for line in LINES) == b"".join(LINES[200:])
    assert resumption.is_done


@pytest.mark.parametrize(
    ("driver", "options", "rotates", "room"),
    [
        ("json-file", {}, False, 0),
        ("json-file", {"max-size": "10m"}, True, 0),
        ("json-file", {"max-size": "10m", "max-file": "3"}, True, 20_000_000),
        ("json-file", {"max-size": "20KiB", "max-file": "2"}, True, 20_000),
        ("json-file", {"max-size": "10m", "max-file": "3", "labels": "a"}, True, 0),
        ("json-file", {"mode": "non-blocking"}, True, 0),
        ("local", {}, True, 80_000_000),
        ("local", {"max-file": "2"}, True, 20_000_000),
        ("journald", {}, True, None),
        ("json-file", None, True, None),  # Podman
    ],
)
def test_limits(driver: str, options: Any, *, rotates: bool, room: int | None) -> None:
    """How much a log holds at least once it has lost its beginning."""
    read = LogLimits({"HostConfig": {"LogConfig": {"Type": driver, "Config": options}}})
    assert (read.rotates, read.room) == (rotates, room)
