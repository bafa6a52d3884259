"""Which store is in use: `INFRABLOCKS_STORE` says it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from infrablocks.exceptions import BlockStoreError

if TYPE_CHECKING:
    from infrablocks.blocks.stores.store import Store


def current_store() -> Store:
    """Give the store that the variable `INFRABLOCKS_STORE` names: "sqlite", the default, or "prefect".

    Raises:
        BlockStoreError: The variable names another one.
    """
    match os.environ.get("INFRABLOCKS_STORE") or "sqlite":
        case "sqlite":
            from infrablocks.blocks.stores.sqlite import SqliteStore  # noqa: PLC0415 - sqlite3 costs import time

            return SqliteStore()
        case "prefect":
            from infrablocks.blocks.stores.prefect_api import PrefectApiStore  # noqa: PLC0415 - an extra

            return PrefectApiStore()
        case other:
            raise BlockStoreError(f"INFRABLOCKS_STORE is {other!r}; it can be sqlite (the default) or prefect")
