"""Uses a store that this user may only read: as nobody, when it is root who tests."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from infrablocks import Block, BlockStoreError, Process


def use() -> str:
    """Call everything; give what was read, and the errors of the rest, in lines."""
    lines = [f"{Process.load('a').command} {Block.list()}"]
    try:
        Process().save("b")
    except BlockStoreError as error:
        lines.append(str(error))
    try:
        Process.delete("a")
    except BlockStoreError as error:
        lines.append(str(error))
    return "\n".join(lines)


# Nobody may perhaps not read the modules of the library, so that all of them have to be imported before.
with tempfile.TemporaryDirectory() as other:
    os.environ["INFRABLOCKS_HOME"] = other
    Process().save("a")
    use()
path = Path(sys.argv[1])
os.environ["INFRABLOCKS_HOME"] = str(path.parent)
if os.geteuid() == 0:
    os.chown(path.parent, 65534, 65534)
    os.chown(path, 65534, 65534)
    os.setuid(65534)
sys.stdout.write(use())
if "repair" in sys.argv:
    path.parent.chmod(0o755)
    path.chmod(0o600)
    Process().save("b")
    sys.stdout.write(f"\n{Block.list()}")
