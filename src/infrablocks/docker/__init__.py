"""Run a command in a container of a Docker-compatible engine. The Docker SDK is loaded on first use only."""

from infrablocks._prefect_image import get_prefect_image_name
from infrablocks.docker._result import DockerContainerResult
from infrablocks.docker.container import DockerContainer
from infrablocks.docker.image_pull_policy import ImagePullPolicy
from infrablocks.docker.registry import DockerRegistry

__all__ = ["DockerContainer", "DockerContainerResult", "DockerRegistry", "ImagePullPolicy", "get_prefect_image_name"]
