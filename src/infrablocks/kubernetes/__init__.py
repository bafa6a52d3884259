"""Run a command as a Kubernetes Job. The Kubernetes SDK is loaded on first use only."""

from infrablocks._prefect_image import get_prefect_image_name
from infrablocks.kubernetes._base_manifest import KubernetesManifest
from infrablocks.kubernetes._result import KubernetesJobResult
from infrablocks.kubernetes.cluster import KubernetesClusterConfig
from infrablocks.kubernetes.image_pull_policy import KubernetesImagePullPolicy
from infrablocks.kubernetes.job import KubernetesJob
from infrablocks.kubernetes.restart_policy import KubernetesRestartPolicy

__all__ = [
    "KubernetesClusterConfig",
    "KubernetesImagePullPolicy",
    "KubernetesJob",
    "KubernetesJobResult",
    "KubernetesManifest",
    "KubernetesRestartPolicy",
    "get_prefect_image_name",
]
