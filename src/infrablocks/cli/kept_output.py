"""What a container has printed so far, as its engine has kept it."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from infrablocks import InfrastructureError
from infrablocks.docker._calls import inspect_container
from infrablocks.docker._client import borrowed_engine
from infrablocks.docker._errors import translated
from infrablocks.docker._streams import Frames
from infrablocks.docker._watch import find_container

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import Response

    from infrablocks._output import StreamName
    from infrablocks.docker._client import Engine

_SILENCE_SECONDS = 60.0


def print_container_log(identifier: str) -> None:
    """Copy the log of a container to stdout and stderr, byte for byte.

    Args:
        identifier: Its id, the beginning of that, or its name.

    Raises:
        InfrastructureNotFound: The engine does not have it.
        InfrastructureNotAvailable: The engine is out of reach.
        InfrastructureError: The engine does not keep its log, or broke off.
        OSError: stdout or stderr cannot be written to.
    """
    for stream, data in _log(identifier):
        file = sys.stdout if stream == "stdout" else sys.stderr
        if file is not None:
            _write(file.fileno(), data)


def _log(identifier: str) -> Iterator[tuple[StreamName, bytes]]:
    with borrowed_engine() as engine:
        with closing(find_container(identifier)) as container:
            container_id = container.identifier
        state = inspect_container(engine, container_id)
        frames = Frames(tty=state is not None and state.tty)
        path, parameters = f"/containers/{container_id}/logs", {"stdout": 1, "stderr": 1}
        with closing(engine.open_stream("GET", path, parameters, read_seconds=_SILENCE_SECONDS)) as response:
            for chunk in _chunks(engine, response):
                yield from frames.feed(memoryview(chunk))
    if frames.is_broken_off:
        raise InfrastructureError(f"The log of container {identifier!r} ends in the middle: the engine broke it off.")


def _chunks(engine: Engine, response: Response) -> Iterator[bytes]:
    """Give an answer as it comes. Only the errors of the reading are the engine's, not those of who takes it."""
    chunks = response.iter_content(chunk_size=None)
    while True:
        try:
            chunk = next(chunks, None)
        except Exception as error:
            raise translated(error, engine.address) from error
        if chunk is None:
            return
        yield chunk


def _write(descriptor: int, data: bytes) -> None:
    """Write past Python's own buffer, whose rest would be waited for at the end when nobody reads it any more."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
