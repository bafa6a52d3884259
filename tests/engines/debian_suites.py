"""Programs of a newer Debian suite than the machine's, unpacked into the cache; the machine's own apt is left alone."""

import hashlib
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.engines.errors import EngineError
from tests.engines.locks import exclusive
from tests.engines.low_priority import run_politely
from tests.engines.paths import cache_directory

_MACHINES_SUITE = "bookworm"

# Lists, archives and the record of what is installed are those of the given directory: see apt.conf(5).
_CONFIGURATION = """
Dir::State "{0}"; Dir::State::status "{0}/status"; Dir::State::lists "{0}/lists"; Dir::Cache "{0}/cache";
Dir::Etc::sourcelist "{0}/sources.list"; Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferencesparts "/dev/null";
APT::Sandbox::User "root"; APT::Update::Error-Mode "any"; APT::Install-Recommends "false";
"""
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def unpacked(suite: str, package: str) -> Path:
    """Return the directory with the files of a package, after fetching it if it is not in the cache.

    Args:
        suite: Debian's name of the suite.
        package: A package whose programs run on the machine's own libraries: its dependencies are not fetched.

    Raises:
        EngineError: The package could not be had.
    """
    return _cached(suite, package, partial(_fetch, suite, [package], dependencies=False))


def runnable(suite: str, *packages: str) -> Path:
    """Return a directory with packages of a newer suite and their dependencies, whose programs run on this machine.

    Every program in it uses the loader and the libraries of the directory, so you can start it without a chroot and
    without variables: ``runnable("forky", "python3.14") / "usr/bin/python3.14"``. Whoever starts it must be allowed to
    read the cache. Do not move the directory: its programs hold its path. Debian's maintainer scripts have not run.

    Args:
        suite: Debian's name of the suite.
        packages: The packages that are wanted; apt adds their dependencies, libc6 among them. The first one is in the
            directory's name.

    Raises:
        EngineError: A package could not be had.
    """
    wanted = repr((suite, packages, str(cache_directory())))
    name = f"{packages[0]}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"

    def fill(directory: Path) -> Path:
        files = _fetch(suite, packages, directory, dependencies=True)
        _give_own_libraries(files, home=_home(suite, name))
        return files

    return _cached(suite, name, fill)


def mirror(suite: str = _MACHINES_SUITE) -> str:
    """Return the address from which this machine gets Debian packages.

    Raises:
        EngineError: apt has no source of that suite.
    """
    addresses = _addresses(suite)
    if not addresses:  # images of machines often come without lists
        run_politely(["apt-get", "--quiet", "update"])
        addresses = _addresses(suite)
    if not addresses:
        raise EngineError(f"apt-get knows no source of {suite}")
    return addresses[0]


def _home(suite: str, name: str) -> Path:
    return cache_directory() / f"{suite}-{name}"


def _cached(suite: str, name: str, fill: Callable[[Path], Path]) -> Path:
    """Return a directory of the cache, after making it if it is not there.

    Args:
        suite: The suite that its files are of; one process at a time fetches files of a suite.
        name: Its name beside that of the suite.
        fill: Makes it somewhere below the directory that it gets, and returns the path.
    """
    finished = _home(suite, name)
    if not finished.is_dir():
        with exclusive(cache_directory() / f"{suite}.lock"):
            if not finished.is_dir():  # somebody else may have fetched it while we waited
                for interrupted in cache_directory().glob(f".{suite}-*"):
                    shutil.rmtree(interrupted, ignore_errors=True)
                with tempfile.TemporaryDirectory(prefix=f".{suite}-", dir=cache_directory()) as directory:
                    fill(Path(directory)).rename(finished)
    return finished


def _addresses(suite: str) -> list[str]:
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", f"Codename: {suite}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def _fetch(suite: str, packages: Sequence[str], directory: Path, *, dependencies: bool) -> Path:
    archives = directory / "cache" / "archives"
    for path in (directory / "lists" / "partial", archives / "partial", directory / "files"):
        path.mkdir(parents=True)
    (directory / "status").touch()
    (directory / "sources.list").write_text(f"deb [signed-by={_KEYS}] {mirror()} {suite} main\n")
    configuration = directory / "apt.conf"
    configuration.write_text(_CONFIGURATION.format(directory))
    run = partial(run_politely, folder=archives, environment={"APT_CONFIG": str(configuration)})
    run(["apt-get", "--quiet", "update"])
    # Nothing counts as installed, so `install` fetches every dependency and leaves it in the archives.
    action = ["install", "--yes", "--download-only"] if dependencies else ["download"]
    run(["apt-get", "--quiet", *action, *packages])
    for archive in archives.glob("*.deb"):
        run_politely(["dpkg", "--extract", str(archive), str(directory / "files")])
    return directory / "files"


def _give_own_libraries(files: Path, *, home: Path) -> None:
    """Have programs use the loader and the libraries beside them.

    Args:
        files: Where the files are now.
        home: Where the files will be when the programs run.
    """
    patchelf = str(unpacked(_MACHINES_SUITE, "patchelf") / "usr" / "bin" / "patchelf")
    (loader,) = files.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*")
    loader = home / loader.relative_to(files)
    # With --force-rpath also the libraries of libraries, and those loaded later, come from there.
    options = ["--set-interpreter", str(loader), "--force-rpath", "--set-rpath", str(loader.parent)]
    for program in filter(_is_program, files.rglob("*")):
        question = [patchelf, "--print-interpreter", str(program)]
        if subprocess.run(question, capture_output=True, check=False).returncode == 0:  # it is not static
            run_politely([patchelf, *options, str(program)])
        program.chmod(0o755)  # a copy that Debian's updates do not reach must not be setuid


def _is_program(path: Path) -> bool:
    """Tell whether a file is an executable of the machine's own code; libc.so.6 can be executed, but is a library."""
    if path.is_symlink() or not path.is_file() or not path.stat().st_mode & stat.S_IXUSR or ".so" in path.suffixes:
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"
