"""Docker 29, built from Go modules: API 1.40 and later, image store containerd's."""

from functools import cache
from pathlib import Path

from tests.engines import certificates
from tests.engines.docker_daemon import DockerDaemon
from tests.engines.go_builds import GoBuild, build_programs
from tests.engines.processes import SYSTEM_PATH

_VERSION = "29.0.0"
_MOBY = "github.com/moby/moby/v2"
_CONTAINERD = "github.com/containerd/containerd/v2"

# The versions of the modules stand in modules/*/go.mod.
_BUILDS = (
    GoBuild(
        module="docker",
        programs=(f"{_MOBY}/cmd/dockerd", f"{_MOBY}/cmd/docker-proxy"),
        tags=("netgo", "osusergo", "static_build", "exclude_graphdriver_btrfs", "no_systemd"),
        variables=((f"{_MOBY}/dockerversion.Version", _VERSION),),
    ),
    GoBuild(
        module="docker",
        programs=tuple(f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")),
        tags=("no_btrfs", "no_devmapper", "no_zfs"),
    ),
    # Docker 29 asks for a time namespace, which Debian's runc 1.1 does not know; and for a seccomp profile.
    GoBuild(
        module="runc",
        programs=("github.com/opencontainers/runc",),
        tags=("seccomp",),
        variables=(("main.version", "1.5.2"),),
        cgo=True,
    ),
)


def programs() -> Path:
    """Return the directory with dockerd, containerd 2, its shim, ctr and runc, built if they are not in the cache."""
    return build_programs("docker29", _VERSION, _BUILDS)


class Docker29(DockerDaemon):
    """A dockerd of Docker 29 with the containerd and runc that it wants."""

    name = "docker29"
    version = _VERSION
    packages = ("gcc", "libc6-dev", "libseccomp-dev", "pkg-config", "iptables", *certificates.PACKAGES)

    def prepare(self) -> None:
        """Build its programs, too."""
        super().prepare()
        programs()

    def _programs(self) -> str:
        return f"{programs()}:{SYSTEM_PATH}"


@cache
def engine() -> Docker29:
    """Return the engine, up or not."""
    return Docker29()
