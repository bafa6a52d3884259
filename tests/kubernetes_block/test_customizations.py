"""JSON patches: how they are given, what they do, and what they say when they do not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonpatch import JsonPatch
from pydantic import ValidationError

from infrablocks import InvalidManifest
from infrablocks.kubernetes import KubernetesJob
from infrablocks.kubernetes._customizations import customized
from tests.kubernetes_block.manifests import block, build, expected

PATCH = [{"op": "add", "path": "/metadata/annotations", "value": {"a": "1"}}]
CONTAINER = "/spec/template/spec/containers/0"


@pytest.mark.parametrize(
    "given", [PATCH, tuple(PATCH), json.dumps(PATCH), json.dumps(PATCH).encode(), JsonPatch(PATCH)]
)
def test_how_a_patch_is_given(given: Any) -> None:
    """A list, its JSON text and a JsonPatch are the same; it is written as a list."""
    job = block(customizations=given)
    assert job.customizations == JsonPatch(PATCH)
    assert job.model_dump()["customizations"] == PATCH
    assert json.loads(job.model_dump_json())["customizations"] == PATCH
    assert KubernetesJob.model_validate(job.model_dump(exclude_unset=True)) == job
    assert build(job) == expected(metadata={"annotations": {"a": "1"}})


@pytest.mark.parametrize(
    ("operation", "parts"),
    [
        (
            {"op": "add", "path": "/metadata/annotations/a~1b", "value": "1"},
            {"metadata": {"annotations": {"a/b": "1"}}},
        ),
        (
            {"op": "add", "path": "/spec/template/spec/securityContext/seccompProfile/type", "value": "RuntimeDefault"},
            {"pod": {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}},
        ),
        ({"op": "add", "path": "/spec/template/spec/volumes", "value": []}, {"pod": {"volumes": []}}),
        ({"op": "replace", "path": "/spec/backoffLimit", "value": 2}, {"spec": {"backoffLimit": 2}}),
        ({"op": "add", "path": f"{CONTAINER}/env/-", "value": {"name": "A"}}, {"container": {"env": [{"name": "A"}]}}),
        (
            {"op": "copy", "from": "/metadata/namespace", "path": "/metadata/labels/n"},
            {"metadata": {"labels": {"n": "default"}}},
        ),
        ({"op": "test", "path": "/kind", "value": "Job"}, {}),
    ],
)
def test_operations(operation: dict[str, Any], parts: dict[str, Any]) -> None:
    """Each does what RFC 6902 says; the mappings above what is added are made."""
    assert build(block(customizations=[operation])) == expected(**parts)


def test_they_come_last() -> None:
    """A patch wins over every shortcut, and its operations see each other's results."""
    patch = [
        {"op": "replace", "path": f"{CONTAINER}/image", "value": "patched:1"},
        {"op": "test", "path": f"{CONTAINER}/image", "value": "patched:1"},
        {"op": "move", "from": f"{CONTAINER}/command", "path": f"{CONTAINER}/args"},
    ]
    container = expected()["spec"]["template"]["spec"]["containers"][0]
    del container["command"]
    container |= {"image": "patched:1", "args": ["true"]}
    assert build(block(customizations=patch)) == expected(pod={"containers": [container]})


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"op": "add"}, "a JSON patch is a list of operations, not a mapping"),
        (3, "a JSON patch is a list of operations, not int"),
        (None, "a JSON patch is a list of operations, not nothing"),
        ("[{", "it is not valid JSON: "),
        ('{"op": 1}', "a JSON patch is a list of operations, not a mapping"),
        ([1], "operation 0: it is a mapping with op and path, not int"),
        (["add"], "operation 0: it is a mapping with op and path, not text"),
        ([*PATCH, {"op": "ad", "path": ""}], "operation 1: 'ad' is not an op; one of: add, remove, replace, move"),
        ([{"path": ""}], "operation 0: op is missing"),
        ([{"op": ["add"], "path": ""}], "operation 0: ['add'] is not an op"),
        ([{"op": "add", "path": "/a"}], "operation 0: value is missing, which 'add' needs"),
        ([{"op": "add", "value": 1}], "operation 0: path is missing, which 'add' needs"),
        ([{"op": "move", "path": "/a"}], "operation 0: from is missing, which 'move' needs"),
        ([{"op": "remove", "path": 1}], "operation 0: path must be text, not int"),
        ([{"op": "remove", "path": "a"}], "operation 0: the path 'a' is no JSON pointer"),
        ([{"op": "remove", "path": "/a~2"}], "operation 0: the path '/a~2' is no JSON pointer"),
        ([{"op": "add", "path": "/a", "value": {1, 2}}], "operation 0: /value is of the type set, which JSON does not"),
        ([{"op": "add", "path": "/a", "value": {"b": [float("nan")]}}], "operation 0: /value/b/0 is of the type float"),
        (
            [*PATCH, {"op": "remove", "path": "/spec/gone/x"}],
            "customizations: operation 1 (remove /spec/gone/x) does not fit: /spec/gone is missing",
        ),
        (
            [{"op": "replace", "path": "/metadata/gone", "value": 1}],
            "customizations: operation 0 (replace /metadata/gone) does not fit: /metadata/gone is missing",
        ),
        (
            [{"op": "add", "path": "/spec/template/spec/volumes/-", "value": 1}],
            "operation 0 (add /spec/template/spec/volumes/-) does not fit: /spec/template/spec/volumes is missing",
        ),
        (
            [{"op": "add", "path": "/spec/template/spec/containers/1/env", "value": 1}],
            "operation 0 (add /spec/template/spec/containers/1/env) does not fit: /spec/template/spec/containers/1 is",
        ),
        (
            [{"op": "add", "path": "/kind/x", "value": 1}],
            "operation 0 (add /kind/x) does not fit: there is no such place",
        ),
        (
            [{"op": "add", "path": "/spec/template/spec/containers/x", "value": 1}],
            "operation 0 (add /spec/template/spec/containers/x) does not fit: there is no such place",
        ),
        (
            [{"op": "move", "from": "/gone", "path": "/metadata/x"}],
            "operation 0 (move /gone to /metadata/x) does not fit: /gone is missing",
        ),
        (
            [{"op": "test", "path": "/kind", "value": "Pod"}],
            "customizations: operation 0 (test /kind): the test failed: the value there is another one",
        ),
        (
            [{"op": "test", "path": "/metadata/gone", "value": 1}],
            "customizations: operation 0 (test /metadata/gone): the test failed: /metadata/gone is missing",
        ),
        ([{"op": "replace", "path": "", "value": []}], "With its customizations: Job has incompatible values"),
        (
            [{"op": "replace", "path": "/kind", "value": "Pod"}],
            "With its customizations: Job has incompatible values for the following attributes: /kind must have value",
        ),
        (
            [{"op": "remove", "path": "/spec/template/spec/containers/0"}],
            "/spec/template/spec/containers must have a container",
        ),
        ([{"op": "replace", "path": "/metadata", "value": None}], "/metadata must be a mapping"),
        (
            [{"op": "add", "path": "/spec/template/spec/initContainers", "value": {}}],
            "/spec/template/spec/initContainers must be a list",
        ),
        ([{"op": "replace", "path": "/metadata/namespace", "value": "a/b"}], "'a/b' is not the name of a namespace"),
        ([{"op": "replace", "path": "/metadata/namespace", "value": 1}], "/metadata/namespace must be text, not int"),
    ],
)
def test_what_is_refused(patch: Any, message: str) -> None:
    """A patch that is none, or does not fit, is refused when the block is made, and when a copy with it is used."""
    with pytest.raises(ValidationError) as caught:
        block(customizations=patch)
    assert message in str(caught.value)
    with pytest.raises(InvalidManifest) as caught_in_copy:
        block().model_copy(update={"customizations": patch}).preview()
    assert message in str(caught_in_copy.value)


def test_errors_show_no_values() -> None:
    """Neither the manifest nor the values of a patch are in an error, its notes or its causes."""
    patch = [{"op": "test", "path": f"{CONTAINER}/env/0/value", "value": "secret-1"}]
    manifest = block(env={"A": "secret-2"}, secrets="inline").build_job()
    with pytest.raises(InvalidManifest) as caught:
        customized(manifest, JsonPatch(patch))
    assert str(caught.value).endswith("/env/0/value): the test failed: the value there is another one")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_what_only_the_run_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operation on a variable by its number is not judged before the Prefect settings in force are known."""
    patch = [{"op": "replace", "path": f"{CONTAINER}/env/0/value", "value": "x"}]
    job = block(customizations=patch)
    with pytest.raises(InvalidManifest, match=f"operation 0 .*{CONTAINER}/env/0 is missing"):
        job.preview()
    monkeypatch.setenv("PREFECT_API_URL", "http://a")
    variable = {"name": "PREFECT_API_URL", "value": "x"}
    assert job.build_job() == expected(container={"env": [variable]})
