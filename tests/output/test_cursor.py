"""Cursors: what they count, that they can be read again, and that output goes on exactly where one was taken."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from infrablocks import InvalidSettings, Output, OutputCursor, OutputPosition, Process
from infrablocks._output import StreamPosition
from infrablocks._output.position import Skipper
from tests.processes import Lines

if TYPE_CHECKING:
    from pathlib import Path

    from infrablocks._output import StreamName

pytestmark = pytest.mark.anyio


def cursor_json(stdout: int, stderr: int = 0, **more: Any) -> str:
    """Write a cursor as users see it."""
    return json.dumps({"version": 1, "lines": {"stdout": stdout, "stderr": stderr}, **more}, separators=(",", ":"))


async def deliver(output: Output, *chunks: tuple[StreamName, bytes]) -> None:
    """Hand chunks over and end the output."""
    for stream, data in chunks:
        await output.write(stream, data)
    await output.finish()
    output.close()


async def test_a_cursor_counts_the_line_that_is_being_delivered() -> None:
    """Asked inside the sink, the cursor counts the lines of both streams, this one included; before the run none."""
    cursor = OutputCursor()
    seen: list[tuple[str, str]] = []
    output = Output(lambda _stream, line: seen.append((line, str(cursor))), cursor=cursor)
    assert str(cursor) == cursor_json(0)
    await deliver(output, ("stdout", b"a\nb\n"), ("stderr", b"c\n"), ("stdout", b"d"))
    assert seen == [
        ("a\n", cursor_json(1)),
        ("b\n", cursor_json(2)),
        ("c\n", cursor_json(2, 1)),
        ("d", cursor_json(2, 1, bytes_of_line={"stdout": 1})),
    ]


async def test_a_line_that_the_sink_refuses_is_not_counted() -> None:
    """A sink that raises has not got the line."""
    cursor = OutputCursor()

    def sink(_stream: str, line: str) -> None:
        if line == "b\n":
            raise RuntimeError("full")

    await deliver(Output(sink, cursor=cursor), ("stdout", b"a\nb\nc\n"))
    assert cursor.json() == cursor_json(1)


async def test_what_goes_to_stdout_is_counted(capfd: pytest.CaptureFixture[str]) -> None:
    """Without a sink the cursor counts what was written to `sys.stdout` and `sys.stderr`."""
    cursor = OutputCursor()
    await deliver(Output(cursor=cursor), ("stdout", b"a\nb\n"), ("stderr", b"c\n"))
    assert (str(cursor), capfd.readouterr()) == (cursor_json(2, 1), ("a\nb\n", "c\n"))


async def test_a_cursor_that_is_given_to_a_second_run_starts_anew() -> None:
    """What an earlier run still delivers is not counted by then."""
    cursor = OutputCursor()
    first = Output(Lines(), cursor=cursor)
    await first.write("stdout", b"a\n")
    second = Output(Lines(), cursor=cursor)
    await first.write("stdout", b"b\n")
    await deliver(second, ("stderr", b"c\n"))
    await deliver(first)
    assert str(cursor) == cursor_json(0, 1)


async def resume_everywhere(log: list[tuple[StreamName, bytes]]) -> None:
    """Deliver a log, take the cursor at each line, go on from each of these cursors, and compare with the whole."""
    whole = Lines()
    taken = [cursor_json(0)]
    cursor = OutputCursor()

    def sink(stream: str, line: str) -> None:
        whole(stream, line)
        taken.append(str(cursor))

    await deliver(Output(sink, cursor=cursor), *log)
    for index, after in enumerate(taken):
        rest, counted_on = Lines(), OutputCursor()
        await deliver(Output(rest, cursor=counted_on, after=OutputPosition.parse(after)), *log)
        for stream in ("stdout", "stderr"):
            assert Lines(whole[:index]).text(stream) + rest.text(stream) == whole.text(stream)
        assert str(counted_on) == str(cursor)


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
async def test_output_goes_on_after_any_line(size: int) -> None:
    """From the cursor of each line on, each line comes once, with the end cursor of a run that was not interrupted."""
    text = b"one\n\n\xc3\xa9\xff\xfe\nlong " + b"x" * 200 + b"\nlast"
    log: list[tuple[StreamName, bytes]] = []
    for start in range(0, len(text), size):
        log += [("stdout", text[start : start + size]), ("stderr", text[start : start + size])]
    await resume_everywhere(log)


async def test_a_line_in_pieces_is_resumed_between_its_pieces() -> None:
    """A line over 64 KiB that was delivered in part is neither lost nor doubled, and is cut in the same places."""
    await resume_everywhere([("stdout", b"a\n" + "é€".encode() * 60_000), ("stdout", b"end\nb\n")])


@given(st.binary(max_size=100).map(lambda data: data.replace(b"\x01", b"\n")), st.data())
def test_any_part_of_a_stream_can_be_left_out(log: bytes, data: st.DataObject) -> None:
    """What begins at one place and is wanted from another is exactly the rest, whatever pieces it comes in."""
    begin = data.draw(st.integers(0, len(log)))
    end = data.draw(st.integers(begin, len(log)))
    size = data.draw(st.integers(1, 10))
    start = StreamPosition()
    skipper = Skipper(start.after(log[:begin]), start.after(log[:begin]).after(log[begin:end]))
    rest = b"".join(skipper.skip(log[at : at + size]) for at in range(begin, len(log), size))
    assert (rest, skipper.is_done) == (log[end:], True)


async def test_sources_in_turn() -> None:
    """The cursor counts each source by itself, and what a source has not ended with a newline is passed on before."""
    cursor = OutputCursor()
    seen: list[tuple[str, str]] = []
    output = Output(lambda _stream, line: seen.append((line, str(cursor))), cursor=cursor)
    await output.begin_source("pod-a")
    await output.write("stdout", b"one\ntwo")
    await output.begin_source("pod-b")
    await output.begin_source("pod-b")
    await deliver(output, ("stdout", b"three\n"))
    assert seen == [
        ("one\n", cursor_json(1, source="pod-a")),
        ("two", cursor_json(1, bytes_of_line={"stdout": 3}, source="pod-a")),
        ("three\n", cursor_json(1, source="pod-b")),
    ]


@pytest.mark.parametrize("from_thread", [True, False])
async def test_going_on_within_a_source(from_thread: bool) -> None:
    """What the cursor counted of its source is left out, there only and once, from a thread as from the loop."""
    lines, cursor = Lines(), OutputCursor()
    after = OutputPosition.parse(cursor_json(2, source="pod-b"))
    output = Output(lines, cursor=cursor, after=after)

    def in_thread() -> None:
        for source in ("pod-b", "pod-b", "pod-c"):
            output.begin_source_from_thread(source)
            output.write_from_thread("stdout", source.encode() + b" 1\n2\n3\n")

    if from_thread:
        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()
    else:
        for source in ("pod-b", "pod-b", "pod-c"):
            await output.begin_source(source)
            await output.write("stdout", source.encode() + b" 1\n2\n3\n")
    await deliver(output)
    assert lines.text() == "3\npod-b 1\n2\n3\npod-c 1\n2\n3\n"
    assert str(cursor) == cursor_json(3, source="pod-c")


@pytest.mark.parametrize(
    ("delivered", "expected", "counted"),
    [
        (0, "(gone)\n5\n6\n", 6),
        (3, "(gone)\n5\n6\n", 6),
        (4, "5\n6\n", 6),
        (5, "6\n", 6),
        (6, "", 6),
        (9, "", 9),
    ],
)
async def test_a_beginning_that_is_gone(delivered: int, expected: str, counted: int) -> None:
    """Where lines 1 to 4 are gone, a notice stands for what was not delivered, and counting goes on after them."""
    lines, cursor = Lines(), OutputCursor()
    output = Output(lines, cursor=cursor, after=OutputPosition.parse(cursor_json(delivered)))
    await output.begin_at("stdout", StreamPosition(4), "(gone)\n")
    await deliver(output, ("stdout", b"5\n6\n"))
    assert (lines.text(), str(cursor)) == (expected, cursor_json(counted))


async def test_a_middle_that_is_gone() -> None:
    """A line whose end is gone is left out too: it would look like another line."""
    lines, cursor = Lines(), OutputCursor()
    output = Output(lines, cursor=cursor)
    await output.write("stdout", b"1\n2 is beg")
    await output.begin_at("stdout", StreamPosition(7), "(gone)\n")
    await deliver(output, ("stdout", b"8\n"))
    assert (lines.text(), str(cursor)) == ("1\n(gone)\n8\n", cursor_json(8))


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        ("", "it is not JSON"),
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it is not a JSON object"),
        ("{}", "its version is None"),
        ('{"version":2,"lines":{}}', "its version is 2"),
        ('{"version":1}', "its 'lines' are not those of stdout and stderr"),
        ('{"version":1,"lines":{"stdin":1}}', "its 'lines' are not those of stdout and stderr"),
        ('{"version":1,"lines":{"stdout":-1}}', "its 'lines' are not whole numbers from 0 on"),
        ('{"version":1,"lines":{"stdout":true}}', "its 'lines' are not whole numbers from 0 on"),
        ('{"version":1,"lines":{"stdout":1.5}}', "its 'lines' are not whole numbers from 0 on"),
        ('{"version":1,"lines":{},"bytes_of_line":[]}', "its 'bytes_of_line' are not those of stdout and stderr"),
        ('{"version":1,"lines":{},"source":7}', "its source is no text"),
        ('{"version":1,"lines":{},"more":7}', "it has unknown parts: more"),
    ],
)
async def test_what_is_no_cursor(after: str, problem: str) -> None:
    """Something else in place of a cursor is refused before anything is looked for, and the message says what it is."""
    with pytest.raises(InvalidSettings) as caught:
        await Process().attach("1", after=after)
    assert f"is not a cursor of infrablocks: {problem}" in str(caught.value)
    assert len(str(caught.value)) < 300


@given(
    st.builds(
        OutputPosition,
        stdout=st.builds(StreamPosition, st.integers(0, 2**70), st.integers(0, 2**70)),
        stderr=st.builds(StreamPosition, st.integers(0, 2**70), st.integers(0, 2**70)),
        source=st.none() | st.text(),
    )
)
def test_cursors_round_trip(position: OutputPosition) -> None:
    """What is written as JSON is read as the same."""
    assert OutputPosition.parse(position.json()) == position


async def test_a_run_counts(tmp_path: Path) -> None:
    """A run of a block fills the cursor it is given."""
    cursor, lines = OutputCursor(), Lines()
    block = Process(command=["sh", "-c", "echo a; echo b >&2; echo c"], working_dir=tmp_path)
    assert await block.run(output=lines, cursor=cursor)
    assert cursor.json() == cursor_json(2, 1)
