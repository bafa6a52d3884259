"""Programs of a newer Debian suite than the machine's, unpacked into the cache; the machine's own apt is left alone."""

import shutil
import subprocess
import tempfile
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
APT::Sandbox::User "root"; APT::Update::Error-Mode "any";
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
    finished = cache_directory() / f"{suite}-{package}"
    if not finished.is_dir():
        with exclusive(cache_directory() / f"{suite}.lock"):
            if not finished.is_dir():  # somebody else may have fetched it while we waited
                for interrupted in cache_directory().glob(f".{suite}-*"):
                    shutil.rmtree(interrupted, ignore_errors=True)
                with tempfile.TemporaryDirectory(prefix=f".{suite}-", dir=cache_directory()) as directory:
                    _fetch(suite, package, Path(directory)).rename(finished)
    return finished


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


def _addresses(suite: str) -> list[str]:
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", f"Codename: {suite}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def _fetch(suite: str, package: str, directory: Path) -> Path:
    for name in ("lists/partial", "cache/archives/partial", "files"):
        (directory / name).mkdir(parents=True)
    (directory / "status").touch()
    (directory / "sources.list").write_text(f"deb [signed-by={_KEYS}] {mirror()} {suite} main\n")
    configuration = directory / "apt.conf"
    configuration.write_text(_CONFIGURATION.format(directory))
    run = partial(run_politely, folder=directory, environment={"APT_CONFIG": str(configuration)})
    run(["apt-get", "--quiet", "update"])
    run(["apt-get", "--quiet", "download", package])
    (archive,) = directory.glob("*.deb")
    run_politely(["dpkg", "--extract", str(archive), str(directory / "files")])
    return directory / "files"
