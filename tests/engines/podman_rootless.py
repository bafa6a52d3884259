"""Podman 5.8 of a newer Debian suite, rootless: its service runs as a user that only its room knows."""

import os
import stat
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from string import Template

from tests.engines.debian_suites import runnable
from tests.engines.namespaces import Namespace
from tests.engines.podman_service import PodmanService
from tests.engines.processes import SYSTEM_PATH, ProcessRecord
from tests.engines.registry import registry

_SUITE = "forky"
_PACKAGES = (
    "podman",
    *("netavark", "aardvark-dns", "nftables", "passt", "slirp4netns"),  # networks
    *("runc", "catatonit", "fuse-overlayfs"),
)

_UID = 12345
_USER = "rootless"

# default_ulimits: the user may not raise limits. runc: crun refuses cgroups v1 and v2 side by side.
_CONTAINERS = Template("""
[containers]
default_ulimits = []
log_driver = "k8s-file"
seccomp_profile = "$programs/usr/share/containers/seccomp.json"
[engine]
cgroup_manager = "cgroupfs"
conmon_path = ["$programs/usr/bin/conmon"]
events_logger = "file"
helper_binaries_dir = ["$programs/usr/libexec/podman", "$programs/usr/lib/podman", "$programs/usr/bin"]
runtime = "runc"
[engine.runtimes]
runc = ["$programs/usr/sbin/runc"]
[network]
network_backend = "netavark"
""")

# Arguments: the directory of the changed files, the user's name and number. Its containers use numbers from 200000 on.
_ADD_USER = """
user=$2 number=$3
mkdir "$1"; cd "$1"
for file in passwd group subuid subgid; do
    [ -e "/etc/$file" ] || touch "/etc/$file"
    cp "/etc/$file" .
done
echo "$user:x:$number:$number::/nonexistent:/bin/sh" >> passwd
echo "$user:x:$number:" >> group
echo "$user:200000:65536" | tee -a subuid >> subgid
for file in passwd group subuid subgid; do mount --bind "$file" "/etc/$file"; done
install -d -m 700 -o "$number" -g "$number" "/run/user/$number"
"""

# Only root may open the machine's /dev/net/tun on some machines; pasta and slirp4netns need one.
_ADD_DEVICE = """
mkdir -p /dev/net
mount -t tmpfs -o mode=755 tun /dev/net
mknod -m 666 /dev/net/tun c 10 200
"""


class PodmanRootless(PodmanService):
    """A podman service of a user without rights.

    With cgroup v1 it limits neither memory nor processors nor processes.
    """

    name = "podman5"
    version = "5."  # the suite moves on; 5.8.6 when this was written
    packages = ("uidmap",)

    @property
    def socket(self) -> Path:
        """The API's socket, which the user makes."""
        return self._home / "api.sock"

    def prepare(self) -> None:
        """Fetch its programs, too."""
        super().prepare()
        _programs()

    @property
    def _home(self) -> Path:
        return self.directory / "home"

    def _start(self) -> None:
        self._write_settings(_CONTAINERS.substitute(programs=_programs()))
        policy = self._home / ".config" / "containers" / "policy.json"
        policy.parent.mkdir(parents=True)
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}\n')
        for path in (self._home, *self._home.rglob("*")):
            os.chown(path, _UID, _UID)
        super()._start()

    def _furnish(self) -> None:
        run = self.namespace.run
        run(["sh", "-ec", _ADD_USER, "sh", f"/run/{self.name}", _USER, str(_UID)])
        run(["sh", "-ec", _ADD_DEVICE])
        run(["mount", "--bind", str(self._dpkg), "/usr/bin/dpkg-query"])  # this version starts it by its path
        registry().directory.mkdir(parents=True, exist_ok=True)
        _let_everybody_reach([self.directory, registry().directory, _programs()], self.namespace)
        # Where the user has no user namespace yet, Podman starts itself anew in one, and the daemon would be a child of
        # the process that we know. Any other command makes one that lasts, which the service joins.
        run(self._podman("unshare", "true"), environment=self._variables())

    def _launch(self) -> ProcessRecord:
        command = self._podman("system", "service", "--time=0", self.docker_host)
        return self.namespace.launch(command, self.log, environment=self._variables())

    @staticmethod
    def _podman(*arguments: str) -> list[str]:
        """Return a command of the user."""
        become = ["setpriv", f"--reuid={_UID}", f"--regid={_UID}", "--clear-groups"]
        return [*become, str(_programs() / "usr" / "bin" / "podman"), *arguments]

    def _variables(self) -> dict[str, str]:
        programs = _programs() / "usr"
        return {
            **self._environment(home=self._home, path=f"{programs}/sbin:{SYSTEM_PATH}:{programs}/bin"),
            "USER": _USER,
            "XDG_RUNTIME_DIR": f"/run/user/{_UID}",
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
        }


def _programs() -> Path:
    """Return the directory with Podman and all that it needs, fetched if it is not in the cache."""
    return runnable(_SUITE, *_PACKAGES)


def _let_everybody_reach(paths: Sequence[Path], room: Namespace) -> None:
    """Let every user of a room reach directories of the machine that lie in directories of root's, such as its home.

    In the room, and only there, those of root's are covered by empty ones in which nothing else is left.

    Args:
        paths: The directories, which exist and which everybody may enter.
        room: The room.
    """
    closed = [next(_closed_parents(path), None) for path in paths]
    covered = [(path, parent) for path, parent in zip(paths, closed, strict=True) if parent is not None]
    for number, (path, _) in enumerate(covered):
        room.run(["mkdir", f"/run/kept{number}"])
        room.run(["mount", "--bind", str(path), f"/run/kept{number}"])
    for parent in {parent for _, parent in covered}:
        room.run(["mount", "-t", "tmpfs", "-o", "mode=755", "covered", str(parent)])
    for number, (path, _) in enumerate(covered):
        room.run(["mkdir", "-p", str(path)])
        room.run(["mount", "--bind", f"/run/kept{number}", str(path)])


def _closed_parents(path: Path) -> Iterator[Path]:
    """Find the directories above a path that others may not enter, the topmost first."""
    return (parent for parent in reversed(path.parents) if not parent.stat().st_mode & stat.S_IXOTH)


@cache
def engine() -> PodmanRootless:
    """Return the engine, up or not."""
    return PodmanRootless()
