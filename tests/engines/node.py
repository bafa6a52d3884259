"""A node: containerd and a kubelet in a room of their own."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from tests.engines import api_forwarding, cgroups, docker29, images, kubernetes_programs
from tests.engines.daemons import Daemon
from tests.engines.errors import EngineError, tail
from tests.engines.limits import PATIENCE
from tests.engines.namespaces import Namespace
from tests.engines.node_network import NodeNetwork
from tests.engines.processes import SYSTEM_PATH

PACKAGES = (*docker29.Docker29.packages, *images.PACKAGES, "containernetworking-plugins", "procps")
NAME = "infrablocks-node"
USER, GROUP = f"system:node:{NAME}", "system:nodes"

# A kubelet wants these for the whole machine, and changes them where they are not so. Here they already read right.
_FURNISH = """
mount -t tmpfs -o mode=755 log /var/log
for setting in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
    file=/run/sysctl-$(echo "${setting%=*}" | tr / -)
    echo "${setting#*=}" > "$file"
    mount --bind "$file" "/proc/sys/${setting%=*}"
done
"""

# restrict_oom_score_adj: root may lack the right to lower one.
_CONTAINERD = Template("""
version = 3
root = "$directory/containerd"
[plugins."io.containerd.internal.v1.opt"]
  path = "$directory/opt"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "$pause"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "$directory/cni"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = false
""")
_SOCKET = "/run/containerd/containerd.sock"  # the room's


@dataclass(frozen=True)
class Node:
    """The node of a cluster, which goes with the cluster's room.

    Args:
        directory: The cluster's directory.
        control_group: Below this group are those of its pods.
    """

    directory: Path
    control_group: str

    @property
    def kubelet(self) -> Daemon:
        """What runs pods, and tells of their state."""
        return Daemon("kubelet", self.directory)

    @property
    def network(self) -> NodeNetwork:
        """The addresses of node, machine and pods."""
        return NodeNetwork(self.directory)

    def start(self, room: Namespace, port: int, kubeconfig: Path) -> None:
        """Start everything; the node is not ready yet.

        Args:
            room: The cluster's room.
            port: Where on loopback the API server listens.
            kubeconfig: The node's kubeconfig file, whose server is at that port of `NodeNetwork.machine_address`.
        """
        self.network.create(room, port)
        room.run(["sh", "-ec", _FURNISH])
        cgroups.create(self.control_group)
        forwarding = [sys.executable, "-I", api_forwarding.__file__, self.network.machine_address, str(port)]
        Daemon("api-forwarding", self.directory).launch(room, forwarding, {}, own_network=False)
        self._start_containerd(room)
        self.load(room, images.pause())
        self.load(room, images.busybox())
        self.start_kubelet(room, kubeconfig)

    def start_kubelet(self, room: Namespace, kubeconfig: Path) -> None:
        """Start the kubelet, for the first time or again."""
        configuration = self.directory / "kubelet.json"
        configuration.write_text(json.dumps(self._kubelet_configuration(), indent=1) + "\n")
        command = [
            str(kubernetes_programs.kubernetes() / "kubelet"),
            f"--config={configuration}",
            f"--kubeconfig={kubeconfig}",
            f"--root-dir={self.directory / 'kubelet'}",
            f"--cert-dir={self.directory / 'kubelet' / 'pki'}",
            f"--hostname-override={NAME}",
            f"--node-ip={self.network.node_address}",
        ]
        self.kubelet.launch(room, command, self._environment, own_network=True)

    def load(self, room: Namespace, image: images.Image) -> None:
        """Load an image."""
        archive = self.directory / "image.tar"
        archive.write_bytes(image.archive())
        try:
            self.load_archive(room, archive)
        finally:
            archive.unlink()

    def load_archive(self, room: Namespace, archive: Path) -> None:
        """Load an image from a file, as ``docker save`` writes it."""
        room.run(["ctr", "--namespace", "k8s.io", "images", "import", str(archive)], environment=self._environment)

    def has_image(self, room: Namespace, reference: str) -> bool:
        """Tell whether there is an image of this name."""
        command = ["ctr", "--namespace", "k8s.io", "images", "list", "--quiet", f"name=={reference}"]
        return bool(room.run(command, environment=self._environment).strip())

    @property
    def _environment(self) -> Mapping[str, str]:
        return {"PATH": f"{docker29.programs()}:{SYSTEM_PATH}", "HOME": str(self.directory)}

    def _start_containerd(self, room: Namespace) -> None:
        configuration = self.directory / "containerd.toml"
        configuration.write_text(_CONTAINERD.substitute(directory=self.directory, pause=images.PAUSE))
        network = self.directory / "cni" / "pods.conflist"
        network.parent.mkdir()
        network.write_text(json.dumps(self.network.cni_configuration(), indent=1) + "\n")
        containerd = Daemon("containerd", self.directory)
        containerd.launch(room, ["containerd", "--config", str(configuration)], self._environment, own_network=True)
        _wait_until(lambda: self._containerd_answers(room), containerd)

    def _containerd_answers(self, room: Namespace) -> bool:
        try:
            room.run(["ctr", "version"], environment=self._environment)
        except EngineError:
            return False
        return True

    def _kubelet_configuration(self) -> Mapping[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.network.node_address,
            "containerRuntimeEndpoint": f"unix://{_SOCKET}",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": str(self.directory / "tls" / "ca.pem")},
            },
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.control_group}",
            "failCgroupV1": False,
            "failSwapOn": False,
            # Root may lack the right to lower the first, or to raise the second.
            "oomScoreAdj": 0,
            "maxOpenFiles": 20000,
            "enforceNodeAllocatable": [],
            # The disk is the machine's, and others fill it.
            "evictionHard": dict.fromkeys(("nodefs.available", "imagefs.available", "nodefs.inodesFree"), "1%")
            | {"memory.available": "50Mi"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "maxPods": 230,
            "nodeLeaseDurationSeconds": 12,
            "containerLogMonitorInterval": "3s",
            "makeIPTablesUtilChains": False,
            # There is no DNS, which pods are told at once; without these, every pod would come with a warning.
            "resolvConf": "",
            "clusterDNS": [self.network.node_address],
            "clusterDomain": "cluster.local",
            "volumePluginDir": str(self.directory / "kubelet" / "plugins"),
        }


def _wait_until(ready: Callable[[], bool], daemon: Daemon) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if not daemon.is_alive():
            raise EngineError(f"{daemon.name} ended before it was ready; {tail(daemon.log)}")
        if time.monotonic() > deadline:
            raise EngineError(f"{daemon.name} is not ready after {PATIENCE:g} s; {tail(daemon.log)}")
        time.sleep(0.05)
