"""Build programs from Go modules, once for each set of sources and flags.

The go.mod and go.sum files below ``modules`` are committed: they name every module with its hash, so that all machines
build from the same sources. To move to a newer version, change them with ``go get -tool PROGRAM@VERSION``.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.engines.errors import EngineError
from tests.engines.locks import exclusive
from tests.engines.low_priority import run_politely
from tests.engines.paths import cache_directory

_MODULES = Path(__file__).parent / "modules"


@dataclass(frozen=True)
class GoBuild:
    """One call of ``go build``.

    Args:
        module: The folder below ``modules`` with go.mod and go.sum.
        programs: The import paths of the programs.
        tags: Build tags.
        variables: Values for string variables, by import path and name, such as a version number.
        cgo: Whether the programs link to C libraries.
    """

    module: str
    programs: tuple[str, ...]
    tags: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    cgo: bool = False

    def arguments(self) -> list[str]:
        """Return the flags of ``go build``, without those that say where the output goes."""
        linker = ["-s", "-w", *(f"-X {name}={value}" for name, value in self.variables)]
        return [
            "-trimpath",
            "-buildvcs=false",
            "-mod=readonly",
            f"-tags={','.join(self.tags)}",
            f"-ldflags={' '.join(linker)}",
        ]

    def sources(self) -> bytes:
        """Return what determines the programs, apart from the compiler."""
        folder = _MODULES / self.module
        pinned = b"".join((folder / name).read_bytes() for name in ("go.mod", "go.sum"))
        return pinned + repr((self.programs, self.arguments(), self.cgo)).encode()

    def run(self, output: Path) -> None:
        """Build the programs into a directory.

        Raises:
            EngineError: The compiler failed.
        """
        command = ["go", "build", *self.arguments(), "-o", f"{output}/", *self.programs]
        environment = {**_GO_ENVIRONMENT, "CGO_ENABLED": "1" if self.cgo else "0"}
        run_politely(command, folder=_MODULES / self.module, environment=environment)


# The machine's own Go, never one that it would fetch; and no flags of the caller's.
_GO_ENVIRONMENT = {"GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}


def _go_version() -> str:
    try:
        go = subprocess.run(
            ["go", "env", "GOVERSION", "GOARCH"],
            env={**os.environ, **_GO_ENVIRONMENT},
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise EngineError("this engine is built from Go modules: install Go and put it in PATH") from error
    return go.stdout


def cached_programs(name: str, version: str, builds: Sequence[GoBuild]) -> Path:
    """Return the cache directory for these builds, whether it is there or not."""
    digest = hashlib.sha256(_go_version().encode())
    for build in builds:
        digest.update(build.sources())
    return cache_directory() / f"{name}-{version}-{digest.hexdigest()[:12]}"


def build_programs(name: str, version: str, builds: Sequence[GoBuild]) -> Path:
    """Return the directory with the programs, after building them if they are not in the cache.

    A build that was interrupted is continued: what `go` has compiled is in its own cache, and a build that was finished
    is not made again.

    Raises:
        EngineError: There is no Go, or it failed.
    """
    finished = cached_programs(name, version, builds)
    if finished.is_dir():
        return finished
    with exclusive(cache_directory() / "lock"):
        if not finished.is_dir():  # somebody else may have built it while we waited
            unfinished = finished.with_name(f".{finished.name}")
            for other in cache_directory().glob(f".{name}-*"):
                if other != unfinished:  # of other sources: nobody will continue it
                    shutil.rmtree(other, ignore_errors=True)
            _build(builds, unfinished)
            unfinished.rename(finished)  # only a whole build gets the name that is looked for
    return finished


def _build(builds: Sequence[GoBuild], programs: Path) -> None:
    programs.mkdir(exist_ok=True)
    for number, build in enumerate(builds):
        done = programs / f".build-{number}-is-done"
        if not done.exists():
            build.run(programs)
            done.touch()
