"""The parts that every script needs: the block of either library, and handing over the figures."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

IMAGE = "busybox:test"
"""The test tooling makes it; an engine that `DOCKER_HOST` names must have it."""

LABEL = "io.infrablocks.benchmark"
"""Every container that is measured with has it, so that whatever is left over is removed."""

_MODULES = {"infrablocks": "infrablocks", "prefect": "prefect.infrastructure"}


def process_block(library: str, **fields: Any) -> Any:
    """Make a `Process` block of a library ("infrablocks" or "prefect"); both have the same fields."""
    return importlib.import_module(_MODULES[library]).Process(**fields)


def docker_block(library: str, **fields: Any) -> Any:
    """Make a `DockerContainer` block of a library; both have the same fields, and so do not pull."""
    given = {"image": IMAGE, "image_pull_policy": "NEVER", "labels": {LABEL: "1"}, **fields}
    return importlib.import_module(_MODULES[library]).DockerContainer(**given)


def kubernetes_block(library: str, **fields: Any) -> Any:
    """Make a `KubernetesJob` block of a library; both have the same fields, and so do not pull."""
    given = {"image": IMAGE, "image_pull_policy": "Never", **fields}
    return importlib.import_module(_MODULES[library]).KubernetesJob(**given)


def cluster_config(library: str, path: str) -> Any:
    """Make a `KubernetesClusterConfig` block of a kubeconfig file."""
    module = {"infrablocks": "infrablocks", "prefect": "prefect.blocks.kubernetes"}[library]
    return importlib.import_module(module).KubernetesClusterConfig.from_file(path)


def check(library: str, result: Any) -> None:
    """End the script unless a run succeeded.

    Raises:
        SystemExit: It has not.
    """
    if result.status_code != 0:
        raise SystemExit(f"a run of {library} failed: {result}")


def hand_over(path: str, figures: dict[str, float]) -> None:
    """Write the figures of this run for the program that started it."""
    Path(path).write_text(json.dumps(figures), encoding="utf-8")
