"""Pieces of a log that are joined before they cross from a worker thread to the event loop."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks._output.batches import in_batches
from infrablocks._threads import ThreadsafeEvent, run_in_worker_thread
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

_KIBIBYTE = 1024


def test_small_chunks_are_joined() -> None:
    """A hundred thousand lines that come one by one are a few batches, and nothing is lost between them."""
    lines = [f"{number}\n".encode() for number in range(100_000)]
    batches = list(in_batches(lines))
    assert b"".join(batches) == b"".join(lines)
    assert len(batches) < 12
    assert all(len(batch) >= 64 * _KIBIBYTE for batch in batches[:-1])


def test_nothing_is_no_batch() -> None:
    """The end is told by an empty answer, which no batch may be."""
    assert list(in_batches([])) == []


def test_error_comes_after_what_came_before_it() -> None:
    """The part of a log that came before its engine was lost is shown."""

    def broken() -> Iterator[bytes]:
        yield b"one\n"
        yield b"two\n"
        raise ConnectionError("cut")

    batches = in_batches(broken())
    assert next(batches) == b"one\ntwo\n"
    with pytest.raises(ConnectionError, match="cut"):
        next(batches)


@pytest.mark.anyio
async def test_cancelled_call_ends_its_batch() -> None:
    """An engine that sends a little now and then, without an end, does not hold up a cancellation."""
    begun = ThreadsafeEvent()

    def slow() -> Iterator[bytes]:
        for _ in repeat(None):
            begun.set()
            yield b""

    with anyio.fail_after(WAIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_in_worker_thread, lambda: next(in_batches(slow())))
            await begun.wait()
            tasks.cancel_scope.cancel()
