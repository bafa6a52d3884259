"""Names of containers that are taken: the next number is added, within what a name may have."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, strategies as st

from infrablocks.docker import DockerContainer
from infrablocks.docker._names import ATTEMPTS, Names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infrablocks.docker._client import Engine


class _EngineWith:
    """An engine that has containers of these names, and lists them as a real one does."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def containers(self, filters: Mapping[str, str], *, also_ended: bool) -> list[dict[str, Any]]:
        """Give those whose names match, which have a slash."""
        assert also_ended
        return [{"Names": [f"/{name}"]} for name in self._names if re.search(filters["name"], f"/{name}")]


def engine(*names: str) -> Engine:
    return cast("Engine", _EngineWith(*names))


def wished(name: str) -> str:
    return str(DockerContainer(name=name)._build().create["name"])


def test_two_runs_of_a_long_name() -> None:
    """Of two runs that begin at the same time each has a name of its own, of at most 250 characters."""
    name, names = wished("x" * 300), Names()
    with names.reserved(engine(), name, 0) as first, names.reserved(engine(), name, 0) as second:
        assert (first, second) == ("x" * 250, "x" * 248 + "-1")


@pytest.mark.parametrize("length", [5, 243, 248, 249, 250])
def test_names_that_the_engine_has(length: int) -> None:
    """The next number is taken, also where the names before were cut."""
    name = "x" * length
    there = [name, *(f"{name[: 250 - len(ending)]}{ending}" for ending in (f"-{number}" for number in range(1, 11)))]
    with Names().reserved(engine(*there), name, 1) as chosen:
        assert chosen == f"{name[:247]}-11"


@given(st.text(min_size=1, max_size=260), st.integers(0, ATTEMPTS - 1), st.integers(1, 12))
def test_every_name_fits(text: str, attempt: int, runs: int) -> None:
    """Whatever the text and however many runs there are, Docker takes the names, and they differ."""
    name = DockerContainer(name=text)._build().create["name"]
    if name is None:
        return
    names = Names()
    with ExitStack() as stack:
        chosen = [stack.enter_context(names.reserved(engine(name), name, attempt)) for _ in range(runs)]
    assert all(re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", each) and len(each) <= 250 for each in chosen)
    assert len(set(chosen)) == runs
