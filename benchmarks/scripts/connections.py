"""Counting the connections that a program has open."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path


def open_connections(family: socket.AddressFamily) -> int:
    """Count those of this program; of unix sockets the ones that have a path, as an engine's has.

    Args:
        family: Of which kind, such as `socket.AF_INET`.
    """
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as sock:
            count += sock.family == family and bool(sock.getpeername())
    return count
