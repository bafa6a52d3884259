"""Docker 20.10, Debian's own: API 1.41, image store overlay2."""

from functools import cache

from tests.engines import certificates
from tests.engines.docker_daemon import DockerDaemon


class Docker20(DockerDaemon):
    """Debian's dockerd, containerd and runc."""

    name = "docker20"
    version = "20.10."
    packages = ("docker.io", "iptables", *certificates.PACKAGES)


@cache
def engine() -> Docker20:
    """Return the engine, up or not."""
    return Docker20()
