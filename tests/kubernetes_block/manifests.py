"""Manifests that tests compare with and start from."""

from __future__ import annotations

from typing import Any

from infrablocks.kubernetes import KubernetesJob
from infrablocks.kubernetes._manifest import job_settings
from infrablocks.kubernetes._settings import SECRET_NAME_PLACEHOLDER

BASE: dict[str, Any] = {"image": "busybox:1.36", "command": ["true"], "name": "j"}
"""Fields of the block whose manifest is `expected()`."""


def block(**fields: Any) -> KubernetesJob:
    """Make the block, with further fields."""
    return KubernetesJob(**{**BASE, **fields})


def build(job: KubernetesJob, base_environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Build the manifest of a block, where these Prefect settings are in force."""
    return dict(job_settings(job, base_environment or {}).manifest)


def expected(
    *,
    metadata: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    template: dict[str, Any] | None = None,
    pod: dict[str, Any] | None = None,
    container: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Give the manifest of the plain block, with what is to be different in its parts."""
    of_the_container = {"name": "prefect-job", "image": "busybox:1.36", "command": ["true"], "env": []}
    of_the_pod = {"restartPolicy": "Never", "containers": [{**of_the_container, **(container or {})}]}
    of_the_template = {**(template or {}), "spec": {**of_the_pod, **(pod or {})}}
    of_the_spec = {"backoffLimit": 0, "parallelism": 1, "completions": 1}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"labels": {}, "namespace": "default", "generateName": "j-", **(metadata or {})},
        "spec": {**of_the_spec, **(spec or {}), "template": of_the_template},
    }


def base_manifest(*containers: dict[str, Any], **pod: Any) -> dict[str, Any]:
    """Give a manifest as a user writes it, for `job`."""
    manifest = KubernetesJob.base_job_manifest()
    manifest["spec"]["template"]["spec"].update(pod)
    if containers:
        manifest["spec"]["template"]["spec"]["containers"] = [{"env": [], **container} for container in containers]
    return manifest


def secret_variable(name: str, key: str | None = None) -> dict[str, Any]:
    """Give the entry of a variable that is in the Secret of the run."""
    return {
        "name": name,
        "valueFrom": {"secretKeyRef": {"name": SECRET_NAME_PLACEHOLDER, "key": name if key is None else key}},
    }
