"""One run as a Job, whatever becomes of it.

Arguments: the file for the figures, the library, and the namespace. Figure: `succeeded`, 1 or 0.
"""

from __future__ import annotations

import asyncio
import sys

from benchmarks.scripts.library import hand_over, kubernetes_block


async def main() -> None:
    """Run it and hand over."""
    path, library, namespace = sys.argv[1:]
    succeeded = False
    try:
        block = kubernetes_block(library, command=["true"], namespace=namespace, stream_output=False)
        succeeded = (await block.run()).status_code == 0
    except Exception as error:  # noqa: BLE001 (that is what is counted)
        print(f"{type(error).__name__}: {error}"[:300], file=sys.stderr)
    hand_over(path, {"succeeded": float(succeeded)})


if __name__ == "__main__":
    asyncio.run(main())
