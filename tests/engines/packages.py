"""Install what Debian has, and keep its services from starting."""

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.engines.errors import EngineError
from tests.engines.locks import exclusive
from tests.engines.low_priority import run_politely
from tests.engines.paths import state_directory

_POLICY = Path("/usr/sbin/policy-rc.d")
_REFUSE = "#!/bin/sh\n# of infrablocks' tests, while they install packages\nexit 101\n"


def install(packages: Iterable[str]) -> None:
    """Install those packages that are missing; does nothing, and asks no registry, when all are there.

    Raises:
        EngineError: We are not root, or apt failed.
    """
    missing = sorted(set(packages) - _installed(packages))
    if not missing:
        return
    if os.geteuid() != 0:
        raise EngineError(f"missing packages, and only root may install them: {' '.join(missing)}")
    with exclusive(_lock()), _no_services():
        run_politely(["dpkg", "--configure", "-a"])  # an installation that was interrupted is continued
        _apt_get("update", "--quiet")
        _apt_get("install", "--quiet", "--yes", "--no-install-recommends", *missing)


def remove_stale_policy() -> None:
    """Let services of the machine start again, if a session was killed while it installed packages."""
    with exclusive(_lock()):
        if _POLICY.exists() and _POLICY.read_text() == _REFUSE:
            _POLICY.unlink()


def _lock() -> Path:
    return state_directory() / "packages.lock"


def _installed(packages: Iterable[str]) -> set[str]:
    query = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *packages],
        capture_output=True,
        text=True,
        check=False,  # it fails when it does not know one of them
    )
    return {line.split()[0] for line in query.stdout.splitlines() if line.endswith(" installed")}


def _apt_get(*arguments: str) -> None:
    # Somebody else may be installing something at this moment: wait for the lock.
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments]
    run_politely(command, environment={"DEBIAN_FRONTEND": "noninteractive"})


@contextlib.contextmanager
def _no_services() -> Iterator[None]:
    """Refuse the start of services while packages are installed: Debian's docker.io would start a daemon."""
    # Images of machines often have one that says the same. One that is ours was left by a session that was killed.
    if _POLICY.exists() and _POLICY.read_text() != _REFUSE:
        yield
        return
    _POLICY.write_text(_REFUSE)
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
