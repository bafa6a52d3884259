"""Podman 4.3, Debian's own, with its service for Docker's API."""

from functools import cache
from string import Template

from tests.engines.podman_service import PodmanService
from tests.engines.processes import SYSTEM_PATH, ProcessRecord

# default_ulimits: root may lack the right to raise limits. cni and cgroupfs: there is neither netavark nor systemd.
_CONTAINERS = Template("""
[containers]
cgroups = "enabled"
default_ulimits = []
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "cni"
cni_plugin_dirs = ["/usr/lib/cni"]
network_config_dir = "$directory/networks"
""")


class Podman(PodmanService):
    """A podman service of root."""

    name = "podman"
    version = "4.3."
    packages = ("podman", "catatonit", "containernetworking-plugins", "iptables", "runc", "uidmap")

    @property
    def control_group(self) -> str:
        """Podman's own name for it, which cannot be changed for all containers."""
        return "libpod_parent"

    def _start(self) -> None:
        self._write_settings(_CONTAINERS.substitute(directory=self.directory))
        super()._start()

    def _launch(self) -> ProcessRecord:
        # The state directory /run/containers is the room's: after a crash no stale state is taken for the truth.
        options = ["--root", str(self.directory / "root"), "--runroot", "/run/containers/storage"]
        return self.namespace.launch(
            ["podman", *options, "system", "service", "--time=0", self.docker_host],
            self.log,
            environment=self._environment(home=self.directory, path=SYSTEM_PATH),
        )


@cache
def engine() -> Podman:
    """Return the engine, up or not."""
    return Podman()
