"""What Podman's services of all versions have in common."""

from pathlib import Path
from string import Template

from tests.engines.engine import ContainerEngine
from tests.engines.registry import REGISTRY, registry

_REGISTRIES = Template("""
unqualified-search-registries = []
short-name-mode = "disabled"
[[registry]]
location = "$registry"
insecure = true
""")


class PodmanService(ContainerEngine):
    """A podman service in a room of its own. Containers belong to their conmon and survive a restart of the service."""

    @property
    def _containers_conf(self) -> Path:
        return self.directory / "containers.conf"

    @property
    def _registries_conf(self) -> Path:
        return self.directory / "registries.conf"

    @property
    def _programs(self) -> Path:
        """Programs that come before those of the system in PATH."""
        return self.directory / "programs"

    @property
    def _dpkg(self) -> Path:
        """A program that fails."""
        return self._programs / "dpkg"

    def _write_settings(self, containers_conf: str) -> None:
        """Write the files that the service reads.

        Args:
            containers_conf: The text of ``containers.conf``.
        """
        self._containers_conf.write_text(containers_conf)
        self._registries_conf.write_text(_REGISTRIES.substitute(registry=REGISTRY))
        # For each call of /version Podman asks dpkg which packages its helpers are of, which takes seconds on a busy
        # machine. A dpkg that fails makes it leave that out.
        self._programs.mkdir()
        self._dpkg.write_text("#!/bin/sh\nexit 1\n")
        self._dpkg.chmod(0o755)

    def _environment(self, *, home: Path, path: str) -> dict[str, str]:
        """Return the variables of the service.

        Args:
            home: Where it keeps what it is not told to keep elsewhere.
            path: The search path after the directory of `_programs`.
        """
        return {
            "PATH": f"{self._programs}:{path}",
            "HOME": str(home),
            "CONTAINERS_CONF": str(self._containers_conf),
            "CONTAINERS_REGISTRIES_CONF": str(self._registries_conf),
        }

    def _start(self) -> None:
        super()._start()
        registry().serve_in(self.namespace, self.directory)
