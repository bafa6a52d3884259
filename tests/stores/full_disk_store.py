"""Fills a small disk with a store, in the folder that is given."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from infrablocks import Block, BlockStoreError, Process

home = os.environ["INFRABLOCKS_HOME"] = sys.argv[1]
filling = Path(home) / "filling"
filling.write_bytes(b"x" * 100_000)
saved: list[str] = []
told: object = None
for number in range(1000):
    try:
        Process(command=["x" * 20_000]).save(f"n{number:04}")
    except BlockStoreError as error:
        told = error
        break
    saved.append(f"process/n{number:04}")
kept = Block.list()
filling.unlink()
Process(command=["x" * 20_000]).save("again")
sys.stdout.write(f"{told}\n{saved}\n{kept}\n{Block.list() == ['process/again', *saved]}")
