"""Files that are no store, or cannot be read or written to."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import anyio
import pytest

from infrablocks import Block, BlockNotFound, BlockStoreError, Process
from infrablocks.blocks.stores import sqlite_file
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

READ_ONLY = Path(__file__).with_name("read_only_store.py")
FULL_DISK = Path(__file__).with_name("full_disk_store.py")


class Card(Block):
    """A block."""

    _block_type_slug: ClassVar[str | None] = "test-store-card"
    text: str = ""


@pytest.fixture
def path() -> Path:
    path = Path(os.environ["INFRABLOCKS_HOME"]) / "blocks.db"
    path.parent.mkdir()
    return path


def refusal(path: Path) -> str:
    """Give the message that every call fails with, and see that the file stays as it was."""
    before = path.read_bytes()
    messages = set()
    for call in (lambda: Card().save("a"), lambda: Card.load("a"), Card.list, lambda: Card.delete("a")):
        with pytest.raises(BlockStoreError) as raised:
            call()
        messages.add(str(raised.value))
    assert path.read_bytes() == before
    (message,) = messages
    return message


def test_a_file_that_is_no_database(path: Path) -> None:
    """It is refused, and not touched."""
    path.write_text("a letter to my aunt\n" * 100)
    assert refusal(path) == (
        f"{path} is not a store of infrablocks: move it away, or set INFRABLOCKS_HOME to another folder"
    )


def test_a_database_of_somebody_else(path: Path) -> None:
    """It is refused, and not touched, also when it says of nobody whose it is."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE aunt (name TEXT)")
    assert refusal(path) == (
        f"{path} is not a store of infrablocks: move it away, or set INFRABLOCKS_HOME to another folder"
    )


def test_a_store_of_a_newer_version(path: Path) -> None:
    """It is refused, and not touched; the message says to upgrade."""
    Card().save("a")
    sqlite_file.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {sqlite_file.VERSION + 1}")
    assert refusal(path) == (
        f"{path} was written by a newer version of infrablocks (version 2 of its tables, 1 is known here): "
        "upgrade infrablocks"
    )


def test_an_empty_file(path: Path) -> None:
    """A file that a killed process had only just made becomes a store."""
    path.touch()
    assert Card.list() == []
    Card().save("a")
    assert Card.list() == ["a"]


def test_a_folder_in_its_place(path: Path) -> None:
    """What is no file is refused."""
    path.mkdir()
    for call in (lambda: Card().save("a"), Card.list):
        with pytest.raises(BlockStoreError, match=f"{path} is not a file: move it away"):
            call()


def test_a_home_that_cannot_be_made(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file stands in place of the folder, nothing is found, and saving says what is wrong."""
    path.touch()
    monkeypatch.setenv("INFRABLOCKS_HOME", str(path / "home"))
    assert Card.list() == []
    with pytest.raises(BlockNotFound):
        Card.load("a")
    with pytest.raises(BlockStoreError, match=r"the store .*/home/blocks\.db cannot be used: .*; nothing was saved"):
        Card().save("a")


def test_a_damaged_file(path: Path) -> None:
    """A store with garbage in it is an error, whatever SQLite says of it."""
    for number in range(50):
        Card(text="x" * 1000).save(f"n{number}")
    sqlite_file.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(BlockStoreError, match=f"{path} is damaged: .*; nothing was read"):
        Card.list()


def test_a_file_that_was_replaced() -> None:
    """A store that is deleted, or replaced by a copy, while a process uses it, is used as it is now."""
    home = Path(os.environ["INFRABLOCKS_HOME"])
    Card(text="first").save("a")
    for file in home.iterdir():
        file.unlink()
    assert Card.list() == []
    Card(text="second").save("b")
    assert Card.list() == ["b"]
    sqlite_file.close()
    copy = (home / "blocks.db").read_bytes()
    Card.delete("b")
    sqlite_file.close()
    (home / "new").write_bytes(copy)
    assert Card.list() == []
    (home / "new").replace(home / "blocks.db")
    assert Card.list() == ["b"]


def test_another_process_that_does_not_let_go(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for a lock ends, with a message that says so; the store is used again afterwards."""
    Card().save("a")
    monkeypatch.setattr(sqlite_file, "_BUSY_SECONDS", 0.3)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BlockStoreError, match=f"another process has {path} locked .*; nothing was saved"):
            Card().save("b")
        assert Card.list() == ["a"]
        other.execute("ROLLBACK")
    Card().save("b")
    assert Card.list() == ["a", "b"]


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_another_process_that_makes_the_store_meanwhile(path: Path, moment: int) -> None:
    """While a file that is empty yet is looked at, another process may make a store of it: it is one then."""
    path.touch()
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as connection,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        statements: list[str] = []

        def watch(statement: str) -> None:
            statements.append(statement)
            if len(statements) == moment:
                sqlite_file._make_tables(other, str(path))

        connection.set_trace_callback(watch)
        assert sqlite_file._has_tables(connection, str(path))
    assert len(statements) == 3


