"""Manifests and patches of any shape: what is refused is refused with an error that says so."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings, strategies as st
from jsonpatch import JsonPatch
from pydantic import ValidationError

from infrablocks.kubernetes import KubernetesJob
from infrablocks.kubernetes._manifest import job_settings
from tests.kubernetes_block.manifests import BASE, base_manifest, secret_variable

PLACES = [
    "",
    "/apiVersion",
    "/kind",
    "/metadata",
    "/metadata/labels",
    "/metadata/annotations",
    "/metadata/name",
    "/metadata/generateName",
    "/metadata/namespace",
    "/spec",
    "/spec/backoffLimit",
    "/spec/template",
    "/spec/template/metadata",
    "/spec/template/metadata/labels",
    "/spec/template/spec",
    "/spec/template/spec/parallelism",
    "/spec/template/spec/restartPolicy",
    "/spec/template/spec/initContainers",
    "/spec/template/spec/containers",
    "/spec/template/spec/containers/-",
    "/spec/template/spec/containers/0",
    "/spec/template/spec/containers/0/name",
    "/spec/template/spec/containers/0/resources",
    "/spec/template/spec/containers/0/resources/limits",
    "/spec/template/spec/containers/0/env",
    "/spec/template/spec/containers/0/env/-",
    "/spec/template/spec/containers/0/env/0",
    "/spec/template/spec/containers/0/env/0/valueFrom",
    "/spec/template/spec/containers/0/env/0/valueFrom/secretKeyRef",
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
LIKELY: st.SearchStrategy[Any] = st.sampled_from(
    [
        {},
        [],
        [{}],
        None,
        "",
        {"name": "A"},
        {"name": "prefect-job", "env": []},
        [{"name": "A", "value": "1"}],
        {"a": None},
    ]
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove", "move", "copy", "test"]), "path": st.sampled_from(PLACES)},
    optional={"value": JSON | LIKELY, "from": st.sampled_from(PLACES)},
)
FIELDS: dict[str, Any] = {**BASE, "labels": {"a": "b"}, "env": {"B": "1"}, "cpu_limit": 1}


def made_with(**fields: Any) -> KubernetesJob | None:
    try:
        return KubernetesJob(**FIELDS, **fields)
    except ValidationError:
        return None


def check_settings(job: KubernetesJob) -> None:
    """Check what sending relies on."""
    settings = job_settings(job, {"PREFECT_API_KEY": "key"})
    for manifest in (settings.manifest, settings.job_for_run("0f" * 16)):
        json.dumps(manifest, allow_nan=False).encode()
        containers = manifest["spec"]["template"]["spec"]["containers"]
        assert settings.container in [container.get("name", settings.container) for container in containers]
        assert manifest["metadata"]["namespace"] == settings.namespace
    assert job.preview()


@given(JSON)
def test_anything_for_a_manifest(manifest: Any) -> None:
    """Only what is a Job is taken for one."""
    assert made_with(job=manifest) is None


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(PLACES), JSON | LIKELY), min_size=1, max_size=3))
def test_a_manifest_with_anything_in_it(changes: list[tuple[str, Any]]) -> None:
    """A manifest with parts of any kind is refused, or gives settings that can be sent."""
    manifest: Any = base_manifest({"name": "prefect-job", "env": [secret_variable("X")]})
    for place, value in changes:
        operation = {"op": "add", "path": place, "value": value}
        try:
            manifest = JsonPatch([operation]).apply(manifest)
        except Exception:  # noqa: BLE001 - this place is not there any more
            continue
    job = made_with(job=manifest)
    if job is not None:
        check_settings(job)


@settings(max_examples=50)
@given(st.lists(OPERATIONS, max_size=4))
def test_any_patch(operations: list[dict[str, Any]]) -> None:
    """A patch is refused, or gives settings that can be sent."""
    job = made_with(customizations=operations)
    if job is not None:
        numbered = any(
            "/env/0" in operation[name] for operation in operations for name in ("path", "from") if name in operation
        )
        if not numbered:
            check_settings(job)


@settings(max_examples=50)
@given(JSON | st.lists(JSON) | st.text())
def test_anything_for_a_patch(patch: Any) -> None:
    """Only a list of operations, or its JSON text, is taken for a patch."""
    job = made_with(customizations=patch)
    assert job is None or job.customizations == JsonPatch([])
