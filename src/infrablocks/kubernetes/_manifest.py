"""The manifest of a Job. Pure: every outside fact is an argument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infrablocks import _environment
from infrablocks.exceptions import InvalidManifest
from infrablocks.kubernetes._base_manifest import (
    KubernetesManifest,
    check_job,
    completed,
    number_of_container,
)
from infrablocks.kubernetes._customizations import customized
from infrablocks.kubernetes._expansion import with_its_dollars
from infrablocks.kubernetes._labels import OF_THE_CLUSTER, kubernetes_labels
from infrablocks.kubernetes._names import check_namespace, generate_name
from infrablocks.kubernetes._quantities import is_in_thousandths_of_bytes
from infrablocks.kubernetes._settings import SECRET_NAME_PLACEHOLDER, JobSettings
from infrablocks.kubernetes._variables import ContainerVariables, container_variables, masked_variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import SecretStr

    from infrablocks.kubernetes.job import KubernetesJob


def job_settings(
    block: KubernetesJob, base_environment: Mapping[str, str], *, masked: bool = False, before_it_is_run: bool = False
) -> JobSettings:
    """Build the settings of a Job: the block's manifest, its shortcuts, and over these its customizations.

    Args:
        block: The block to run, with fields that validation has passed.
        base_environment: The Prefect settings in force.
        masked: Whether secrets that the manifest itself holds are masked.
        before_it_is_run: Only check whether it can be built, as far as that can be told without these settings.

    Raises:
        InvalidManifest: The customizations do not fit, or make something else of it than a Job.
        ValueError: A field that validation would have refused.
    """
    manifest = completed(block.job)
    containers = manifest["spec"]["template"]["spec"]["containers"]
    container = containers[number_of_container(containers) or 0]
    original_name = container["name"]
    labels, labels_note = kubernetes_labels(block.labels)
    variables = _variables(block, container, base_environment, masked=masked)
    _set_metadata(manifest, block, labels)
    _set_pod(manifest, block, labels)
    _set_container(container, block, variables)
    manifest = customized(manifest, block.customizations, before_it_is_run=before_it_is_run)
    name, namespace = _checked_result(manifest, original_name, block.namespace)
    return JobSettings(
        manifest=masked_variables(manifest) if masked else manifest,
        secret_values=_values_referred_to(manifest, variables),
        namespace=namespace,
        container=name,
        cluster_config=block.cluster_config,
        start_seconds=float(block.pod_watch_timeout_seconds),
        stream_output=block.stream_output,
        notes=(labels_note,) if labels_note else (),
        warnings=tuple(_warnings(block)),
    )


def _is_given(block: KubernetesJob, field: str) -> bool:
    """Say whether a field was given, by whatever way, and not left to its default."""
    return field in block.model_fields_set


def _variables(
    block: KubernetesJob, container: Mapping[str, Any], base_environment: Mapping[str, str], *, masked: bool
) -> ContainerVariables:
    def inline(value: SecretStr) -> str:
        return _environment.MASK if masked else value.get_secret_value()

    return container_variables(
        _environment.checked_environment(block.env),
        container.get("env") or [],
        _environment.portable_settings(base_environment),
        inline if block.secrets == "inline" else None,
    )


def _set_metadata(manifest: KubernetesManifest, block: KubernetesJob, labels: Mapping[str, str]) -> None:
    metadata = manifest["metadata"]
    if _is_given(block, "namespace") or not metadata.get("namespace"):
        metadata["namespace"] = block.namespace
    metadata["labels"].update(labels)
    if block.name:
        # With both, the API takes the name, which a second run could not have again.
        metadata.pop("name", None)
    if block.name or not (metadata.get("name") or metadata.get("generateName")):
        metadata["generateName"] = generate_name(block.name, block.command, block.env)


def _set_pod(manifest: KubernetesManifest, block: KubernetesJob, labels: Mapping[str, str]) -> None:
    spec, template = manifest["spec"], manifest["spec"]["template"]
    of_the_pod = {key: value for key, value in labels.items() if key not in OF_THE_CLUSTER}
    if of_the_pod:
        metadata = template["metadata"] = template.get("metadata") or {}
        metadata["labels"] = {**(metadata.get("labels") or {}), **of_the_pod}
    if block.service_account_name:
        template["spec"]["serviceAccountName"] = block.service_account_name
    if block.finished_job_ttl is not None:
        spec["ttlSecondsAfterFinished"] = block.finished_job_ttl


def _set_container(container: dict[str, Any], block: KubernetesJob, variables: ContainerVariables) -> None:
    if _is_given(block, "image") or not container.get("image"):
        container["image"] = block.image
    if block.image_pull_policy is not None:
        container["imagePullPolicy"] = block.image_pull_policy.value
    has_its_own_command = container.get("command") or container.get("args")
    if block.command and (_is_given(block, "command") or not has_its_own_command):
        container["command"] = [with_its_dollars(part) for part in block.command]
    container["env"] = variables.entries
    for kind, amounts in _resources(block).items():
        resources = container["resources"] = container.get("resources") or {}
        resources[kind] = {**(resources.get(kind) or {}), **amounts}


def _resources(block: KubernetesJob) -> dict[str, dict[str, str]]:
    wanted = {
        "requests": {"cpu": block.cpu_request, "memory": block.memory_request},
        "limits": {"cpu": block.cpu_limit, "memory": block.memory_limit},
    }
    given = {
        kind: {name: str(amount) for name, amount in amounts.items() if amount is not None}
        for kind, amounts in wanted.items()
    }
    return {kind: amounts for kind, amounts in given.items() if amounts}


def _checked_result(manifest: Any, name: str, namespace: str) -> tuple[str, str]:
    """Check what the customizations have made, and say which container runs the command, and in which namespace.

    Args:
        manifest: What they have made.
        name: What the container was called before.
        namespace: The block's, for a manifest that has none any more.
    """
    try:
        check_job(manifest, name)
        namespace = manifest["metadata"].setdefault("namespace", namespace)
        if not isinstance(namespace, str):
            raise ValueError(f"/metadata/namespace must be text, not {type(namespace).__name__}")  # noqa: TRY004, TRY301
        check_namespace(namespace)
    except ValueError as error:
        raise InvalidManifest(f"With its customizations: {error}") from error
    containers = manifest["spec"]["template"]["spec"]["containers"]
    return containers[number_of_container(containers, name) or 0].get("name", name), namespace


def _values_referred_to(manifest: KubernetesManifest, variables: ContainerVariables) -> dict[str, SecretStr]:
    """Give the secret values that a customization has not taken away again."""
    references = [(variable.get("valueFrom") or {}).get("secretKeyRef") or {} for variable in _entries(manifest)]
    keys = {reference.get("key") for reference in references if reference.get("name") == SECRET_NAME_PLACEHOLDER}
    return {key: value for key, value in variables.secret_values.items() if key in keys}


def _entries(manifest: KubernetesManifest) -> Iterator[dict[str, Any]]:
    spec = manifest["spec"]["template"]["spec"]
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        yield from container.get("env") or []


def _warnings(block: KubernetesJob) -> Iterator[str]:
    for field in ("memory_request", "memory_limit"):
        value = getattr(block, field)
        if is_in_thousandths_of_bytes(value):
            yield f"{field}={value!r} is in thousandths of bytes: 'Mi' or 'M' are for millions of bytes."
