"""The engines of the test tooling, with a state of the benchmark's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from benchmarks.environments import tooling_python

# Always the same, so that what a crash has left running is found and ended by the next benchmark.
STATE = Path("/tmp/infrablocks-benchmark-engines")
"""Where the engines have their files."""

_CHECKOUT = Path(__file__).parent.parent
# Elsewhere, a cluster is on other machines, and does not take the processors away from its clients.
_NICENESS = "10"
_GIVING_WAY = ("nice", "-n", _NICENESS)


def call(command: str, *engines: str, seconds: float, gives_way: bool = False) -> None:
    """Bring engines up or down.

    Args:
        command: "up" or "down".
        engines: Their names.
        seconds: How long it may take.
        gives_way: Whether other programs are to go before the engines when the processors are busy.
    """
    prefix = _GIVING_WAY if gives_way else ()
    subprocess.run(
        [*prefix, str(tooling_python()), "-m", "tests.engines", command, *engines],
        check=True,
        cwd=_CHECKOUT,
        env=_variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=seconds,
    )
    if gives_way:
        for engine in engines:
            _lower_priority(engine)


def start(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a module of this checkout that uses the engines, with pipes to its stdin and from its stdout."""
    return subprocess.Popen(
        [*_GIVING_WAY, str(tooling_python()), "-m", module, *arguments],
        cwd=_CHECKOUT,
        env=_variables(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _lower_priority(engine: str) -> None:
    """Lower the priority of an engine's sessions, each of which otherwise gets as much as a whole program.

    The kernel counts `nice` only among the processes of one session: "The autogroup feature",
    https://man7.org/linux/man-pages/man7/sched.7.html. Where it has no such groups, `nice` is enough.
    """
    for file in (STATE / engine).glob("*.pid"):
        pid, *_ = file.read_text("ascii").split()
        group = Path(f"/proc/{pid}/autogroup")
        if group.exists():
            group.write_text(_NICENESS, "ascii")


def _variables() -> dict[str, str]:
    return {**os.environ, "INFRABLOCKS_ENGINES_STATE": str(STATE), "PYTHONPATH": str(_CHECKOUT)}
