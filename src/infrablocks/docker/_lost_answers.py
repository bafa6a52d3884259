"""What an engine has done whose answer was lost: it is looked at, so that nothing is done twice."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from infrablocks._exception_chain import exception_chain
from infrablocks._pauses import Pauses
from infrablocks.docker._errors import INTERNAL_ERROR, EngineRefusal
from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LOOK_SECONDS = 30.0
"""How long a container is looked for whose making the engine has not confirmed, and its start is repeated."""


def nothing_was_sent(error: InfrastructureNotAvailable) -> bool:
    """Say whether there was no connection to send a request over: nobody listens, or the socket is not there."""
    return any(isinstance(each, ConnectionRefusedError | FileNotFoundError) for each in exception_chain(error))


def until_known(look: Callable[[], T | None], error: InfrastructureNotAvailable) -> T:
    """Ask an engine whose answer was lost until it tells.

    Raises:
        InfrastructureNotAvailable: It does not tell in time; this is the error that was given.
    """
    pauses, deadline = Pauses(), time.monotonic() + LOOK_SECONDS
    while time.monotonic() < deadline:
        try:
            if (found := look()) is not None:
                return found
        except InfrastructureNotAvailable:
            pass
        time.sleep(pauses.next())
    raise error


def after_internal_error(look: Callable[[], T | None], error: EngineRefusal) -> T | None:
    """Look at what an engine has done that answered 500, as something between it and us may answer in its place."""
    if error.status != INTERNAL_ERROR:
        return None
    with suppress(InfrastructureError):
        return look()
    return None
