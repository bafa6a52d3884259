"""Run a command as a local process, a Docker container or a Kubernetes Job, watch it to the end and say how it went."""

from typing import TYPE_CHECKING

from infrablocks._output import Output, OutputSink
from infrablocks._prefect_image import get_prefect_image_name
from infrablocks._sync_compatible import sync_compatible
from infrablocks.base import Infrastructure, InfrastructureResult, Reason, Workload, WorkloadStatus
from infrablocks.blocks import Block, get_block_class, list_block_types
from infrablocks.exceptions import (
    BlockError,
    BlockNotFound,
    ImagePullError,
    InfrastructureError,
    InfrastructureNotAvailable,
    InfrastructureNotFound,
    InvalidBlockFile,
    InvalidManifest,
    InvalidSettings,
    UnsupportedOperation,
    WorkloadCreationError,
)
from infrablocks.process import Process, ProcessResult

if TYPE_CHECKING:
    from infrablocks.docker import DockerContainer, DockerContainerResult, DockerRegistry, ImagePullPolicy

__all__ = [
    "Block",
    "BlockError",
    "BlockNotFound",
    "DockerContainer",
    "DockerContainerResult",
    "DockerRegistry",
    "ImagePullError",
    "ImagePullPolicy",
    "Infrastructure",
    "InfrastructureError",
    "InfrastructureNotAvailable",
    "InfrastructureNotFound",
    "InfrastructureResult",
    "InvalidBlockFile",
    "InvalidManifest",
    "InvalidSettings",
    "Output",
    "OutputSink",
    "Process",
    "ProcessResult",
    "Reason",
    "UnsupportedOperation",
    "Workload",
    "WorkloadCreationError",
    "WorkloadStatus",
    "get_block_class",
    "get_prefect_image_name",
    "list_block_types",
    "sync_compatible",
]

# Imported when they are first asked for: who runs processes only does not pay for the rest.
_ON_FIRST_USE = dict.fromkeys(
    ("DockerContainer", "DockerContainerResult", "DockerRegistry", "ImagePullPolicy"), "infrablocks.docker"
)


def __getattr__(name: str) -> object:
    module = _ON_FIRST_USE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 (no name of the package's own)

    return getattr(import_module(module), name)
