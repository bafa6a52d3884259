"""What a Job is made with, as data: what `preview` shows and `run` sends."""

from __future__ import annotations

import base64
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from infrablocks.kubernetes.cluster import KubernetesClusterConfig

RUN_LABEL = "infrablocks.io/run-id"
"""The label of every Job that a run makes and of its pods; its value is the run's own."""

CONTAINER_ANNOTATION = "infrablocks.io/container"
"""The annotation of a Job that says which of its containers runs the command."""

HOST_ANNOTATION = "infrablocks.io/agent-host"
"""The annotation that says where something can be known of the agents that watch a Job."""

SECRET_NAME_PLACEHOLDER = "infrablocks-secret-of-this-run"  # noqa: S105 - the name of a Secret, no secret
"""Stands in a manifest where the name of the run's Secret will be."""


@dataclass(frozen=True)
class JobSettings:
    """What `preview` shows and `run` sends.

    Attributes:
        manifest: The Job, plain JSON, with all customizations. Secret variables refer to a Secret of the name
            `SECRET_NAME_PLACEHOLDER`, unless they are in it themselves.
        secret_values: What goes into the Secret, by its keys there, which are the names of variables where these can be
            keys; empty: none is made.
        namespace: The namespace of the Job, always the one in the manifest.
        container: Name of the container that runs the command.
        cluster_config: Which cluster; None: that of the environment.
        start_seconds: How long a pod may take to start.
        stream_output: Whether anybody reads what it prints.
        notes: What is told when the Job is made.
        warnings: What is likely a mistake.
    """

    manifest: Mapping[str, Any] = field(repr=False)
    secret_values: Mapping[str, SecretStr]
    namespace: str
    container: str
    cluster_config: KubernetesClusterConfig | None
    start_seconds: float
    stream_output: bool
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def secret_name(self, run_id: str) -> str:
        """Give the name of the Secret of one run."""
        return f"infrablocks-{run_id}"

    def job_for_run(self, run_id: str, agent_host: str | None = None) -> dict[str, Any]:
        """Give the manifest of one run: marked as its own, and referring to its own Secret.

        Args:
            run_id: Which run.
            agent_host: Where something can be known of its agent.
        """
        job = _renamed(deepcopy(dict(self.manifest)), self.secret_name(run_id))
        template = job["spec"]["template"]
        template["metadata"] = template.get("metadata") or {}
        for metadata in (job["metadata"], template["metadata"]):
            metadata["labels"] = {**(metadata.get("labels") or {}), RUN_LABEL: run_id}
        metadata = job["metadata"]
        metadata["annotations"] = {**(metadata.get("annotations") or {}), CONTAINER_ANNOTATION: self.container}
        if agent_host is not None:
            metadata["annotations"][HOST_ANNOTATION] = agent_host
        return job

    def secret_for_run(self, run_id: str, job: Mapping[str, Any], agent_host: str | None = None) -> dict[str, Any]:
        """Give the manifest of the Secret of one run, owned by its Job and deleted with it.

        https://kubernetes.io/docs/concepts/architecture/garbage-collection/#owners-dependents

        Args:
            run_id: Which run.
            job: The Job as the cluster has it.
            agent_host: Where something can be known of its agent.
        """
        owner = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": job["metadata"]["name"],
            "uid": job["metadata"]["uid"],
        }
        values = {
            name: base64.b64encode(value.get_secret_value().encode()).decode()
            for name, value in self.secret_values.items()
        }
        metadata: dict[str, Any] = {
            "name": self.secret_name(run_id),
            "namespace": self.namespace,
            "labels": {RUN_LABEL: run_id},
            "ownerReferences": [owner],
        }
        if agent_host is not None:
            metadata["annotations"] = {HOST_ANNOTATION: agent_host}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": values}


def _renamed(job: dict[str, Any], secret_name: str) -> dict[str, Any]:
    spec = job["spec"]["template"]["spec"]
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        for variable in container.get("env") or []:
            reference = (variable.get("valueFrom") or {}).get("secretKeyRef") or {}
            if reference.get("name") == SECRET_NAME_PLACEHOLDER:
                reference["name"] = secret_name
    return job
