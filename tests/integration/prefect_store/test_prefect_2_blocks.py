"""Blocks that programs of Prefect 2 have saved, on their own server, and ours in those programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from pydantic import SecretStr

from infrablocks import (
    Block,
    DockerContainer,
    DockerRegistry,
    KubernetesClusterConfig,
    KubernetesJob,
    Process,
)

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.integration,
    pytest.mark.differs_between_engines("only Prefect 2 has these blocks itself"),
    pytest.mark.parametrize("server", ["prefect2"], indirect=True),
]

KUBECONFIG = {
    "current-context": "there",
    "contexts": [{"name": "there", "context": {"cluster": "there", "user": "somebody"}}],
    "clusters": [{"name": "there", "cluster": {"server": "https://kubernetes.example"}}],
    "users": [{"name": "somebody", "user": {"token": "not-to-be-seen"}}],
}
PATCH = [{"op": "add", "path": "/spec/template/spec/nodeName", "value": "there"}]

SAVE = """
import json
import sys
import warnings
warnings.simplefilter("ignore")
from pydantic.v1 import SecretStr
from prefect.blocks.kubernetes import KubernetesClusterConfig
from prefect.infrastructure import DockerContainer, KubernetesJob, Process
from prefect.infrastructure.container import DockerRegistry

kubeconfig, patch = map(json.loads, sys.argv[2:])

def save(name, block):
    block.save(sys.argv[1] + "-" + name)
    return block

registry = save("registry", DockerRegistry(
    username="somebody", password=SecretStr("not-to-be-seen"), registry_url="https://registry.example"))
cluster = save("cluster", KubernetesClusterConfig(config=kubeconfig, context_name="there"))
save("process", Process(
    command=["sh", "-c", "exit $CODE"], env={"CODE": "3", "NONE": None}, labels={"a": "b"}, name="n",
    working_dir="/tmp", stream_output=False))
save("container", DockerContainer(
    command=["true"], image="a:1", image_pull_policy="NEVER", image_registry=registry, networks=["n"], auto_remove=True,
    volumes=["/a:/b:ro"], mem_limit="100m", memswap_limit="200m", privileged=True))
save("job", KubernetesJob(
    command=["true"], image="a:1", namespace="n", service_account_name="s", image_pull_policy="Never",
    cluster_config=cluster, customizations=patch, job_watch_timeout_seconds=10, pod_watch_timeout_seconds=20,
    finished_job_ttl=30))
"""

# Prefect 2 has in the pod what belongs to the Job.
MANIFEST = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"labels": {}},
    "spec": {
        "template": {
            "spec": {
                "parallelism": 1,
                "completions": 1,
                "restartPolicy": "Never",
                "containers": [{"name": "prefect-job", "env": []}],
            }
        }
    },
}
REGISTRY = DockerRegistry(
    username="somebody", password=SecretStr("not-to-be-seen"), registry_url="https://registry.example"
)
CLUSTER = KubernetesClusterConfig(config=KUBECONFIG, context_name="there")
EXPECTED: dict[str, Block] = {
    "registry": REGISTRY,
    "cluster": CLUSTER,
    "process": Process(
        command=["sh", "-c", "exit $CODE"],
        # The schema of Prefect 2 does not say which variables are secret, so that all are.
        env={"CODE": SecretStr("3"), "NONE": None},
        labels={"a": "b"},
        name="n",
        working_dir=Path("/tmp"),
        stream_output=False,
    ),
    "container": DockerContainer(
        command=["true"],
        image="a:1",
        image_pull_policy="NEVER",
        image_registry=REGISTRY,
        networks=["n"],
        auto_remove=True,
        volumes=["/a:/b:ro"],
        mem_limit="100m",
        memswap_limit="200m",
        privileged=True,
    ),
    "job": KubernetesJob(
        command=["true"],
        image="a:1",
        namespace="n",
        service_account_name="s",
        image_pull_policy="Never",
        cluster_config=CLUSTER,
        job=MANIFEST,
        customizations=PATCH,
        job_watch_timeout_seconds=10,
        pod_watch_timeout_seconds=20,
        finished_job_ttl=30,
    ),
}

LOAD = """
import sys
import warnings
warnings.simplefilter("ignore")
from prefect.infrastructure import DockerContainer, KubernetesJob, Process

process = Process.load(sys.argv[1] + "-process")
print(process.command, process.env)
container = DockerContainer.load(sys.argv[1] + "-container")
print(container.command, container.image, container.image_registry.password.get_secret_value())
job = KubernetesJob.load(sys.argv[1] + "-job")
print(job.command, job.image, job.namespace)
"""


def test_blocks_that_prefect_2_saved_are_loaded(name: str, prefect: Callable[..., str]) -> None:
    """Each block that a program of Prefect 2 saved has here the fields that it had there, and works."""
    prefect("python", "-c", SAVE, name, json.dumps(KUBECONFIG), json.dumps(PATCH))

    loaded = {key: type(block).load(f"{name}-{key}") for key, block in EXPECTED.items()}

    assert loaded == EXPECTED
    process, job = loaded["process"], loaded["job"]
    assert isinstance(process, Process)
    assert process.run().status_code == 3
    assert isinstance(job, KubernetesJob)
    same = job.model_copy(update={"job": KubernetesJob.base_job_manifest()})
    assert yaml.safe_load(job.preview()) == yaml.safe_load(same.preview())


def test_prefect_2_loads_blocks_that_were_saved_here(name: str, prefect: Callable[..., str]) -> None:
    """A program of Prefect 2 loads, as its own blocks, those that were saved here."""
    REGISTRY.model_copy().save(f"{name}-registry")
    Process(command=["true"], env={"A": "1", "SECRET": SecretStr("pw")}).save(f"{name}-process")
    registry = DockerRegistry.load(f"{name}-registry")
    DockerContainer(command=["true"], image="a:1", image_registry=registry).save(f"{name}-container")
    KubernetesJob(command=["true"], image="a:1", namespace="n").save(f"{name}-job")

    assert prefect("python", "-c", LOAD, name).splitlines() == [
        "['true'] {'A': '1', 'SECRET': 'pw'}",
        "['true'] a:1 not-to-be-seen",
        "['true'] a:1 n",
    ]
