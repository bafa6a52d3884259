"""Joining what comes in small pieces: an engine may send every line of a log by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infrablocks._threads import cancellation_requested

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BATCH_BYTES = 64 * 1024


def in_batches(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Join chunks to some 64 KiB, for those who fetch each by a call in a worker thread, which takes longer than most.

    Only for what is there already: a batch comes when it is full. What came before an error is given before it is
    raised. When the call is cancelled, the batch ends with the next chunk.
    """
    gathered: list[bytes] = []
    size = 0
    try:
        for chunk in chunks:
            gathered.append(chunk)
            size += len(chunk)
            if size >= _BATCH_BYTES or cancellation_requested():
                yield b"".join(gathered)
                gathered, size = [], 0
    except Exception:
        if gathered:
            yield b"".join(gathered)
        raise
    if gathered:
        yield b"".join(gathered)
