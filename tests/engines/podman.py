"""Podman 4.3, Debian's own, with its service for Docker's API."""

from functools import cache
from pathlib import Path
from string import Template

from tests.engines.engine import ContainerEngine
from tests.engines.processes import SYSTEM_PATH, ProcessRecord
from tests.engines.registry import REGISTRY, registry

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
_REGISTRIES = Template("""
unqualified-search-registries = []
short-name-mode = "disabled"
[[registry]]
location = "$registry"
insecure = true
""")


class Podman(ContainerEngine):
    """A podman service in a room of its own. Containers belong to their conmon and survive a restart of the service."""

    name = "podman"
    version = "4.3."
    packages = ("podman", "catatonit", "containernetworking-plugins", "iptables", "runc", "uidmap")

    @property
    def control_group(self) -> str:
        """Podman's own name for it, which cannot be changed for all containers."""
        return "libpod_parent"

    @property
    def _containers_conf(self) -> Path:
        return self.directory / "containers.conf"

    @property
    def _programs(self) -> Path:
        return self.directory / "programs"

    @property
    def _registries_conf(self) -> Path:
        return self.directory / "registries.conf"

    def _start(self) -> None:
        self._containers_conf.write_text(_CONTAINERS.substitute(directory=self.directory))
        self._registries_conf.write_text(_REGISTRIES.substitute(registry=REGISTRY))
        # For each call of /version Podman asks dpkg which packages its helpers are of, which takes seconds on a busy
        # machine. A dpkg that fails makes it leave that out.
        self._programs.mkdir()
        dpkg = self._programs / "dpkg"
        dpkg.write_text("#!/bin/sh\nexit 1\n")
        dpkg.chmod(0o755)
        super()._start()
        registry().serve_in(self.namespace, self.directory)

    def _launch(self) -> ProcessRecord:
        # The state directory /run/containers is the room's: after a crash no stale state is taken for the truth.
        options = ["--root", str(self.directory / "root"), "--runroot", "/run/containers/storage"]
        return self.namespace.launch(
            ["podman", *options, "system", "service", "--time=0", self.docker_host],
            self.log,
            environment={
                "PATH": f"{self._programs}:{SYSTEM_PATH}",
                "HOME": str(self.directory),
                "CONTAINERS_CONF": str(self._containers_conf),
                "CONTAINERS_REGISTRIES_CONF": str(self._registries_conf),
            },
        )


@cache
def engine() -> Podman:
    """Return the engine, up or not."""
    return Podman()
