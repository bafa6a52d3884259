"""Checks of what `Process` needs."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from infrablocks import InfrastructureError, Process
from infrablocks.cli.checks.finding import Finding, State
from infrablocks.process._process_table import boot_id, process_entry
from infrablocks.process._record import record_of

_FILES_OF_A_RUN = 3  # two pipes and one to see its end
_FEW_FILES = 256


def start() -> Finding:
    """Start a process and read what it prints."""
    lines: list[str] = []
    program = [sys.executable, "-I", "-S", "-c", "print('ready')"]
    began = time.monotonic()
    try:
        result = Process(command=program, timeout_seconds=30).run(output=lambda _, line: lines.append(line))
    except InfrastructureError as error:
        return Finding("start", State.BROKEN, str(error))
    if not result or lines != ["ready\n"]:
        return Finding("start", State.BROKEN, f"its output was {''.join(lines)!r}; {result.message}")
    return Finding(
        "start", State.OK, f"started a process and watched it to its end in {time.monotonic() - began:.2f} s"
    )


def process_table() -> Finding:
    """Read /proc."""
    try:
        found = process_entry(os.getpid()) is not None and bool(boot_id())
    except OSError as error:
        return Finding("/proc", State.BROKEN, f"cannot be read ({error}): mount it, `kill` and `status` need it")
    if not found:
        return Finding("/proc", State.BROKEN, "does not show this process: mount it, `kill` and `status` need it")
    return Finding("/proc", State.OK, "shows the processes of this machine")


def exit_notice() -> Finding:
    """Ask the system for a file that tells the end of a process."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except AttributeError:
        return Finding("pidfd", State.WARNING, "not in this Python: the end of a process is seen up to 50 ms late")
    except OSError as error:
        return Finding("pidfd", State.BROKEN, f"refused by the system ({error.strerror}); Linux 5.3 and newer have it")
    return Finding("pidfd", State.OK, "the system tells when a process ends")


def run_records() -> Finding:
    """Write where the run records are."""
    folder = Path(record_of(os.getpid()).path).parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        problem = f"{folder} cannot be written to ({error.strerror}): `kill` and `status` will not find a process"
        return Finding("run records", State.WARNING, problem)
    return Finding("run records", State.OK, f"{folder} can be written to")


def open_files() -> Finding:
    """Read how many files this process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return Finding("open files", State.OK, "no limit")
    detail = f"at most {soft}, enough for about {soft // _FILES_OF_A_RUN} processes at once"
    if soft < _FEW_FILES:
        advice = "ask whoever runs this machine for more" if hard == soft else "`ulimit -n $(ulimit -Hn)` allows more"
        return Finding("open files", State.WARNING, f"{detail}; {advice}")
    return Finding("open files", State.OK, detail)


CHECKS = (start, process_table, exit_notice, run_records, open_files)
