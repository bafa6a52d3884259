"""Programs of a newer Debian suite: fetched once, whole or not at all, and given the libraries beside them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from tests.engines.debian_suites import runnable, unpacked
from tests.engines.errors import EngineError
from tests.engines.paths import CACHE_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

LIBRARIES = "usr/lib/x86_64-linux-gnu"
ELF = b"\x7fELF"

# Archives are directories here. `apt-get` copies those that it is asked for, and their dependencies where it installs.
PROGRAMS = {
    "apt-get": """
        echo "$*" >> {folder}/log
        [ ! -e {folder}/offline ] || exit 100
        case "$1 $2" in
            indextargets*) echo {folder} ;;
            *download) cp -a {folder}/patchelf.deb . ;;
            *install) cp -a {folder}/tool.deb {folder}/libc6.deb . ;;
        esac
    """,
    "dpkg": 'mkdir -p "$3"; cp -a "$2/." "$3"',
}
# It knows whether a program is dynamic by its text, and writes what it was told into the program.
PATCHELF = """#!/bin/sh
for program; do :; done
[ "$1" != --print-interpreter ] || exec grep -q dynamic "$program"
[ ! -e {folder}/broken ] || { echo "no space left on device" >&2; exit 1; }
echo "$*" >> "$program"
"""


def write(path: Path, content: bytes, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror with three packages, the programs that reach it, and an empty cache."""
    for name, script in PROGRAMS.items():
        write(tmp_path / "bin" / name, f"#!/bin/sh\n{script.format(folder=tmp_path)}".encode())
    patchelf = PATCHELF.replace("{folder}", str(tmp_path))
    write(tmp_path / "patchelf.deb/usr/bin/patchelf", patchelf.encode())
    write(tmp_path / f"libc6.deb/{LIBRARIES}/ld-linux-x86-64.so.2", ELF + b" static\n")
    write(tmp_path / f"libc6.deb/{LIBRARIES}/libc.so.6", ELF + b" dynamic\n")
    write(tmp_path / "tool.deb/usr/bin/tool", ELF + b" dynamic\n")
    write(tmp_path / "tool.deb/usr/bin/of-root", ELF + b" dynamic\n", 0o4755)
    write(tmp_path / "tool.deb/usr/bin/static", ELF + b" static\n")
    write(tmp_path / "tool.deb/usr/bin/script", b"#!/bin/sh dynamic\n")
    write(tmp_path / "tool.deb/usr/share/data", ELF + b" dynamic\n", 0o644)
    (tmp_path / "tool.deb/usr/bin/other-name").symlink_to("tool")
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path


def patched(directory: Path) -> set[str]:
    """Give the names of the files that patchelf has changed."""
    files = (path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.name for path in files if b"--set-rpath" in path.read_bytes()}


def test_programs_use_the_libraries_beside_them(folder: Path) -> None:
    """Dynamic programs are told where loader and libraries will be, nothing else is changed, and nothing is setuid."""
    directory = runnable("newer", "tool")
    assert directory.parent == folder / "cache"
    assert patched(directory) == {"tool", "of-root"}
    libraries = directory / LIBRARIES
    told = f"--set-interpreter {libraries}/ld-linux-x86-64.so.2 --force-rpath --set-rpath {libraries} "
    assert told in (directory / "usr/bin/tool").read_text(errors="replace")
    assert (directory / "usr/bin/other-name").readlink().name == "tool"
    assert stat.S_IMODE((directory / "usr/bin/of-root").stat().st_mode) == 0o755


def test_the_second_time_nothing_is_fetched(folder: Path) -> None:
    """What is in the cache needs no network."""
    directories = [runnable("newer", "tool"), unpacked("newer", "patchelf")]
    (folder / "offline").touch()
    assert [runnable("newer", "tool"), unpacked("newer", "patchelf")] == directories
    with pytest.raises(EngineError, match="apt-get"):
        runnable("newer", "tool", "another")


def test_one_that_was_interrupted_is_made_again(folder: Path) -> None:
    """A directory that is not finished does not get its name, and is removed by the next attempt."""
    (folder / "broken").touch()
    with pytest.raises(EngineError, match="no space left on device"):
        runnable("newer", "tool")
    assert list((folder / "cache").glob("newer-*")) == []
    half_made = folder / "cache" / ".newer-killed" / "files"
    half_made.mkdir(parents=True)
    (folder / "broken").unlink()
    assert patched(runnable("newer", "tool")) == {"tool", "of-root"}
    assert not half_made.exists()


def test_a_cache_that_was_moved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs hold the path of their libraries, so in a cache of another path they are fetched anew."""
    before = runnable("newer", "tool")
    moved = (folder / "cache").rename(folder / "moved")
    monkeypatch.setenv(CACHE_VARIABLE, str(moved))
    after = runnable("newer", "tool")
    assert after.parent == moved
    assert after.name != before.name
    assert str(moved) in (after / "usr/bin/tool").read_text(errors="replace")
