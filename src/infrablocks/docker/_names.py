"""A name for a container that nobody has yet: the wished one, or that with a number."""

from __future__ import annotations

import random
import re
import threading
import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from infrablocks.docker._errors import CONFLICT, EngineRefusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infrablocks.docker._client import Engine

ATTEMPTS = 3
"""How often a run tries to make its container: with the wished name, with the next free one, with a random one."""

_LONGEST_NAME = 250
_LONGEST_ENDING = len("-1000000")

# An engine's list of containers takes less.
_REMEMBERED_SECONDS = 120.0

_TAKEN_WORDS = ("already in use", "is in use")


def name_is_taken(error: EngineRefusal) -> bool:
    """Say whether the engine refused a container for its name: Docker with 409, Podman with 500 and these words."""
    return error.status == CONFLICT or any(words in error.answer for words in _TAKEN_WORDS)


class Names:
    """Chooses names, so that runs of this process that begin at the same time do not try the same one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reserved: set[str] = set()
        self._given_back: dict[str, float] = {}

    @contextmanager
    def reserved(self, engine: Engine, wished: str, attempt: int) -> Iterator[str]:
        """Choose a name and keep it from others until the container is made.

        Args:
            engine: Where the container is to be.
            wished: What it should be called.
            attempt: How many names the engine has refused already; 0: it is not asked.
        """
        asked_at = time.monotonic()
        taken = _taken(engine, wished) if attempt else set()
        with self._lock:
            # A container that was made since the engine was asked is not in its answer.
            taken |= {name for name, given_back_at in self._given_back.items() if attempt and given_back_at > asked_at}
            name = self._choose(wished, taken, spread=attempt >= ATTEMPTS - 1)
            self._reserved.add(name)
        try:
            yield name
        finally:
            with self._lock:
                self._reserved.discard(name)
                self._give_back(name)

    def _give_back(self, name: str) -> None:
        now = time.monotonic()
        self._given_back = {each: at for each, at in self._given_back.items() if now - at < _REMEMBERED_SECONDS}
        self._given_back[name] = now

    def _choose(self, wished: str, taken: set[str], *, spread: bool) -> str:
        if not taken and wished not in self._reserved:
            return wished
        # Other processes want the next name as well: the last attempt must not meet them again.
        first = random.randrange(1000, 1_000_000) if spread else 1  # noqa: S311
        candidates = (_with_number(wished, number) for number in count(first))
        return next(name for name in candidates if name not in taken and name not in self._reserved)


def _with_number(wished: str, number: int) -> str:
    """Add a number to a name, of which a part goes where the whole would be too long."""
    ending = f"-{number}"
    return f"{wished[: _LONGEST_NAME - len(ending)]}{ending}"


def _taken(engine: Engine, wished: str) -> set[str]:
    pattern = f"^/?{re.escape(wished)}(-[0-9]+)?$"
    if len(wished) > (uncut := _LONGEST_NAME - _LONGEST_ENDING):
        pattern = f"^/?{re.escape(wished[:uncut])}"  # how much of it is left depends on the number
    containers = engine.containers({"name": pattern}, also_ended=True)
    # A container without names is on its way out.
    return {wished, *(name.lstrip("/") for container in containers for name in container.get("Names") or [])}


NAMES = Names()
