"""A room for one engine: network, mount and process namespaces that end together.

Every engine gets a room because

* two Docker daemons in one network namespace fight over ``docker0`` and its firewall rules;
* containerd, runc, CNI, Podman and Docker write below /run, /dev/shm, /var/lib/cni and /etc/docker, under names that
  are the same for all;
* the kernel kills a whole process namespace when its first process ends. So one SIGKILL stops containerd, shims and
  containers too, also when the daemon that started them has crashed; their mounts, bridges and rules go with the rest.

Files are the machine's own: sockets and bind mounts outside those four places look the same inside and outside.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests.engines.errors import EngineError
from tests.engines.limits import PATIENCE
from tests.engines.processes import SYSTEM_PATH, ProcessRecord, launch, only_child

PACKAGES = ("iproute2", "mount", "tini", "util-linux")

Result = TypeVar("Result")

_CLONE_NEWNET = 0x40000000

# Volumes may ask for shared propagation, hence rshared: among the mounts of the room, not of the machine.
_FURNISH = """
ip link set lo up
mount --make-rshared /
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777 shm /dev/shm
mkdir -p /var/lib/cni /etc/docker
mount -t tmpfs -o mode=755 cni /var/lib/cni
mount -t tmpfs -o mode=755 docker /etc/docker
"""

# systemd's socket activation without systemd: the descriptor must be 3 and the variable name the daemon's own pid,
# as it is inside. The original descriptor is closed, or containerd and its shims would keep the port from us.
_HAND_OVER = """
fd=$1; shift
if [ "$fd" != 3 ]; then exec 3<&"$fd"; eval "exec $fd<&-"; fi
LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"
"""


class Namespace:
    """The room of one engine.

    Args:
        directory: Where the pid file and the log are kept.
    """

    def __init__(self, directory: Path) -> None:
        self._pid_file = directory / "namespace.pid"
        self._log = directory / "namespace.log"

    def is_alive(self) -> bool:
        """Tell whether the room is there."""
        first = ProcessRecord.read(self._pid_file)
        return first is not None and first.is_alive()

    def pids(self) -> list[int]:
        """Return the processes of the room, as seen from outside; none if it is not there."""
        if not self.is_alive():
            return []
        found = []
        room = Path(f"/proc/{self.first.pid}/ns/pid").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has just ended
                if (process / "ns/pid").readlink() == room:
                    found.append(int(process.name))
        return found

    def create(self) -> None:
        """Make the room. Its first process only reaps those that lose their parents."""
        unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--"]
        outside = launch([*unshare, "tini", "--", "sleep", "infinity"], self._log)
        only_child(outside, self._log).write(self._pid_file)
        self.run(["sh", "-ec", _FURNISH])

    def destroy(self) -> None:
        """End everything in the room and the room itself. Safe to call twice, and after a crash.

        Raises:
            EngineError: Something in it could not be killed.
        """
        first = ProcessRecord.read(self._pid_file)
        if first is not None:
            first.signal(signal.SIGKILL)
            # The first process ends after all others have: that is the kernel's promise.
            if not first.wait(PATIENCE):
                raise EngineError(f"the namespace of process {first.pid} does not end")
        self._pid_file.unlink(missing_ok=True)

    def run(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> str:
        """Run a command inside, wait for its end and return its output.

        Args:
            command: The program and its arguments.
            environment: All of its variables but PATH, which is the system's unless given.

        Raises:
            EngineError: It failed.
        """
        done = subprocess.run(
            [*self._enter(), *command],
            env={"PATH": SYSTEM_PATH, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise EngineError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def launch(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        listener: socket.socket | None = None,
        own_network: bool = True,
    ) -> ProcessRecord:
        """Start a program inside that goes on without us, and return its record (of the program, not of nsenter).

        Args:
            command: The program and its arguments.
            log: The file for its output.
            environment: Its variables.
            listener: A listening socket which the program gets the way systemd hands sockets over. It stays in the
                network namespace it was made in: so a daemon in the room can be reached from outside.
            own_network: Whether the program has the room's network. Without it, it has the machine's, and still ends
                with the room.
        """
        inherit = [] if listener is None else [listener.fileno()]
        if listener is not None:
            command = ["bash", "-c", _HAND_OVER, "bash", str(listener.fileno()), *command]
        nsenter = launch(
            [*self._enter(own_network=own_network), *command], log, environment=environment, inherit=inherit
        )
        return only_child(nsenter, log)

    def call(self, function: Callable[[], Result]) -> Result:
        """Call a function in this process, but with the network of the room.

        A socket that it makes and returns stays in that network and can be used from any thread.
        """
        libc = ctypes.CDLL(None, use_errno=True)

        def inside() -> Result:
            with Path(f"/proc/{self.first.pid}/ns/net").open("rb") as network:
                if libc.setns(network.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns: " + os.strerror(ctypes.get_errno()))
            return function()

        # A thread of its own, which ends here: only its network is another one, not that of the test process.
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(inside).result()

    def listen(self, host: str, port: int = 0) -> socket.socket:
        """Listen on a TCP port of the room.

        Containers with the host's network reach it under the same address, those on a bridge if ``host`` is the
        bridge's address or 0.0.0.0.
        """
        return self.call(lambda: socket.create_server((host, port)))

    def connect(self, host: str, port: int, timeout: float = PATIENCE) -> socket.socket:
        """Connect to a TCP port of the room, for instance a published one."""
        return self.call(lambda: socket.create_connection((host, port), timeout=timeout))

    @property
    def first(self) -> ProcessRecord:
        """The room's first process, as seen from outside.

        Raises:
            EngineError: There is no room.
        """
        first = ProcessRecord.read(self._pid_file)
        if first is None or not first.is_alive():
            raise EngineError(f"no namespace: {self._pid_file} names no running process")
        return first

    def _enter(self, *, own_network: bool = True) -> list[str]:
        network = ["--net"] if own_network else []
        return ["nsenter", f"--target={self.first.pid}", *network, "--mount", "--pid", "--"]
