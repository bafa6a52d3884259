"""How long a statement of imports takes in a fresh interpreter, and the most memory it has used by then.

Arguments: the file for the figures, and the statements. Nothing is imported before that they could share.
"""

import sys
import time

statements = compile(sys.argv[2], "<statements>", "exec")
started = time.perf_counter()
exec(statements, {})
seconds = time.perf_counter() - started

# Not resource.getrusage: its maximum counts what the parent held when it made this process.
with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 (pathlib may not have been imported)
    kibibytes = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))

from benchmarks.scripts.library import hand_over  # noqa: E402 (see above)

hand_over(sys.argv[1], {"seconds": seconds, "bytes": kibibytes * 1024})
