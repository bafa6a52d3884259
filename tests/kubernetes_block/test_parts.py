"""What the block hands to the half that talks to a cluster, and what its files hold."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from infrablocks import Block, get_block_class
from infrablocks.kubernetes import (
    KubernetesClusterConfig,
    KubernetesImagePullPolicy,
    KubernetesJob,
    KubernetesRestartPolicy,
    _create,
    _find,
)
from tests.kubernetes_block.manifests import base_manifest, block

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

CLUSTER = KubernetesClusterConfig(
    config={
        "clusters": [{"name": "dev", "cluster": {"server": "https://127.0.0.1:6443"}}],
        "users": [{"name": "ci", "user": {"token": "t0ken"}}],
        "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "ci"}}],
    },
    context_name="dev",
)


def test_creating_tells_of_labels(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What became of labels is logged once, when the Job is made, and not by a preview."""
    made: list[Any] = []
    monkeypatch.setattr(_create, "create_job", lambda *arguments: made.append(arguments))
    job = block(labels={"😀": "1"}, cluster_config=CLUSTER)
    with caplog.at_level(logging.INFO, "infrablocks"):
        job.preview()
        assert caplog.messages == []
        job._create(settings := job._build())
    assert made == [(settings, job.logger)]
    assert settings.cluster_config is CLUSTER
    (message,) = caplog.messages
    assert message.startswith("Labels are not sent as they are")
    assert caplog.records[0].levelno == logging.INFO
    assert caplog.records[0].name == "infrablocks.kubernetes-job"


def test_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Job is looked for on the block's cluster, and a bare name in the namespace of its manifest."""
    calls: list[Any] = []

    def find(identifier: str, config: object, namespace: Callable[[], str]) -> None:
        calls.append((identifier, config, namespace()))

    def reattach(
        identifier: str, after: object, config: object, namespace: Callable[[], str], logger: object, **named: object
    ) -> None:
        calls.append(((identifier, after, config, namespace(), logger), named))

    monkeypatch.setattr(_find, "find_job", find)
    monkeypatch.setattr(_find, "reattach_job", reattach)
    patch = [{"op": "replace", "path": "/metadata/namespace", "value": "patched"}]
    job = block(stream_output=False, cluster_config=CLUSTER, customizations=patch)
    job._find("abc")
    job._reattach("abc", None)
    assert calls == [
        ("abc", CLUSTER, "patched"),
        (("abc", None, CLUSTER, "patched", job.logger), {"stream_output": False, "start_seconds": 60.0}),
    ]


def test_the_class() -> None:
    """Name, slug, capability and defaults are the seed's, but for the time limit that ended every longer Job."""
    assert get_block_class("kubernetes-job") is KubernetesJob
    assert KubernetesJob.get_block_type_name() == "Kubernetes Job"
    assert KubernetesJob.get_block_capabilities() == {"run-infrastructure"}
    assert KubernetesJob()._on_cancel() == "leave"
    given = KubernetesJob(image="a").model_dump(exclude={"env", "labels", "name", "command", "grace_seconds"})
    assert given == {
        "type": "kubernetes-job",
        "timeout_seconds": None,
        "on_cancel": None,
        "image": "a",
        "namespace": "default",
        "service_account_name": None,
        "image_pull_policy": None,
        "cluster_config": None,
        "job": KubernetesJob.base_job_manifest(),
        "customizations": [],
        "job_watch_timeout_seconds": None,
        "pod_watch_timeout_seconds": 60,
        "finished_job_ttl": None,
        "cpu_request": None,
        "cpu_limit": None,
        "memory_request": None,
        "memory_limit": None,
        "secrets": "secret",
        "stream_output": True,
    }
    assert [policy.value for policy in KubernetesImagePullPolicy] == ["IfNotPresent", "Always", "Never"]
    assert [policy.value for policy in KubernetesRestartPolicy] == ["OnFailure", "Never"]


def test_the_schema() -> None:
    """Its checksum changes only when other values are valid than before: saved blocks are compared by it."""
    schema = KubernetesJob.model_json_schema()
    assert schema["block_type_slug"] == "kubernetes-job"
    assert schema["secret_fields"] == ["env.*", "cluster_config.config", "cluster_config.config.*"]
    reference = schema["block_schema_references"]["cluster_config"]
    assert reference == {
        "block_type_slug": "kubernetes-cluster-config",
        "block_schema_checksum": KubernetesClusterConfig._calculate_schema_checksum(),
    }
    assert schema["properties"]["customizations"] == {
        "items": {"type": "object"},
        "title": "Customizations",
        "type": "array",
    }
    assert KubernetesJob._calculate_schema_checksum() == (
        "sha256:802f33f0395aa19926a7445bbfd002e1fc0fccc9dbe8645ffdd616ecd40022d0"
    )


