"""The least that a Job must have, and the check of a manifest against it."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from infrablocks.kubernetes._plain_json import below_pointer
from infrablocks.kubernetes.restart_policy import KubernetesRestartPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

KubernetesManifest = dict[str, Any]
"""A manifest of Kubernetes as plain JSON."""

CONTAINER_NAME = "prefect-job"
"""What the container is called that runs the command, unless a manifest has but one."""

_OF_THE_JOB = ("parallelism", "completions")
_POD_SPEC = "/spec/template/spec"
_CONTAINERS = f"{_POD_SPEC}/containers"


def base_job_manifest() -> KubernetesManifest:
    """Give the least that a Job must have."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"labels": {}},
        "spec": {
            "backoffLimit": 0,
            "parallelism": 1,
            "completions": 1,
            "template": {
                "spec": {
                    "restartPolicy": KubernetesRestartPolicy.NEVER.value,
                    "containers": [{"name": CONTAINER_NAME, "env": []}],
                }
            },
        },
    }


def check_base_manifest(manifest: KubernetesManifest) -> None:
    """Check that a manifest has at least what the base manifest has, and is a Job.

    Args:
        manifest: Plain JSON.

    Raises:
        ValueError: Something is missing, or has a value that does not go with the rest; says all of it, by its path.
    """
    _refuse_incompatible(sorted(_of_another_type(manifest)))
    missing = sorted(_missing(moved_to_the_job(manifest), base_job_manifest(), ""))
    if missing:
        raise ValueError(f"Job is missing required attributes at the following paths: {', '.join(missing)}")
    check_job(manifest)


def check_job(manifest: KubernetesManifest, *names: str) -> None:
    """Check that a manifest is that of a Job, whose parts have the types that they must have.

    Args:
        manifest: Plain JSON.
        *names: What the container may be called that runs the command, where there are several.

    Raises:
        ValueError: It is something else, or it is not clear which container runs the command.
    """
    _refuse_incompatible(sorted(_of_another_type(manifest)))
    problems = [
        f"/{name} must have value {value!r}"
        for name, value in base_job_manifest().items()
        if isinstance(value, str) and manifest.get(name) != value
    ]
    if manifest.get("metadata") is None:
        problems.append("/metadata must be a mapping")
    pod_spec = value_at(manifest, _POD_SPEC) or {}
    if pod_spec.get("restartPolicy") not in [None, *KubernetesRestartPolicy]:
        allowed = " or ".join(repr(policy.value) for policy in KubernetesRestartPolicy)
        problems.append(f"{_POD_SPEC}/restartPolicy must have value {allowed}")
    containers = pod_spec.get("containers") or []
    if not containers:
        problems.append(f"{_CONTAINERS} must have a container")
    elif number_of_container(containers, *names) is None:
        known = " or ".join(repr(name) for name in dict.fromkeys((*names, CONTAINER_NAME)))
        problems.append(f"{_CONTAINERS} must have one with the name {known}, as there are several")
    _refuse_incompatible(sorted(problems))


def number_of_container(containers: list[dict[str, Any]], *names: str) -> int | None:
    """Say which container runs the command; None when it is not clear.

    Args:
        containers: The containers.
        *names: What it is called, the likeliest name first; then `CONTAINER_NAME`, then any where there is but one.
    """
    for name in (*names, CONTAINER_NAME):
        for number, container in enumerate(containers):
            if container.get("name") == name:
                return number
    return 0 if len(containers) == 1 else None


def moved_to_the_job(manifest: KubernetesManifest) -> KubernetesManifest:
    """Copy a manifest, with that in the Job's spec which manifests of Prefect 2 had in the pod's.

    Args:
        manifest: Plain JSON, whose parts are of the right types.
    """
    result = deepcopy(manifest)
    pod_spec = value_at(result, _POD_SPEC) or {}
    for name in _OF_THE_JOB:
        if name in pod_spec:
            value = pod_spec.pop(name)
            result["spec"].setdefault(name, value)
    return result


def completed(manifest: KubernetesManifest) -> KubernetesManifest:
    """Copy a manifest that was checked, with what may be left out filled in."""
    result = moved_to_the_job(manifest)
    if result["spec"].get("backoffLimit") is None:
        result["spec"]["backoffLimit"] = 0
    result["metadata"]["labels"] = result["metadata"].get("labels") or {}
    return result


def value_at(manifest: KubernetesManifest, pointer: str) -> Any:
    """Give the value at a path of names; None when a part of the path is missing."""
    value: Any = manifest
    for name in pointer.split("/")[1:]:
        value = (value or {}).get(name)
    return value


def _missing(value: Any, base: Any, pointer: str) -> Iterator[str]:
    if isinstance(base, dict):
        for name, below in base.items():
            path = below_pointer(pointer, name)
            if name not in (value or {}):
                # A Job that fails is not to be run again unless somebody wants that.
                if name != "backoffLimit":
                    yield path
            else:
                yield from _missing(value[name], below, path)
    elif isinstance(base, list) and base:
        number = number_of_container(value or []) or 0
        path = f"{pointer}/{number}"
        if not value:
            yield path
        else:
            yield from _missing(value[number], base[0], path)


def _of_another_type(manifest: object) -> Iterator[str]:
    """Say what of a manifest is not of the type that it must have."""
    if not isinstance(manifest, dict):
        yield "the manifest must be a mapping"
        return
    for path in ("/metadata", "/spec", "/spec/template", _POD_SPEC, "/spec/template/metadata"):
        if not _is(dict, manifest, path):
            yield f"{path} must be a mapping"
            return
    for path in ("/metadata", "/spec/template/metadata"):
        for name in ("labels", "annotations"):
            if not _is(dict, manifest, f"{path}/{name}"):
                yield f"{path}/{name} must be a mapping"
    for name in ("containers", "initContainers"):
        path = f"{_POD_SPEC}/{name}"
        if not _is(list, manifest, path):
            yield f"{path} must be a list"
            continue
        for number, container in enumerate(value_at(manifest, path) or []):
            yield from _of_another_type_in_container(container, f"{path}/{number}")


def _of_another_type_in_container(container: object, path: str) -> Iterator[str]:
    if not isinstance(container, dict):
        yield f"{path} must be a mapping"
        return
    if not isinstance(container.get("name"), str | None):
        yield f"{path}/name must be text"
    for name in ("", "/requests", "/limits"):
        if not _is(dict, container, f"/resources{name}"):
            yield f"{path}/resources{name} must be a mapping"
            break
    if not _is(list, container, "/env"):
        yield f"{path}/env must be a list"
        return
    for number, variable in enumerate(container.get("env") or []):
        yield from _of_another_type_in_variable(variable, f"{path}/env/{number}")


def _of_another_type_in_variable(variable: object, path: str) -> Iterator[str]:
    if not isinstance(variable, dict) or not isinstance(variable.get("name"), str):
        yield f"{path} must be a mapping with a name"
        return
    for pointer in ("/valueFrom", "/valueFrom/secretKeyRef"):
        if not _is(dict, variable, pointer):
            yield f"{path}{pointer} must be a mapping"
            return


def _is(kind: type, manifest: KubernetesManifest, path: str) -> bool:
    value = value_at(manifest, path)
    return value is None or isinstance(value, kind)


def _refuse_incompatible(problems: list[str]) -> None:
    if problems:
        raise ValueError(f"Job has incompatible values for the following attributes: {', '.join(problems)}")
