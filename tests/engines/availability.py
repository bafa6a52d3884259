"""What a test does about an engine that is not up."""

import os

import pytest

from tests.engines.catalogue import ENGINES
from tests.engines.engine import Engine


def require(name: str) -> Engine:
    """Return an engine that is up. Never starts one: that takes minutes, and belongs to a session, not to a test.

    Where CI is true a missing engine fails the test, elsewhere it skips it; both say how to get the engine.
    """
    engine = ENGINES[name]
    if not engine.is_up():
        text = f"{name} is not up; to get it: {engine.how_to_get_it}"
        if os.environ.get("CI") == "true":
            pytest.fail(text, pytrace=False)
        pytest.skip(text)
    return engine