def test_a_block_file(tmp_path: Path) -> None:
    """Every field can be written to a file and is read from it as it was, and given fields are still given."""
    job = KubernetesJob(
        image="a:1",
        namespace="etl",
        service_account_name="runner",
        image_pull_policy="always",
        job=base_manifest({"name": "worker", "image": "old"}, nodeSelector={"on": "yes"}),
        customizations=[{"op": "add", "path": "/metadata/annotations/on", "value": "no"}],
        job_watch_timeout_seconds=60,
        pod_watch_timeout_seconds=30,
        finished_job_ttl=0,
        cpu_request="250m",
        cpu_limit=1.5,
        memory_request="1Mi",
        memory_limit=2**30,
        secrets="inline",
        stream_output=False,
    )
    job.to_yaml(tmp_path / "job.yaml")
    again = Block.from_yaml(tmp_path / "job.yaml")
    assert again == job
    assert isinstance(again, KubernetesJob)
    assert again.build_job() == job.build_job()
    assert again.build_job()["spec"]["template"]["spec"]["containers"][0]["image"] == "a:1"


def test_given_defaults_in_a_block_file(tmp_path: Path) -> None:
    """A default that was given still wins over the manifest when it comes from a file; one that was not does not."""
    manifest = base_manifest({"name": "worker", "image": "old", "command": ["work"]})
    manifest["metadata"] |= {"namespace": "etl", "name": "j"}
    default = KubernetesJob()
    given = {name: getattr(default, name) for name in ("image", "namespace", "command")}
    for job in (KubernetesJob(job=manifest), KubernetesJob(job=manifest, **given)):
        job.to_yaml(tmp_path / "job.yaml")
        assert KubernetesJob.from_yaml(tmp_path / "job.yaml").build_job() == job.build_job()
    assert "namespace: default" in (tmp_path / "job.yaml").read_text()


def test_a_manifest_in_a_block_file(tmp_path: Path) -> None:
    """In a file a patch may be a list or JSON text, and keys like `on` are text."""
    path = tmp_path / "job.yaml"
    path.write_text(
        "type: kubernetes-job\nname: j\nimage: a\ncommand: ['true']\n"
        """customizations: '[{"op": "add", "path": "/metadata/annotations", "value": {}}]'\n"""
        "job:\n  apiVersion: batch/v1\n  kind: Job\n  metadata: {labels: {on: 'yes'}}\n"
        "  spec: {parallelism: 1, completions: 1, template: {spec: {restartPolicy: Never, "
        "containers: [{name: prefect-job, env: []}]}}}\n"
    )
    assert KubernetesJob.from_yaml(path).build_job()["metadata"] == {
        "labels": {"on": "yes"},
        "annotations": {},
        "namespace": "default",
        "generateName": "j-",
    }


def test_repr_of_manifest_and_patch() -> None:
    """Both are shown as they are, but for the variables in them that hold credentials of Prefect."""
    variable = {"name": "PREFECT_API_KEY", "value": "pnu_key"}
    patch = [{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": variable}]
    job = block(job=base_manifest({"name": "worker", "env": [variable]}), customizations=patch)
    shown = "{'name': 'PREFECT_API_KEY', 'value': '********'}"
    assert f"{{'env': [{shown}], 'name': 'worker'}}" in repr(job)
    assert f"'path': '/spec/template/spec/containers/0/env/-', 'value': {shown}}}]" in repr(job)
    assert "pnu_key" not in repr(job) + str(job) + job.preview()
    assert job.job["spec"]["template"]["spec"]["containers"][0]["env"] == [variable]


def test_a_cluster_in_a_block() -> None:
    """The cluster's credentials are not shown by a block that holds them."""
    job = block(cluster_config=CLUSTER, env={"A": SecretStr("s3cret")})
    for text in (repr(job), job.preview(show_secrets=True), repr(job._build()), job.model_dump_json()):
        assert "t0ken" not in text
