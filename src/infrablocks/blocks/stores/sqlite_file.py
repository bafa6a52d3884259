"""The file of a SQLite store: made, recognized and opened.

Each process keeps one connection, to the file that it has used last: opening one and closing it again takes ten times
as long as saving a block. It is used by one thread at a time.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import stat
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from infrablocks._threads import cancellation_requested
from infrablocks.blocks.stores.sqlite_errors import in_words, not_ours, primary_code
from infrablocks.exceptions import BlockStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

APPLICATION_ID = 0x1B10C5ED
"""Stands in the header of every store's file."""

VERSION = 1
"""Of the tables; stands in the header too, as SQLite's `user_version`."""

_TABLES = """
CREATE TABLE block (
    type_slug TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    secrets BLOB,
    is_encrypted INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    PRIMARY KEY (type_slug, name)
) WITHOUT ROWID
"""

_BUSY_SECONDS = 30.0
_ONE_ATTEMPT_SECONDS = 0.25


class _Kept:
    """The connection of this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.connection: sqlite3.Connection | None = None
        self.file: tuple[str, int, int] | None = None

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self.connection, self.file = self.connection, None, None
        if connection is not None:
            connection.close()


_kept = _Kept()
_of_parents: list[_Kept] = []


def close() -> None:
    """Close the connection of this process; the next use opens another."""
    with _kept.lock:
        _kept.close()


def _forget_connection() -> None:
    global _kept  # noqa: PLW0603 - the child of a fork must neither use its parent's connection nor close it
    _of_parents.append(_kept)
    _kept = _Kept()


def _close_at_exit() -> None:
    # A thread may still wait for another process's lock: the end of the program does not wait for it.
    if _kept.lock.acquire(timeout=0.5):
        _kept.close()


atexit.register(_close_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_connection)


def write(path: str, change: Callable[[sqlite3.Connection], object]) -> None:
    """Change a store in one transaction: wholly, or not at all when this raises. The file is made when there is none.

    Args:
        path: The file.
        change: What is done with a connection in a transaction. Its exceptions undo it.

    Raises:
        BlockStoreError: The file cannot be written to.
    """
    with _kept.lock, _errors_in_words(path, "nothing was saved or deleted"):
        _make_file(path)
        connection = _connection(path)
        _repeated_while_busy(lambda: connection.execute("BEGIN IMMEDIATE"))
        with _transaction(connection):
            change(connection)


def read(path: str, query: Callable[[sqlite3.Connection], T]) -> T | None:
    """Read from a store; None when there is no file, or nothing in it yet.

    Args:
        path: The file.
        query: What is done with a connection; it may be called again.

    Raises:
        BlockStoreError: The file cannot be read.
    """
    with _kept.lock, _errors_in_words(path, "nothing was read"):
        try:
            _check_kind(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return _repeated_while_busy(lambda: query(_connection(path)))
        except sqlite3.OperationalError as error:
            if primary_code(error) not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY} or _has_log(path):
                raise
        return _read_unchanging(path, query)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """End a transaction that has begun."""
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite has undone it by itself after some errors
            connection.execute("ROLLBACK")
        raise


def _connection(path: str) -> sqlite3.Connection:
    status = Path(path).stat()
    file = (path, status.st_dev, status.st_ino)
    if _kept.connection is None or _kept.file != file:
        _kept.close()
        _kept.connection = _repeated_while_busy(lambda: _opened(path))
        _kept.file = file
    return _kept.connection


def _opened(path: str) -> sqlite3.Connection:
    _align_companions(path)
    connection = sqlite3.connect(path, timeout=_ONE_ATTEMPT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        if not _has_tables(connection, path):
            _make_tables(connection, path)
        connection.execute("PRAGMA synchronous = FULL")  # what was saved survives a power failure
        connection.execute("PRAGMA secure_delete = ON")  # a secret that was replaced is gone
    except BaseException:
        connection.close()
        raise
    return connection


def _read_unchanging(path: str, query: Callable[[sqlite3.Connection], T]) -> T | None:
    """Read a file that SQLite cannot open in the usual way because its folder is read-only: nobody changes it."""
    connection = sqlite3.connect(f"file:{quote(path)}?immutable=1", uri=True, isolation_level=None)
    try:
        return query(connection) if _has_tables(connection, path) else None
    finally:
        connection.close()


def _has_tables(connection: sqlite3.Connection, path: str) -> bool:
    """Say whether the file is a store of this version; false when it is empty."""
    # Another process may make the store meanwhile, all in one transaction: what says so is looked at last.
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application == APPLICATION_ID:
        if version > VERSION:
            raise BlockStoreError(
                f"{path} was written by a newer version of infrablocks (version {version} of its tables, {VERSION} is "
                "known here): upgrade infrablocks"
            )
        return True
    if application or version or tables:
        raise not_ours(path)
    return False


def _make_tables(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    with _transaction(connection):
        if not _has_tables(connection, path):  # nobody else was faster
            connection.execute(_TABLES)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")


def _make_file(path: str) -> None:
    """Make the file, and its folder, for their owner only.

    The file is not opened when it is there: closing it again would take the locks away that SQLite has on it.
    """
    try:
        mode = _check_kind(path)
    except FileNotFoundError:
        _make_folder(Path(path).parent)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    else:
        if mode & 0o077:
            with suppress(OSError):
                Path(path).chmod(mode & 0o700)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)


def _align_companions(path: str) -> None:
    """Give the files that SQLite has beside this one its rights: those of a time when it was read-only may be left."""
    mode = Path(path).stat().st_mode & 0o700
    for companion in (Path(f"{path}-wal"), Path(f"{path}-shm")):
        with suppress(OSError):
            if stat.S_IMODE(companion.stat().st_mode) != mode:
                companion.chmod(mode)


def _check_kind(path: str) -> int:
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode):
        raise BlockStoreError(f"{path} is not a file: move it away, or set INFRABLOCKS_HOME to another folder")
    return mode


def _has_log(path: str) -> bool:
    """Say whether there are changes that are not in the file yet."""
    try:
        return Path(f"{path}-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def _repeated_while_busy(call: Callable[[], T]) -> T:
    """Call a function, again and again while another process has the file locked.

    SQLite's own waiting does not cover all cases, and does not end when a task is cancelled.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return call()
        except sqlite3.OperationalError as error:
            if primary_code(error) not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise
            if time.monotonic() > deadline or cancellation_requested():
                raise
        time.sleep(0.005)


@contextmanager
def _errors_in_words(path: str, consequence: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        _kept.close()  # it may have been opened when the file could not be written to
        raise in_words(error, path, consequence) from error
    except OSError as error:
        raise BlockStoreError(
            f"the store {path} cannot be used: {error.filename or path}: {error.strerror}; {consequence}"
        ) from error
