"""Run a command as a local process, a Docker container or a Kubernetes Job, watch it to the end and say how it went."""

from typing import TYPE_CHECKING

from infrablocks._output import Output, OutputCursor, OutputPosition, OutputSink
from infrablocks._prefect_image import get_prefect_image_name
from infrablocks._sync_compatible import sync_compatible
from infrablocks.base import (
    Infrastructure,
    InfrastructureResult,
    ReapedWorkload,
    ReapedWorkloads,
    Reason,
    Workload,
    WorkloadStatus,
)
from infrablocks.blocks import Block, get_block_class, list_block_types
from infrablocks.exceptions import (
    BlockAlreadyExists,
    BlockError,
    BlockNotFound,
    BlockStoreError,
    ImagePullError,
    InfrastructureError,
    InfrastructureNotAvailable,
    InfrastructureNotFound,
    InvalidBlockDocument,
    InvalidBlockFile,
    InvalidBlockName,
    InvalidManifest,
    InvalidSettings,
    UnsupportedOperation,
    WorkloadCreationError,
)
from infrablocks.process import Process, ProcessResult

if TYPE_CHECKING:
    from infrablocks.docker import DockerContainer, DockerContainerResult, DockerRegistry, ImagePullPolicy
    from infrablocks.kubernetes import (
        KubernetesClusterConfig,
        KubernetesImagePullPolicy,
        KubernetesJob,
        KubernetesJobResult,
        KubernetesManifest,
        KubernetesRestartPolicy,
    )

__all__ = [
    "Block",
    "BlockAlreadyExists",
    "BlockError",
    "BlockNotFound",
    "BlockStoreError",
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
    "InvalidBlockDocument",
    "InvalidBlockFile",
    "InvalidBlockName",
    "InvalidManifest",
    "InvalidSettings",
    "KubernetesClusterConfig",
    "KubernetesImagePullPolicy",
    "KubernetesJob",
    "KubernetesJobResult",
    "KubernetesManifest",
    "KubernetesRestartPolicy",
    "Output",
    "OutputCursor",
    "OutputPosition",
    "OutputSink",
    "Process",
    "ProcessResult",
    "ReapedWorkload",
    "ReapedWorkloads",
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
_ON_FIRST_USE = {
    "DockerContainer": "infrablocks.docker",
    "DockerContainerResult": "infrablocks.docker",
    "DockerRegistry": "infrablocks.docker",
    "ImagePullPolicy": "infrablocks.docker",
    "KubernetesClusterConfig": "infrablocks.kubernetes",
    "KubernetesImagePullPolicy": "infrablocks.kubernetes",
    "KubernetesJob": "infrablocks.kubernetes",
    "KubernetesJobResult": "infrablocks.kubernetes",
    "KubernetesManifest": "infrablocks.kubernetes",
    "KubernetesRestartPolicy": "infrablocks.kubernetes",
}


def __getattr__(name: str) -> object:
    module = _ON_FIRST_USE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 (no name of the package's own)

    return getattr(import_module(module), name)
