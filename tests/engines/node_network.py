"""The network of a node: a bridge in its room, on which its pods are, and a cable from the bridge to the machine."""

import subprocess
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engines.control_plane import SERVICE_ADDRESS
from tests.engines.errors import EngineError
from tests.engines.namespaces import Namespace

_BRIDGE, _INSIDE = "pods", "machine"

# Some of 10.88.0.0/16, which CNI's own example also uses and hardly anybody else.
_SUBNETS = range(77, 250)

# There is no kube-proxy: one rule stands for the one service that matters. Masqueraded, because the machine would
# answer a pod directly and not by way of the rule.
_FURNISH = """
sysctl -q -w net.ipv4.ip_forward=1
ip link add $bridge type bridge
ip addr add $node/24 dev $bridge
ip link set $bridge up
ip link set $inside master $bridge
ip link set $inside up
iptables -t nat -A PREROUTING -d $service -p tcp --dport 443 -j DNAT --to-destination $machine:$port
iptables -t nat -A OUTPUT -d $service -p tcp --dport 443 -j DNAT --to-destination $machine:$port
iptables -t nat -A POSTROUTING -d $machine -p tcp --dport $port -j MASQUERADE
ip route add $service via $machine
"""


@dataclass(frozen=True)
class NodeNetwork:
    """The addresses of a node; the machine keeps no more of it than the end of the cable, which goes with the room.

    Args:
        directory: Where the choice of the subnet is kept.
    """

    directory: Path

    @property
    def node_address(self) -> str:
        """The node's address."""
        return self._address(1)

    @property
    def machine_address(self) -> str:
        """The machine's address as pods see it: a test that listens there can be reached by them."""
        return self._address(254)

    def choose(self) -> None:
        """Take a subnet that this machine does not use."""
        used = _run("ip", "-4", "-brief", "address")
        for number in _SUBNETS:
            if f" 10.88.{number}." not in used:
                self._file.write_text(f"10.88.{number}\n")
                return
        raise EngineError("all of 10.88.77.0 to 10.88.249.0 are in use")

    def create(self, room: Namespace, port: int) -> None:
        """Make bridge, cable and rules.

        Args:
            room: The node's namespaces.
            port: Where on `machine_address` the API is.
        """
        self.remove()
        _run(*f"ip link add {self._outside} type veth peer name {_INSIDE} netns {room.first.pid}".split())
        _run(*f"ip address add {self.machine_address}/24 dev {self._outside}".split())
        _run(*f"ip link set {self._outside} up".split())
        values = {
            "bridge": _BRIDGE,
            "inside": _INSIDE,
            "node": self.node_address,
            "machine": self.machine_address,
            "service": SERVICE_ADDRESS,
            "port": str(port),
        }
        room.run(["sh", "-ec", _FURNISH], environment=values)

    def remove(self) -> None:
        """Remove the machine's end of the cable: the kernel does it too, but some time after the room has ended."""
        subprocess.run(["ip", "link", "delete", self._outside], capture_output=True, check=False)

    def cni_configuration(self) -> Mapping[str, Any]:
        """Return what CNI's plugins have to do for a pod."""
        addresses = {
            "subnet": self._address(0) + "/24",
            "rangeStart": self._address(10),
            "rangeEnd": self._address(250),
        }
        bridge = {
            "type": "bridge",
            "bridge": _BRIDGE,
            "isGateway": True,
            "ipMasq": True,
            "ipam": {"type": "host-local", "ranges": [[addresses]], "routes": [{"dst": "0.0.0.0/0"}]},
        }
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        return {"cniVersion": "1.0.0", "name": _BRIDGE, "plugins": [bridge, ports]}

    @property
    def _file(self) -> Path:
        return self.directory / "subnet"

    @property
    def _outside(self) -> str:
        return f"ib-{zlib.crc32(str(self.directory).encode()):08x}"

    def _address(self, host: int) -> str:
        return f"{self._file.read_text().strip()}.{host}"


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EngineError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
