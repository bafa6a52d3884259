"""The Python that runs the tests, in a pod: the node's files are this machine's, so that no image with it is needed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tests.integration.kubernetes_run.driving import OUR_CONTAINER, in_pod

# What programs of this machine are linked with.
_SYSTEM = ("/usr", "/lib", "/lib64")


def command(program: str) -> list[str]:
    """Give the command that runs a program with all packages that the tests have."""
    return [os.path.realpath(sys.executable), "-c", program]


def variables() -> dict[str, str]:
    """Give the variables that the command needs."""
    return {"PYTHONPATH": os.pathsep.join(map(str, _packages())), "PYTHONDONTWRITEBYTECODE": "1"}


def customizations() -> list[dict[str, Any]]:
    """Give what has a pod see the folders of Python and of the packages, which it cannot change."""
    folders = {f"python-{number}": str(folder) for number, folder in enumerate(_folders())}
    mounts = [{"name": name, "mountPath": folder, "readOnly": True} for name, folder in folders.items()]
    return [
        *in_pod(volumes=[{"name": name, "hostPath": {"path": folder}} for name, folder in folders.items()]),
        {"op": "add", "path": f"{OUR_CONTAINER}/volumeMounts", "value": mounts},
    ]


def _packages() -> list[Path]:
    return [path for path in map(Path, sys.path) if path.is_absolute() and path.is_dir()]


def _folders() -> list[Path]:
    """Give the folders that are needed and do not lie in one another."""
    program = Path(sys.executable).resolve().parent.parent
    wanted = {*filter(Path.exists, map(Path, _SYSTEM)), program, Path(sys.base_prefix), *_packages()}
    return sorted(folder for folder in wanted if not wanted & set(folder.parents))
