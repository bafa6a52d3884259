"""Every test has a store of its own: `INFRABLOCKS_HOME` is, as for all tests, a new folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infrablocks.blocks.stores import sqlite_file

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("INFRABLOCKS_STORE", "INFRABLOCKS_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    yield
    sqlite_file.close()
