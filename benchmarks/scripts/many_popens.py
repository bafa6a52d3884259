"""Many processes that sleep, started by `subprocess` alone in four threads: what bounds any library on this machine.

Arguments: the file for the figures, how many, and how many seconds each sleeps.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.scripts.library import hand_over

THREADS = 4


def run(command: list[str]) -> tuple[subprocess.Popen[bytes], tempfile.TemporaryDirectory[str]]:
    """Start a process with the duties of a block."""
    directory = tempfile.TemporaryDirectory()
    process = subprocess.Popen(
        command,
        cwd=directory.name,
        env=dict(os.environ),
        start_new_session=True,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    return process, directory


def main() -> None:
    """Measure and hand over the seconds until all have ended, and until all were started."""
    path, count, seconds = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        processes = list(threads.map(run, [["sleep", seconds]] * int(count)))
    all_started = time.perf_counter() - started
    for process, directory in processes:
        with process:
            process.wait()
        directory.cleanup()
    hand_over(path, {"seconds": time.perf_counter() - started, "started": all_started})


if __name__ == "__main__":
    main()
