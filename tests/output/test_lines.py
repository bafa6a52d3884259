"""Bytes become lines, and how they were cut into chunks makes no difference."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from infrablocks._output import lines as lines_module
from infrablocks._output.lines import MAX_LINE_BYTES, LineAssembler, split_lines


def assembled(chunks: list[bytes]) -> list[bytes]:
    """Give what an assembler makes of chunks, whole lines and pieces, each call's part by itself."""
    assembler = LineAssembler()
    parts = [assembler.feed(chunk) for chunk in chunks]
    return [*parts, assembler.finish()]


def lines_of(chunks: list[bytes]) -> list[bytes]:
    """Give the lines as a sink gets them: what each call gave is split by itself."""
    return [line for part in assembled(chunks) for line in split_lines(part)]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [b"\n"]),
        (b"\n\n\n", [b"\n", b"\n", b"\n"]),
        (b"a", [b"a"]),
        (b"a\n", [b"a\n"]),
        (b"  a \t\n \n", [b"  a \t\n", b" \n"]),
        (b"a\r\nb\rc\n", [b"a\r\n", b"b\rc\n"]),
        (b"\0\x0b\x0c\x1c\n\0", [b"\0\x0b\x0c\x1c\n", b"\0"]),
        ("\u2028\x85é\n".encode(), ["\u2028\x85é\n".encode()]),
        (b"\xff\xfe\n\xc3", [b"\xff\xfe\n", b"\xc3"]),
    ],
)
def test_only_a_newline_ends_a_line(data: bytes, lines: list[bytes]) -> None:
    """Blanks, empty lines, other line ends, NUL and a last line without newline come out as they went in."""
    assert lines_of([data]) == lines
    assert lines_of([data[at : at + 1] for at in range(len(data))]) == lines


def test_one_byte_at_a_time_gives_the_lines_of_the_whole() -> None:
    """Lines longer than the limit too are cut in the same places when every byte comes alone."""
    data = "é☃𝄞x".encode() * 20_000 + b"\n\nlast"
    assert lines_of([data[at : at + 1] for at in range(len(data))]) == list(split_lines(data))


def test_nothing_is_held_back_but_an_unfinished_line() -> None:
    """Whole lines are given at once, the rest when it is complete."""
    assembler = LineAssembler()
    assert [assembler.feed(b"a\nb"), assembler.feed(b""), assembler.feed(b"c\nd\ne")] == [b"a\n", b"", b"bc\nd\n"]
    assert [assembler.finish(), assembler.finish()] == [b"e", b""]


@pytest.mark.parametrize("character", ["a", "é", "☃", "𝄞"])
@pytest.mark.parametrize("shift", range(4))
def test_a_long_line_comes_in_pieces_that_cut_no_character(character: str, shift: int) -> None:
    """Pieces are as long as the limit allows, whole characters, and together the line."""
    data = b"x" * shift + character.encode() * (3 * MAX_LINE_BYTES // len(character.encode())) + b"\n"
    pieces = lines_of([data])
    assert b"".join(pieces) == data
    assert "".join(piece.decode() for piece in pieces) == data.decode()
    assert all(MAX_LINE_BYTES - 3 <= len(piece) <= MAX_LINE_BYTES for piece in pieces[:-1])
    assert len(pieces[-1].rstrip(b"\n")) <= MAX_LINE_BYTES


@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_the_limit_is_for_the_line_without_its_end(extra: int, end: bytes) -> None:
    """A line of just the limit is one piece, with or without its newline; one byte more makes two."""
    line = b"x" * (MAX_LINE_BYTES + extra)
    pieces = [line + end] if extra <= 0 else [line[:-1], line[-1:] + end]
    assert lines_of([line, end]) == lines_of([line + end]) == lines_of([line[:1], line[1:] + end]) == pieces


def test_bytes_that_are_no_utf8_are_cut_at_the_limit() -> None:
    """Where no character begins within four bytes of the limit the piece is as long as the limit."""
    data = b"\x80" * (2 * MAX_LINE_BYTES + 5)
    assert [len(piece) for piece in lines_of([data])] == [MAX_LINE_BYTES, MAX_LINE_BYTES, 5]


@settings(deadline=None, max_examples=150)
@given(
    pieces=st.lists(st.sampled_from(["a", "é", "☃", "𝄞", "\n", "\r", "\0", "abcdefg"]), max_size=60),
    noise=st.binary(max_size=30),
    cuts=st.lists(st.integers(0, 300), max_size=12),
    limit=st.integers(4, 12),
)
def test_chunks_make_no_difference(pieces: list[str], noise: bytes, cuts: list[int], limit: int) -> None:
    """For any bytes, any chunks and any limit: the same lines as of the whole, and not a byte more or less."""
    data = "".join(pieces).encode() + noise + "".join(pieces).encode()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[start:end] for start, end in pairwise(edges)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "MAX_LINE_BYTES", limit)
        whole = list(split_lines(data))
        assert lines_of(chunks) == whole
        assert b"".join(assembled(chunks)) == b"".join(whole) == data
        assert all(len(line.removesuffix(b"\n")) <= limit for line in whole)


def test_a_hundred_megabytes_without_newline_need_little_memory() -> None:
    """However long the line, no more than some chunks of it are in memory at once."""
    chunk = b"\xe2\x98\x83" * 100_000
    assembler, given_out = LineAssembler(), 0
    tracemalloc.start()
    try:
        for _ in range(340):
            given_out += len(assembler.feed(chunk))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert given_out + len(assembler.finish()) == 340 * len(chunk) > 100_000_000
    assert peak < 8 * len(chunk)
