"""SQLite's errors, in words that say what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from infrablocks.exceptions import BlockStoreError

_PRIMARY_CODE = 0xFF


def primary_code(error: sqlite3.Error) -> int:
    """Give SQLite's code of an error, without its details."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE


def in_words(error: sqlite3.Error, path: str, consequence: str) -> BlockStoreError:
    """Translate an error.

    Args:
        error: What SQLite says.
        path: The file.
        consequence: What it means for the caller, such as "nothing was saved".
    """
    match primary_code(error):
        case sqlite3.SQLITE_NOTADB:
            return not_ours(path)
        case sqlite3.SQLITE_FULL:
            problem = f"the disk of {Path(path).parent} is full: free some space"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            problem = f"{path} or its folder is read-only or belongs to somebody else: change that"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            problem = f"another process has {path} locked for too long: end it"
        case sqlite3.SQLITE_IOERR:
            problem = f"{path} cannot be read or written; the disk may be full or broken"
        case sqlite3.SQLITE_CORRUPT:
            problem = f"{path} is damaged: put a copy in its place, or move it away"
        case _:
            problem = f"{path} cannot be used"
    return BlockStoreError(f"{problem} ({error}); {consequence}. INFRABLOCKS_HOME chooses another folder.")


def not_ours(path: str) -> BlockStoreError:
    """Say that a file is something else."""
    return BlockStoreError(
        f"{path} is not a store of infrablocks: move it away, or set INFRABLOCKS_HOME to another folder"
    )
