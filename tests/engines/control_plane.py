"""The command lines of a control plane: etcd, the API server, the controllers and the scheduler."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Self

from tests.engines import kubernetes_programs
from tests.engines.errors import EngineError
from tests.engines.loopback import LOOPBACK, is_free

SERVICE_ADDRESS = "10.96.0.1"
"""What pods know as the address of the API."""

# Below the ports that the kernel gives to clients, so that nobody takes one while a program restarts.
_PORTS = range(26440, 26500)

# The API server publishes an address of its own, which may not be loopback. Nobody asks for it here.
_NOBODYS_ADDRESS = "192.0.2.1"

# A lost node is noticed within a minute, and its pods are given up soon after that; the defaults would be almost six
# minutes. A node that has too little of a busy machine is not lost.
_NODE_GRACE, _TOLERATION = "40s", 10


@dataclass(frozen=True)
class Ports:
    """The ports of one control plane, on the machine's loopback address."""

    api: int
    etcd: int
    etcd_peers: int

    @classmethod
    def choose(cls) -> Self:
        """Return some that are free now."""
        free = list(islice(filter(is_free, _PORTS), 3))
        if len(free) < 3:
            raise EngineError(f"no three free ports among {_PORTS}")
        return cls(*free)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            FileNotFoundError: It never did.
        """
        return cls(**json.loads(path.read_text()))

    def write(self, path: Path) -> None:
        """Keep them, so that the API server comes back on the same port."""
        path.write_text(json.dumps(asdict(self)) + "\n")


@dataclass(frozen=True)
class ControlPlane:
    """What the command lines are made of.

    Args:
        directory: Where data, certificates and kubeconfig files are.
        ports: Where the programs listen.
    """

    directory: Path
    ports: Ports

    def etcd(self) -> Sequence[str]:
        """Return the command of etcd. No fsync: nobody needs the data after the machine has crashed."""
        client, peer = (f"http://{LOOPBACK}:{port}" for port in (self.ports.etcd, self.ports.etcd_peers))
        return [
            str(kubernetes_programs.etcd()),
            "--name=only",
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=only={peer}",
            "--unsafe-no-fsync",
            "--quota-backend-bytes=4294967296",
            "--auto-compaction-retention=5m",
        ]

    def api_server(self) -> Sequence[str]:
        """Return the command of the API server, which only this machine can reach."""
        tls = self.directory / "tls"
        return [
            str(kubernetes_programs.kubernetes() / "kube-apiserver"),
            f"--etcd-servers=http://{LOOPBACK}:{self.ports.etcd}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={self.ports.api}",
            f"--advertise-address={_NOBODYS_ADDRESS}",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--tls-cert-file={tls / 'server.pem'}",
            f"--tls-private-key-file={tls / 'server-key.pem'}",
            f"--client-ca-file={tls / 'ca.pem'}",
            f"--kubelet-client-certificate={tls / 'client' / 'cert.pem'}",
            f"--kubelet-client-key={tls / 'client' / 'key.pem'}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--token-auth-file={self.directory / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={tls / 'server.pem'}",
            f"--service-account-signing-key-file={tls / 'server-key.pem'}",
            f"--default-not-ready-toleration-seconds={_TOLERATION}",
            f"--default-unreachable-toleration-seconds={_TOLERATION}",
        ]

    def controller_manager(self) -> Sequence[str]:
        """Return the command of the controllers, fast enough for thousands of Jobs at once."""
        tls = self.directory / "tls"
        return [
            str(kubernetes_programs.kubernetes() / "kube-controller-manager"),
            *self._client_options("controller-manager"),
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={tls / 'server-key.pem'}",
            f"--root-ca-file={tls / 'ca.pem'}",
            f"--node-monitor-grace-period={_NODE_GRACE}",
        ]

    def scheduler(self) -> Sequence[str]:
        """Return the command of the scheduler."""
        return [str(kubernetes_programs.kubernetes() / "kube-scheduler"), *self._client_options("scheduler")]

    def kubeconfig(self, name: str) -> Path:
        """Return where a program's kubeconfig file is."""
        return self.directory / "kubeconfigs" / name

    def _client_options(self, name: str) -> Sequence[str]:
        return [
            f"--kubeconfig={self.kubeconfig(name)}",
            "--secure-port=0",  # the default port is the same for all clusters
            "--leader-elect=false",
            "--kube-api-qps=300",
            "--kube-api-burst=600",
        ]
