"""Runs of `true` as Jobs, one after the other or at once, whose requests somebody counts.

Arguments: the file for the figures, the library, "streaming", "quiet", "secret" (quiet, too) or "together" (quiet, at
once), how many runs, and the namespace.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from benchmarks.scripts.library import check, hand_over, kubernetes_block

SECRETS = {"PREFECT_API_KEY": "not-a-real-key"}
"""Variables that are secret by their name."""


async def main() -> None:
    """Make the runs."""
    path, library, way, runs, namespace = sys.argv[1:]
    fields: dict[str, Any] = {"env": SECRETS} if way == "secret" else {}
    block = kubernetes_block(library, command=["true"], namespace=namespace, stream_output=way == "streaming", **fields)
    if way == "together":
        for result in await asyncio.gather(*(block.run() for _ in range(int(runs)))):
            check(library, result)
    else:
        for _ in range(int(runs)):
            check(library, await block.run())
    hand_over(path, {})


if __name__ == "__main__":
    asyncio.run(main())
