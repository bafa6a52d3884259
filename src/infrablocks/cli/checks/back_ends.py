"""The checks of all back ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infrablocks.cli.checks import docker, general, kubernetes, process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from infrablocks.cli.checks.finding import Finding

    Check = Callable[[], Finding | Sequence[Finding]]


def checks(namespace: str) -> Mapping[str, Sequence[Check]]:
    """Give the checks of each back end, in the order in which they are shown. A back end adds its list here.

    Args:
        namespace: Where Kubernetes Jobs are to be made.
    """
    return {
        "general": general.CHECKS,
        "process": process.CHECKS,
        "docker": docker.CHECKS,
        "kubernetes": kubernetes.checks_of_namespace(namespace),
    }
