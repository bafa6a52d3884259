"""The facts of the machine that figures depend on."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.environments import Environment


def machine_facts(environments: list[Environment]) -> str:
    """Write the facts as a Markdown list."""
    facts = {
        "Date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "Machine": f"{len(os.sched_getaffinity(0))} cores ({_processor()}), {_memory_gibibytes():.0f} GiB",
        "System": f"{platform.system()} {platform.release()}, {_distribution()}",
        "Python": _python_version(environments[0]),
        "Versions": "; ".join(f"{', '.join(environment.versions)}" for environment in environments),
    }
    return "\n".join(f"- {name}: {text}" for name, text in facts.items())


def _python_version(environment: Environment) -> str:
    answer = subprocess.run([environment.python, "-V"], check=True, timeout=30, stdout=subprocess.PIPE, text=True)
    return answer.stdout.split()[-1]


def _processor() -> str:
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gibibytes() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def _distribution() -> str:
    for line in _lines(Path("/etc/os-release")):
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "unknown distribution"


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []
