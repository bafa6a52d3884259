"""What a test does about an engine that is not up."""

import contextlib
import os
from collections.abc import Collection, Iterator

from tests.engines.catalogue import ENGINES
from tests.engines.engine import Engine

# Those that the test which runs now may use; None: all.
_allowed: Collection[str] | None = None


@contextlib.contextmanager
def only(names: Collection[str]) -> Iterator[None]:
    """Let tests ask for these engines only, while the body runs: other processes may use the others.

    Args:
        names: Names of engines.
    """
    global _allowed  # noqa: PLW0603 (a process runs one test at a time)
    before, _allowed = _allowed, names
    try:
        yield
    finally:
        _allowed = before


def require(name: str) -> Engine:
    """Return an engine that is up. Never starts one: that takes minutes, and belongs to a session, not to a test.

    Where CI is true a missing engine fails the test, elsewhere it skips it; both say how to get the engine. An engine
    that the test has not declared fails it everywhere, see `tests/integration/engine_groups.py`.
    """
    import pytest  # noqa: PLC0415 (getting and stopping engines needs the standard library alone)

    if _allowed is not None and name not in _allowed:
        pytest.fail(f'this test uses {name}: say so with @pytest.mark.engines("{name}")', pytrace=False)
    engine = ENGINES[name]
    if not engine.is_up():
        text = f"{name} is not up; to get it: {engine.how_to_get_it}"
        if os.environ.get("CI") == "true":
            pytest.fail(text, pytrace=False)
        pytest.skip(text)
    return engine
