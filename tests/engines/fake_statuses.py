"""What a kubelet says of its node and of its pods, as patches of their status."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.engines.fake_scripts import PodScript
from tests.engines.loopback import LOOPBACK

Patch = Mapping[str, Any]

_NODE_INFO = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)


def now() -> str:
    """Return the time as the API writes it, which is in whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def node_status(port: int) -> Patch:
    """Return what a node says of itself every few seconds.

    Args:
        port: Where on loopback it answers requests for logs.
    """
    room = {"cpu": "1000", "memory": "4000Gi", "pods": "10000", "ephemeral-storage": "4000Gi"}
    time = now()
    ready = {"type": "Ready", "status": "True", "reason": "Fake", "message": "", "lastHeartbeatTime": time}
    return {
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{**ready, "lastTransitionTime": time}],
            "addresses": [{"type": "InternalIP", "address": LOOPBACK}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "nodeInfo": dict.fromkeys(_NODE_INFO, "fake"),
        }
    }


@dataclass
class PodStatuses:
    """One pod's statuses, in the order of the methods.

    Args:
        pod: The pod.
        script: What happens to it.
    """

    pod: Mapping[str, Any]
    script: PodScript
    started: str = ""
    restarts: int = 0

    def waiting(self) -> Patch:
        """Return the status of a pod whose containers cannot start."""
        state = {"waiting": {"reason": self.script.waiting, "message": self.script.waiting_message}}
        return self._patch("Pending", self._containers(state), ready=False)

    def running(self) -> Patch:
        """Return the status from the start of the containers on; called again, they have failed in between."""
        before = {}
        if self.started:
            before = {"terminated": {"exitCode": 1, "reason": "Error", **self._times()}}
            self.restarts += 1
        self.started = now()
        containers = self._containers({"running": {"startedAt": self.started}}, last_state=before)
        return self._patch("Running", containers, ready=True)

    def exited(self, code: int, reason: str = "") -> Patch:
        """Return the status after the first container's end with this exit code; the others' is 0.

        Args:
            code: The exit code.
            reason: Why, if it is not plain from the code.
        """
        containers = self._containers(self._terminated(code, reason))
        for other in containers[1:]:
            other["state"] = self._terminated(0, "")
        return self._patch("Failed" if code else "Succeeded", containers, ready=False)

    def evicted(self) -> Patch:
        """Return the status of a pod that the kubelet has ended to get back memory: nothing is said of containers."""
        message = self.script.message or "The node was low on resource: memory."
        patch = self._patch("Failed", None, ready=False)
        disrupted = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": message}
        conditions = [*patch["status"]["conditions"], {**disrupted, "lastTransitionTime": now()}]
        return {
            **patch,
            "status": {**patch["status"], "conditions": conditions, "reason": "Evicted", "message": message},
        }

    def _terminated(self, code: int, reason: str) -> dict[str, Any]:
        ended = {"exitCode": code, "reason": reason or ("Error" if code else "Completed"), **self._times()}
        return {"terminated": {**ended, "message": self.script.message} if self.script.message else ended}

    def _times(self) -> dict[str, str]:
        return {"startedAt": self.started, "finishedAt": now(), "containerID": self._container_id}

    @property
    def _container_id(self) -> str:
        return f"fake://{self.pod['metadata']['uid']}-{self.restarts}"

    def _containers(
        self, state: Mapping[str, Any], last_state: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        status = {
            "state": state,
            "lastState": last_state or {},
            "ready": "running" in state,
            "started": "running" in state,
            "restartCount": self.restarts,
            "imageID": "fake" if self.started else "",
            "containerID": self._container_id if self.started else "",
        }
        containers = self.pod["spec"]["containers"]
        return [{"name": each["name"], "image": each["image"], **status} for each in containers]

    def _patch(self, phase: str, containers: list[dict[str, Any]] | None, *, ready: bool) -> dict[str, Any]:
        time = now()
        answers = {"Initialized": True, "Ready": ready, "ContainersReady": ready, "PodScheduled": True}
        conditions = [
            {"type": name, "status": str(answer), "lastTransitionTime": time} for name, answer in answers.items()
        ]
        status = {
            "phase": phase,
            "conditions": conditions,
            "containerStatuses": containers,
            "hostIP": LOOPBACK,
            "podIP": "192.0.2.10",
            "startTime": self.pod["metadata"]["creationTimestamp"],
        }
        # With the uid, a pod of the same name that came later is left alone.
        return {"metadata": {"uid": self.pod["metadata"]["uid"]}, "status": status}
