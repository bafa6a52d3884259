"""Run a command as a local process, a Docker container or a Kubernetes Job, watch it to the end and say how it went."""

from infrablocks._output import Output, OutputSink
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

__all__ = [
    "Block",
    "BlockError",
    "BlockNotFound",
    "ImagePullError",
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
    "list_block_types",
    "sync_compatible",
]
