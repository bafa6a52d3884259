"""What is refused when the block is made, by name; and once more when a copy that passed validation by is used."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from infrablocks import InvalidManifest, InvalidSettings
from infrablocks.kubernetes import KubernetesJob
from tests.kubernetes_block.manifests import base_manifest, block

INCOMPATIBLE = "Job has incompatible values for the following attributes: "
CONTAINERS = "/spec/template/spec/containers"


def deep() -> dict[str, Any]:
    manifest: dict[str, Any] = {}
    inner = manifest
    for _ in range(200):
        inner["a"] = inner = {}
    return manifest


def endless() -> dict[str, Any]:
    manifest = base_manifest()
    manifest["metadata"]["annotations"] = manifest
    return manifest


BAD_MANIFESTS: list[tuple[Any, str]] = [
    (
        {},
        "Job is missing required attributes at the following paths: /apiVersion, /kind, /metadata, /spec",
    ),
    (
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {}, "spec": {"template": {"spec": {}}}},
        (
            "Job is missing required attributes at the following paths: /metadata/labels, /spec/completions, "
            "/spec/parallelism, /spec/template/spec/containers, /spec/template/spec/restartPolicy"
        ),
    ),
    (base_manifest() | {"metadata": None}, "at the following paths: /metadata/labels"),
    (base_manifest(containers=[]), f"at the following paths: {CONTAINERS}/0"),
    (base_manifest(containers=None), f"at the following paths: {CONTAINERS}/0"),
    (base_manifest(containers=[{}]), f"at the following paths: {CONTAINERS}/0/env, {CONTAINERS}/0/name"),
    (base_manifest(containers=[{"name": "a"}, {"name": "prefect-job"}]), f"following paths: {CONTAINERS}/1/env"),
    (
        base_manifest() | {"apiVersion": "v1", "kind": "JobbledyJunk"},
        f"{INCOMPATIBLE}/apiVersion must have value 'batch/v1', /kind must have value 'Job'",
    ),
    (base_manifest(restartPolicy="Always"), f"{INCOMPATIBLE}/spec/template/spec/restartPolicy must have value 'OnFail"),
    (
        base_manifest({"name": "a"}, {"name": "b"}),
        f"{INCOMPATIBLE}{CONTAINERS} must have one with the name 'prefect-job', as there are several",
    ),
    (base_manifest() | {"spec": []}, f"{INCOMPATIBLE}/spec must be a mapping"),
    (base_manifest() | {"metadata": {"labels": "a"}}, f"{INCOMPATIBLE}/metadata/labels must be a mapping"),
    (base_manifest(containers={}), f"{INCOMPATIBLE}{CONTAINERS} must be a list"),
    (base_manifest(containers=["a"]), f"{INCOMPATIBLE}{CONTAINERS}/0 must be a mapping"),
    (base_manifest({"name": 1}), f"{INCOMPATIBLE}{CONTAINERS}/0/name must be text"),
    (base_manifest({"name": "a", "env": {}}), f"{INCOMPATIBLE}{CONTAINERS}/0/env must be a list"),
    (base_manifest({"name": "a", "env": ["A=1"]}), f"{INCOMPATIBLE}{CONTAINERS}/0/env/0 must be a mapping with a name"),
    (base_manifest({"name": "a", "env": [{"value": "1"}]}), f"{CONTAINERS}/0/env/0 must be a mapping with a name"),
    (
        base_manifest({"name": "a", "env": [{"name": "A", "valueFrom": "x"}]}),
        f"{CONTAINERS}/0/env/0/valueFrom must be a mapping",
    ),
    (
        base_manifest({"name": "a", "env": [{"name": "A", "valueFrom": {"secretKeyRef": "x"}}]}),
        f"{CONTAINERS}/0/env/0/valueFrom/secretKeyRef must be a mapping",
    ),
    (base_manifest({"name": "a", "resources": []}), f"{CONTAINERS}/0/resources must be a mapping"),
    (base_manifest({"name": "a", "resources": {"limits": 1}}), f"{CONTAINERS}/0/resources/limits must be a mapping"),
    (base_manifest() | {"x": {1: 2}}, "/x has the key 1, which is no text: put it in quotes"),
    (base_manifest() | {"x/y": [b""]}, "/x~1y/0 is of the type bytes, which JSON does not have"),
    (base_manifest() | {"x": float("inf")}, "/x is of the type float, which JSON does not have"),
    (base_manifest() | {"x": SecretStr("s")}, "/x is of the type SecretStr, which JSON does not have"),
    (base_manifest() | {"x": "\ud800"}, "/x holds half of a surrogate pair"),
    (deep(), "is nested more than 100 levels deep"),
    (endless(), "is nested more than 100 levels deep"),
    ([], "Input should be a valid dictionary"),
    ("kind: Job", "Input should be a valid dictionary"),
]


@pytest.mark.parametrize(("manifest", "message"), BAD_MANIFESTS)
def test_manifests(manifest: Any, message: str) -> None:
    """A manifest that is that of no Job is refused; the message says what is wrong by its path."""
    with pytest.raises(ValidationError) as caught:
        block(job=manifest)
    assert message in str(caught.value)
    with pytest.raises(InvalidManifest) as caught_in_copy:
        block().model_copy(update={"job": manifest}, deep=False).build_job()
    assert message in str(caught_in_copy.value)


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"image": ""}, "String should have at least 1 character"),
    ({"image": None}, "Input should be a valid string"),
    ({"namespace": ""}, "'' is not the name of a namespace: 1 to 63 of a-z, 0-9 and '-'"),
    ({"namespace": "a/../b"}, "'a/../b' is not the name of a namespace"),
    ({"namespace": "Default"}, "'Default' is not the name of a namespace"),
    ({"namespace": "a" * 64}, "is not the name of a namespace"),
    ({"namespace": "a-"}, "'a-' is not the name of a namespace"),
    ({"image_pull_policy": "sometimes"}, "Input should be 'IfNotPresent', 'Always' or 'Never'"),
    ({"cluster_config": "here"}, "Input should be a valid dictionary or instance of KubernetesClusterConfig"),
    ({"job_watch_timeout_seconds": 0}, "Input should be greater than 0"),
    ({"pod_watch_timeout_seconds": 0}, "Input should be greater than 0"),
    ({"finished_job_ttl": -1}, "Input should be greater than or equal to 0"),
    ({"finished_job_ttl": 2**31}, "Input should be less than or equal to 2147483647"),
    ({"cpu_request": "much"}, "'much' is not a quantity: a number from 0, or one with a unit, such as '500m'"),
    ({"cpu_request": -1}, "-1 is not a quantity"),
    ({"cpu_limit": "1K"}, "'1K' is not a quantity"),
    ({"cpu_limit": True}, "Input should be a valid integer"),
    ({"memory_limit": "1 Gi"}, "'1 Gi' is not a quantity"),
    ({"memory_limit": "1GiB"}, "'1GiB' is not a quantity"),
    ({"memory_request": ""}, "'' is not a quantity"),
    ({"memory_request": float("nan")}, "nan is not a quantity"),
    ({"memory_request": float("inf")}, "inf is not a quantity"),
    ({"cpu_request": "600m", "cpu_limit": 0.5}, "cpu_request='600m' is more than cpu_limit=0.5"),
    ({"memory_request": "1Gi", "memory_limit": "1G"}, "memory_request='1Gi' is more than memory_limit='1G'"),
    ({"secrets": "none"}, "Input should be 'secret' or 'inline'"),
    ({"env": {"A": ["1"]}}, "Input should be a valid string"),
    ({"env": {"A=B": "1"}}, "'A=B' is not the name of a variable"),
    ({"env": {"": "1"}}, "'' is not the name of a variable"),
    ({"env": {"A\0": "1"}}, "is not the name of a variable"),
    ({"env": {1: "1"}}, "1 is not the name of a variable"),
    ({"env": {"Größe": "1"}}, "'Größe' is not the name of a variable in Kubernetes: it has printable ASCII only"),
    ({"env": {"A": "1\0"}}, "the value of 'A' holds NUL, which no variable can"),
    ({"env": {"A": SecretStr("\ud800")}}, "the value of 'A' holds what is no text: half of a surrogate pair"),
    ({"labels": {"a": 1}}, "Input should be a valid string"),
    ({"on_cancel": "wait"}, "Input should be 'kill' or 'leave'"),
]


@pytest.mark.parametrize(("fields", "message"), BAD_FIELDS)
def test_fields(fields: dict[str, Any], message: str) -> None:
    """Each field refuses what the cluster would refuse, or what cannot be meant."""
    with pytest.raises(ValidationError) as caught:
        KubernetesJob(**fields)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [(fields, message) for fields, message in BAD_FIELDS if "env" not in fields],
)
def test_fields_of_a_copy(fields: dict[str, Any], message: str) -> None:
    """A copy that was given such values is refused when it is used."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - of two kinds, both of the library
        KubernetesJob().model_copy(update=fields).preview()
    assert isinstance(caught.value, InvalidSettings | InvalidManifest)
    assert message in str(caught.value)


def test_variables_of_a_copy() -> None:
    """Neither name nor value of a copy's variables goes unchecked, and no value is shown."""
    with pytest.raises(InvalidSettings, match="env: the value of 'A' must be text or None, not list"):
        KubernetesJob().model_copy(update={"env": {"A": ["s3cret"]}}).preview()
    with pytest.raises(InvalidSettings, match="env: the value of 'A' holds NUL") as caught:
        KubernetesJob().model_copy(update={"env": {"A": "s3cret\0"}}).preview()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "quantity", [0, 1, 0.5, 1e-3, "1", "0.5", ".5", "5.", "1e3", "1E-2", "100m", "1Ki", "2E", "+1"]
)
def test_quantities(quantity: Any) -> None:
    """Everything that the API takes for a quantity that is not negative is one."""
    assert KubernetesJob(cpu_request=quantity).cpu_request == quantity
