"""The log of a container that is cut and read once more, as a node would answer it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies

from infrablocks.kubernetes._log_position import LogPosition

SECOND = "2026-11-24T08:00:{:02}.{:09}Z"


def log(*lines: tuple[float, str]) -> list[tuple[str, bytes]]:
    """Give lines of a log with their times; the last one may have no end."""
    return [(SECOND.format(int(at), round(at % 1 * 1e9)), text.encode()) for at, text in lines]


def answer(lines: list[tuple[str, bytes]], since: str | None) -> bytes:
    """Give what a node answers: whole seconds are all that it gets to know."""
    return b"".join(time.encode() + b" " + text for time, text in lines if since is None or time >= since[:19])


def read(position: LogPosition, lines: list[tuple[str, bytes]], cut: int | None = None, step: int = 7) -> bytes:
    """Read a log in small pieces, up to a number of bytes of the answer."""
    since = position.since
    position.begin()
    data = answer(lines, since)
    data = data if cut is None else data[:cut]
    return b"".join(position.feed(data[start : start + step]) for start in range(0, len(data), step))


def test_without_times() -> None:
    """What the container printed comes out byte by byte, without the times in front of its lines."""
    lines = log((1, "a\n"), (1.5, "\n"), (2, "  b c \n"), (3, "end"))
    position = LogPosition()
    assert (read(position, lines), position.has_gap, position.since) == (
        b"a\n\n  b c \nend",
        False,
        "2026-11-24T08:00:03Z",
    )


@given(
    cuts=strategies.lists(strategies.integers(0, 4000), max_size=5),
    seed=strategies.integers(0, 1000),
    step=strategies.integers(1, 100),
)
def test_any_cuts(cuts: list[int], seed: int, step: int) -> None:
    """Wherever a log is cut, however often, each byte comes once and in order."""
    source = random.Random(seed)
    at, lines = 1.0, []
    for number in range(60):
        at += source.choice([0.0, 0.001, 0.3])
        lines.append((at, f"line {number} {'x' * source.randrange(30)}\n"))
    whole = log(*lines, (at, "the rest"))
    position = LogPosition()
    got = b"".join(read(position, whole, cut, step) for cut in cuts)
    got += read(position, whole, step=step)
    assert (got, position.has_gap) == (b"".join(text for _, text in whole), False)


def test_grows_between_cuts() -> None:
    """Lines that were printed while nobody read come as well, those of the same second too."""
    lines = log(*((1 + number / 4, f"{number}\n") for number in range(10)))
    position = LogPosition()
    got = read(position, lines[:3]) + read(position, lines[:6]) + read(position, lines)
    assert got == b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"


def test_times_out_of_order() -> None:
    """Lines of two streams whose times stand in another order than the lines are neither lost nor repeated."""
    lines = log((1.1, "a\n"), (1.3, "b\n"), (1.2, "c\n"), (1.25, "d\n"))
    position = LogPosition()
    assert [read(position, lines[:2]), read(position, lines)] == [b"a\nb\n", b"c\nd\n"]


def test_end_of_long_line_before() -> None:
    """The end of a line that began in an earlier second, which the node gives as a line, is left out."""
    position = LogPosition()
    first = read(position, log((1.9, "long " + "x" * 50 + "\n"), (2.1, "next\n")))
    second = read(position, log((2.05, "x" * 20 + "\n"), (2.1, "next\n"), (2.2, "last\n")))
    assert (first[-5:], second, position.has_gap) == (b"next\n", b"last\n", False)


def test_rotated() -> None:
    """A log that does not have the lines which were delivered last has a gap, and goes on with what it has."""
    position = LogPosition()
    got = read(position, log((1, "a\n"), (2, "b")))
    got += read(position, log((7, "y\n"), (8, "z\n")))
    assert (got, position.has_gap) == (b"a\nb\ny\nz\n", True)


def test_rotated_in_a_line() -> None:
    """The rest of a line that stands in the next file, as a line of its own, is put behind its beginning."""
    position = LogPosition()
    got = read(position, log((1, "a\n"), (2.9999999, "b…")))
    got += read(position, log((3.0000001, "c\n"), (3.0000002, "d\n")))
    got += read(position, log((3.0000001, "c\n"), (3.0000002, "d\n"), (3.1, "e\n")))
    assert (got.decode(), position.has_gap) == ("a\nb…c\nd\ne\n", True)


def test_rotated_in_what_is_known() -> None:
    """A log that begins in the middle of what was delivered has no gap."""
    position = LogPosition()
    got = read(position, log((1.1, "a\n"), (1.2, "b\n"), (1.3, "c\n")))
    got += read(position, log((1.2, "b\n"), (1.3, "c\n"), (1.4, "d\n")))
    assert (got, position.has_gap) == (b"a\nb\nc\nd\n", False)


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_complaint_of_node(step: int) -> None:
    """What the node writes into the answer on its own behalf is told apart from what the container printed."""
    words = b"unable to retrieve container logs for containerd://ba3a4f9bd2c6f0\n"
    position = LogPosition()
    data = answer(log((1, "a\n")), None) + words
    position.begin()
    got = b"".join(position.feed(data[start : start + step]) for start in range(0, len(data), step))
    assert (got, position.complaints) == (b"a\n", [words.decode().strip()])
