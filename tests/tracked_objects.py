"""How many objects something holds for the garbage collector."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def count_of_new_objects() -> Iterator[Callable[[], int]]:
    """Give a function that counts the objects which are tracked and were not on entry.

    What was there is frozen, so that nothing changes where what earlier tests left is freed meanwhile.
    """
    gc.collect()
    gc.freeze()
    try:
        yield _count_of_living
    finally:
        gc.unfreeze()


def _count_of_living() -> int:
    gc.collect()
    return len(gc.get_objects())