@pytest.mark.anyio
async def test_cancelling_does_not_wait_for_another_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A save that waits for a lock ends soon after its task is cancelled, and has saved nothing."""
    await Card().save("a")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(sqlite_file, "_BUSY_SECONDS", 2 * WAIT_SECONDS)
        started = time.monotonic()
        with anyio.move_on_after(0.1) as scope:
            await Card().save("b")
        assert scope.cancelled_caught
        assert time.monotonic() - started < WAIT_SECONDS
    assert await Card.list() == ["a"]


def in_python(script: Path, *arguments: str, wrapper: tuple[str, ...] = ()) -> list[str]:
    """Run a script beside this file and give its lines."""
    done = subprocess.run(
        [*wrapper, sys.executable, str(script), *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=WAIT_SECONDS,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture
def home_of_nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that nobody can come to, since root may write everywhere."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        monkeypatch.setenv("INFRABLOCKS_HOME", str(home))
        Path(folder).chmod(0o755)
        yield home


def test_a_folder_that_may_only_be_read(home_of_nobody: Path) -> None:
    """Loading works, saving and deleting say what to change, and nothing is changed."""
    path = home_of_nobody / "blocks.db"
    Process(command=["true"]).save("a")
    sqlite_file.close()
    before = path.read_bytes()
    problem = f"{path} or its folder is read-only or belongs to somebody else: change that"
    for file_mode, folder_mode in ((0o444, 0o555), (0o644, 0o555), (0o444, 0o755)):
        path.chmod(file_mode)
        path.parent.chmod(folder_mode)
        lines = in_python(READ_ONLY, str(path))
        assert [line.partition(" (")[0] for line in lines] == ["['true'] ['process/a']", problem, problem]
        path.parent.chmod(0o755)
        assert path.read_bytes() == before
    path.chmod(0o444)
    assert in_python(READ_ONLY, str(path), "repair")[-1] == "['process/a', 'process/b']"


def test_a_full_disk(tmp_path: Path) -> None:
    """Saving says so; what was saved before is there, the new block is not, and later saves work again."""
    mount = tmp_path / "small"
    mount.mkdir()
    unshare = ("unshare", "--mount", "--map-root-user", "--user")
    mounted = ("sh", "-c", f'mount -t tmpfs -o size=400k none "{mount}" && exec "$@"', "sh")
    if subprocess.run([*unshare, *mounted, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system in a namespace of its own")
    told, before, after, again = in_python(FULL_DISK, str(mount), wrapper=(*unshare, *mounted))
    assert told.startswith(f"the disk of {mount} is full: free some space (")
    assert told.endswith("; nothing was saved or deleted. INFRABLOCKS_HOME chooses another folder.")
    assert before == after
    assert again == "True"
