"""Kubernetes, built from Go modules: one cluster with a node, and a second control plane without."""

from collections.abc import Mapping, Sequence
from functools import cache

from tests.engines import docker29, images
from tests.engines.cluster import Cluster
from tests.engines.node import GROUP, NAME, PACKAGES, USER, Node


class Kubernetes(Cluster):
    """The cluster of most tests: its node runs pods, which reach the API as pods do everywhere."""

    name = "kubernetes"
    packages = (*Cluster.packages, *PACKAGES)

    @property
    def node(self) -> Node:
        """The one real node."""
        return Node(self.directory, self.control_group)

    def prepare(self) -> None:
        """Build the programs of the node, too."""
        super().prepare()
        docker29.programs()

    def load(self, image: images.Image) -> None:
        """Give an image to the node."""
        self.node.load(self.room, image)

    def is_up(self) -> bool:
        """Tell whether the API server answers and the kubelet runs, without starting anything."""
        return self.node.kubelet.is_alive() and super().is_up()

    def _start(self) -> None:
        self.node.network.choose()
        super()._start()
        kubeconfig = self.kubeconfig_for(
            "node",
            token=self.users.token(USER),
            server=f"https://{self.node.network.machine_address}:{self.ports.api}",
        )
        self.node.start(self.room, self.ports.api, kubeconfig)
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        kubelet = self.node.kubelet
        if kubelet.process is not None:
            self._wait_until(self._node_is_ready, kubelet.process, kubelet.log)

    def _node_is_ready(self) -> bool:
        nodes = self.api("GET", "/api/v1/nodes")["items"]
        conditions = [
            each for node in nodes if node["metadata"]["name"] == NAME for each in node["status"]["conditions"]
        ]
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def _names(self) -> Sequence[str]:
        return [f"IP:{self.node.network.machine_address}"]

    def _more_users(self) -> Mapping[str, str]:
        return {USER: GROUP}

    def _clean(self) -> None:
        super()._clean()
        self.node.network.remove()


class Kubernetes2(Cluster):
    """A second cluster, for tests that talk to two at once. Only fake nodes play its pods."""

    name = "kubernetes2"


@cache
def first() -> Kubernetes:
    """Return the cluster with a node, up or not."""
    return Kubernetes()


@cache
def second() -> Kubernetes2:
    """Return the second cluster, up or not."""
    return Kubernetes2()
