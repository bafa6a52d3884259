"""Manifests and patches in files, and what is said of those that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jsonpatch import JsonPatch

from infrablocks import InvalidManifest
from infrablocks.kubernetes import KubernetesJob
from tests.kubernetes_block.manifests import base_manifest

if TYPE_CHECKING:
    from pathlib import Path

YAML = """\
apiVersion: batch/v1
kind: Job
metadata:
  labels: {}
  annotations: {made: 2024-01-02, at: 22:22, on: yes, 1: "2"}
spec:
  backoffLimit: 0
  parallelism: 1
  completions: 1
  template:
    spec:
      restartPolicy: Never
      containers:
      - &ours
        name: prefect-job
        env: []
"""
JSON = """\
{
\t"apiVersion": "batch/v1", "kind": "Job",
\t"metadata": {"labels": {"a\\/b": "\\ud83d\\ude00 \\\\ud83d \\t"}}
}
"""


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_yaml(tmp_path: Path) -> None:
    """YAML is read as kubectl reads it: dates are text, and so are keys."""
    manifest = base_manifest()
    manifest["metadata"]["annotations"] = {"made": "2024-01-02", "at": "22:22", "on": True, "1": "2"}
    path = write(tmp_path, "job.yaml", YAML)
    assert KubernetesJob.job_from_file(path) == manifest
    assert KubernetesJob.job_from_file(str(path)) == manifest
    KubernetesJob(job=manifest)


def test_json(tmp_path: Path) -> None:
    """JSON is read with all that YAML does not have: tabs between values, escaped slashes and surrogates."""
    assert KubernetesJob.job_from_file(write(tmp_path, "job.JSON", JSON)) == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"labels": {"a/b": "😀 \\ud83d \t"}},
    }


def test_a_patch(tmp_path: Path) -> None:
    """A patch is read from YAML and JSON, and is what `customizations` takes."""
    operations = [{"op": "add", "path": "/metadata/annotations", "value": {"a": "1"}}]
    texts = {
        "patch.yaml": "- {op: add, path: /metadata/annotations, value: {a: '1'}}\n",
        "patch.json": '[{"op": "add", "path": "/metadata/annotations",\t"value": {"a": "1"}}]',
    }
    for name, text in texts.items():
        patch = KubernetesJob.customize_from_file(write(tmp_path, name, text))
        assert patch == JsonPatch(operations)
        assert KubernetesJob(customizations=patch).customizations == patch


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("job.yaml", "", ":1: is empty"),
        ("job.yaml", "# nothing\n", ":1: is empty"),
        ("job.yaml", "\n- a\n", ":2: the manifest of a Job is a mapping, not a list"),
        ("job.yaml", "text\n", ":1: the manifest of a Job is a mapping, not a plain value"),
        ("job.yaml", "a: 1\nb:\n  c: 1\n  c: 2\n", ":4: 'c' is there twice, first in line 3"),
        ("job.json", '{"a": 1,\n\t"a": 2}', ":2: 'a' is there twice, first in line 1"),
        ("job.yaml", "a: [1\nb: 2\n", ":2: not valid YAML: "),
        ("job.json", '{"a": 1,\n"b" 2}', ":2: not valid JSON: Expecting ':' delimiter"),
        ("job.json", "a: 1", ":1: not valid JSON: "),
        ("job.json", "[" * 100_000, ":1: is nested too deeply"),
        ("job.yaml", "[" * 200 + "]" * 200, ":1: nested more than 100 levels deep"),
        ("job.yaml", "a: 1\n---\nb: 2\n", ":2: not valid YAML: expected a single document"),
        ("job.yaml", "a: !!python/object/apply:os.getcwd []\n", ":1: a tag (!…) is not allowed here"),
        ("job.yaml", "a: 1\nb: !!binary aGk=\n", ":2: is binary, which JSON does not have"),
        ("job.yaml", b"a: 1\nb: \xff\n", ":2: is not UTF-8 text"),
        ("job.yaml", "a: *b\n", ":1: an alias (*…) has no anchor"),
        ("job.yaml", "[a]: 1\n", ":1: a key must be a plain value"),
        ("job.yaml", "a" * (2**20 + 1), ": is larger than 1048576 bytes"),
    ],
)
def test_files_that_hold_no_manifest(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    """The error names the file, the line and what is wrong there."""
    path = write(tmp_path, name, content)
    with pytest.raises(InvalidManifest) as caught:
        KubernetesJob.job_from_file(path)
    assert str(caught.value).startswith(f"{path}{message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("op: add\n", ":1: a JSON patch is a list of operations, not a mapping"),
        ("- {op: remove, path: /a}\n- {op: ad, path: /a}\n", ":2: operation 1: 'ad' is not an op; one of: add, "),
        ("\n- text\n", ":2: operation 0: it is a mapping with op and path, not text"),
        ("- {op: add, path: a, value: 1}\n", ":1: operation 0: the path 'a' is no JSON pointer"),
        ("- {op: add, path: /a, path: /b, value: 1}\n", ":1: 'path' is there twice, first in line 1"),
        ("- {op: add, path: /a, value: .inf}\n", ":1: operation 0: /value is of the type float, which JSON does not"),
    ],
)
def test_files_that_hold_no_patch(tmp_path: Path, content: str, message: str) -> None:
    """The error names the file, and the line of the operation that is wrong."""
    path = write(tmp_path, "patch.yaml", content)
    with pytest.raises(InvalidManifest) as caught:
        KubernetesJob.customize_from_file(path)
    assert str(caught.value).startswith(f"{path}{message}")


@pytest.mark.parametrize("read", [KubernetesJob.job_from_file, KubernetesJob.customize_from_file])
def test_files_that_cannot_be_read(tmp_path: Path, read: Any) -> None:
    """The error says why."""
    for path, problem in [(tmp_path / "gone", "No such file or directory"), (tmp_path, "Is a directory")]:
        with pytest.raises(InvalidManifest) as caught:
            read(path)
        assert str(caught.value) == f"{path}: cannot be read: {problem}"
    with pytest.raises(InvalidManifest, match="cannot be read: embedded null byte"):
        read("a\0b")
