"""All engines by name, in the order in which they are started."""

from tests.engines import docker20, docker29, kubernetes, podman, podman_rootless, prefect_server, registry, ssh_server
from tests.engines.engine import ContainerEngine, Engine

CONTAINER_ENGINES: dict[str, ContainerEngine] = {
    engine.name: engine for engine in (docker20.engine(), docker29.engine(), podman.engine(), podman_rootless.engine())
}
ENGINES: dict[str, Engine] = {
    "registry": registry.engine(),
    **CONTAINER_ENGINES,
    "sshd": ssh_server.engine(),
    "kubernetes": kubernetes.first(),
    "kubernetes2": kubernetes.second(),
    "prefect": prefect_server.prefect_3(),
    "prefect2": prefect_server.prefect_2(),
}
