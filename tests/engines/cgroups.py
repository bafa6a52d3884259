"""Make control groups, and remove those that killed containers leave behind."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def _roots(name: str) -> Iterator[Path]:
    """Find a group in every hierarchy: one directory with cgroup v2, one for each controller with v1."""
    candidates = [_ROOT / name, *(hierarchy / name for hierarchy in _ROOT.iterdir() if not hierarchy.is_symlink())]
    return (path for path in candidates if path.is_dir())


def create(name: str) -> None:
    """Make a control group at the top of every hierarchy, for an engine that wants it to be there.

    Args:
        name: The group's name.
    """
    hierarchies = [_ROOT] if (_ROOT / "cgroup.controllers").exists() else [*_ROOT.iterdir()]
    for hierarchy in hierarchies:
        if hierarchy.is_dir() and not hierarchy.is_symlink():
            (hierarchy / name).mkdir(exist_ok=True)
            # With cgroup v1 a new group has no processor and no memory, and can hold no process.
            for setting in ("cpuset.cpus", "cpuset.mems"):
                if (hierarchy / name / setting).exists() and not (hierarchy / name / setting).read_text().strip():
                    (hierarchy / name / setting).write_text((hierarchy / setting).read_text())


def remove(name: str) -> None:
    """Remove a control group and all below it; those that still hold a process are left.

    Args:
        name: The group's path below the root of its hierarchy.
    """
    for root in _roots(name):
        for directory, _, _ in os.walk(root, topdown=False):
            _remove_one(Path(directory))


def _remove_one(group: Path) -> None:
    # Processes that were killed a moment ago may still be counted, hence a few tries.
    for _ in range(20):
        with contextlib.suppress(FileNotFoundError):
            try:
                group.rmdir()
            except OSError:
                time.sleep(0.05)
                continue
        return
