"""The command line with Kubernetes Jobs, as far as it goes without a cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.kubernetes_client.kubeconfigs import kubeconfig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.command_line import CommandLine

IMAGE = ("--kubernetes", "busybox:1.36")
MANIFEST: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"labels": {}, "generateName": "mine-"},
    "spec": {
        "parallelism": 1,
        "completions": 1,
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "prefect-job", "image": "own:1", "command": ["own"], "env": []}],
            }
        },
    },
}


def kubeconfig_to_nowhere(folder: Path) -> Path:
    """Write a kubeconfig with an address that refuses connections."""
    path = folder / "kubeconfig"
    path.write_text(json.dumps(kubeconfig({"server": "http://127.0.0.1:1"}, {})))
    return path


def test_preview_is_the_manifest(infrablocks: CommandLine) -> None:
    """Image, namespace, name, variables, other fields and the command end up in it."""
    options = ("--namespace", "batch", "--name", "ETL", "--env", "STAGE=test", "--set", "memory_limit=64Mi")
    done = infrablocks("preview", *IMAGE, *options, "--", "echo", "hello")
    assert done.returncode == 0
    job = yaml.safe_load(done.stdout)
    assert job["metadata"] == {"labels": {}, "namespace": "batch", "generateName": "etl-"}
    assert job["spec"]["template"]["spec"]["containers"] == [
        {
            "name": "prefect-job",
            "image": "busybox:1.36",
            "command": ["echo", "hello"],
            "env": [{"name": "STAGE", "value": "test"}],
            "resources": {"limits": {"memory": "64Mi"}},
        }
    ]


def test_manifest_and_patch(infrablocks: CommandLine) -> None:
    """--job is what the Job is made of, with the image and command in it; --patch is applied last."""
    (infrablocks.folder / "manifest.yaml").write_text(yaml.safe_dump(MANIFEST))
    patch = [{"op": "add", "path": "/spec/activeDeadlineSeconds", "value": 60}]
    (infrablocks.folder / "patch.json").write_text(json.dumps(patch))
    job = yaml.safe_load(infrablocks("preview", "--job", "manifest.yaml", "--patch", "patch.json").stdout)
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["command"]) == ("own:1", ["own"])
    assert job["spec"]["activeDeadlineSeconds"] == 60
    job = yaml.safe_load(infrablocks("preview", *IMAGE, "--job", "manifest.yaml", "--", "other").stdout)
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["command"]) == ("busybox:1.36", ["other"])


def test_patch_of_a_file_s_block(infrablocks: CommandLine) -> None:
    """The block's own customizations come first."""
    (infrablocks.folder / "job.yaml").write_text(
        "type: kubernetes-job\nimage: busybox:1.36\ncommand: ['true']\n"
        "customizations:\n- {op: add, path: /spec/suspend, value: true}\n"
    )
    (infrablocks.folder / "patch.yaml").write_text("- {op: test, path: /spec/suspend, value: true}\n")
    done = infrablocks("preview", "job.yaml", "--patch", "patch.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert yaml.safe_load(done.stdout)["spec"]["suspend"] is True


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*IMAGE, "job.yaml"), "Invalid value for --kubernetes: a block says itself what it runs in"),
        ((*IMAGE, "--docker", "busybox", "--", "true"), "Invalid value for --kubernetes: a container is no Kubernetes"),
        (("--job", "x.yaml", "--docker", "busybox"), "Invalid value for --job: a container is no Kubernetes Job"),
    ],
)
def test_wrong_arguments(infrablocks: CommandLine, words: tuple[str, ...], message: str) -> None:
    """What to run is said once."""
    done = infrablocks("run", *words)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--namespace", "batch", "--", "true"), "--namespace is not for a process: give it a Kubernetes Job"),
        (("--patch", "patch.yaml", "--", "true"), "--patch is not for a process: give it a Kubernetes Job"),
        ((*IMAGE, "--job", "missing.yaml", "--", "true"), "missing.yaml"),
        ((*IMAGE, "--job", "patch.yaml", "--", "true"), "patch.yaml"),
        ((*IMAGE, "--patch", "manifest.yaml", "--", "true"), "manifest.yaml"),
        ((*IMAGE, "--namespace", "Batch!", "--", "true"), "namespace: 'Batch!' is not the name of a namespace"),
        ((*IMAGE, "--set", "memory_limit=lots", "--", "true"), "memory_limit: 'lots' is not a quantity"),
    ],
)
def test_wrong_fields_are_told_in_one_line(infrablocks: CommandLine, words: tuple[str, ...], message: str) -> None:
    """No cluster is asked when a field or a file is wrong."""
    (infrablocks.folder / "manifest.yaml").write_text(yaml.safe_dump(MANIFEST))
    (infrablocks.folder / "patch.yaml").write_text("- {op: add, path: /spec/suspend, value: true}\n")
    done = infrablocks("run", *words)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("call", "code"), [("run", 125), ("status", 1), ("kill", 1), ("attach", 125), ("logs", 1)])
def test_no_cluster(infrablocks: CommandLine, call: str, code: int) -> None:
    """Without a kubeconfig one line says what to set; with one that leads nowhere it has the address."""
    words = (*IMAGE, "--", "true") if call == "run" else ("etl-1", "--type", "kubernetes-job")
    done = infrablocks(call, *words)
    assert done.returncode == code
    assert done.stderr.startswith("Error: No Kubernetes cluster is configured: ")
    assert done.stderr.count("\n") == 1
    done = infrablocks(call, *words, KUBECONFIG=str(kubeconfig_to_nowhere(infrablocks.folder)))
    assert done.returncode == code
    assert done.stderr.startswith("Error: Could not connect to the Kubernetes cluster at http://127.0.0.1:1: ")
    assert done.stderr.count("\n") == 1


def test_namespace_of_another_type(infrablocks: CommandLine) -> None:
    """Only a Kubernetes Job has one."""
    done = infrablocks("status", "4711", "--namespace", "batch")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: --namespace is not for a process: give it --type kubernetes-job\n"


def test_doctor_without_a_cluster(infrablocks: CommandLine) -> None:
    """To have none is a warning; one that does not answer is broken."""
    done = infrablocks("doctor")
    assert done.returncode == 0
    lines = [line for line in done.stdout.splitlines() if "kubernetes: " in line[9:23]]
    assert lines == [
        "warning  kubernetes: cluster: none is configured: put a kubeconfig at ~/.kube/config, or name it in KUBECONFIG"
    ]
    done = infrablocks("doctor", KUBECONFIG=str(kubeconfig_to_nowhere(infrablocks.folder)))
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if "kubernetes: " in line[9:23]]
    assert line.startswith(
        "broken   kubernetes: cluster: Could not connect to the Kubernetes cluster at http://127.0.0.1:1: "
    )
