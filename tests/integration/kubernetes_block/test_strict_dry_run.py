"""What the API says of the manifests that are built, in a strict dry run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import SecretStr

from infrablocks import InfrastructureError, InfrastructureNotAvailable, InvalidManifest
from infrablocks.kubernetes import KubernetesClusterConfig, KubernetesJob
from infrablocks.kubernetes._clusters import acquire_cluster, release_cluster
from infrablocks.kubernetes._labels import OF_THE_CLUSTER
from infrablocks.kubernetes._settings import RUN_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infrablocks.kubernetes._client import Cluster as Client
    from tests.engines.kubernetes import Kubernetes

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)
NEAR_VALID = st.text("aA0-_./ é😀", max_size=8)
VARIABLE_NAMES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="="), min_size=1)
STRICT = {"dryRun": "All", "fieldValidation": "Strict"}

many = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def client(config: KubernetesClusterConfig) -> Iterator[Client]:
    """Keep the connection of many previews open."""
    client = acquire_cluster(config)
    yield client
    release_cluster(client)


@pytest.fixture
def fields(config: KubernetesClusterConfig, client: Client, kubernetes_namespace: str) -> dict[str, Any]:  # noqa: ARG001
    """Give the fields of a block for a namespace of the test's own."""
    return {
        "cluster_config": config,
        "namespace": kubernetes_namespace,
        "image": "busybox:test",
        "command": ["true"],
    }


def answer(job: KubernetesJob) -> dict[str, Any]:
    result: dict[str, Any] = yaml.safe_load(job.preview(server=True))
    return result


def test_everything_together(fields: dict[str, Any], cluster: Kubernetes) -> None:
    """The API takes every shortcut as it was meant, fills in its defaults, and makes nothing."""
    job = KubernetesJob(
        **fields,
        name="Everything!",
        labels={"team": "data"},
        env={"A": "1", "TOKEN": SecretStr("t0ken")},
        service_account_name="default",
        image_pull_policy="IfNotPresent",
        finished_job_ttl=60,
        cpu_request=0.25,
        cpu_limit="500m",
        memory_request="16Mi",
        memory_limit=2**25,
        customizations=[{"op": "add", "path": "/spec/template/spec/nodeSelector/gpu", "value": "yes"}],
    )
    shown = answer(job)
    assert shown["metadata"]["name"].startswith("everything-")
    assert shown["metadata"]["labels"] == {"team": "data"}
    assert "managedFields" not in shown["metadata"]
    assert RUN_LABEL not in job.preview(server=True)
    spec = shown["spec"]
    assert (spec["backoffLimit"], spec["parallelism"], spec["completions"]) == (0, 1, 1)
    assert spec["ttlSecondsAfterFinished"] == 60
    assert spec["suspend"] is False
    pod = spec["template"]["spec"]
    assert pod["nodeSelector"] == {"gpu": "yes"}
    assert pod["serviceAccountName"] == "default"
    (container,) = pod["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "250m", "memory": "16Mi"},
        "limits": {"cpu": "500m", "memory": "33554432"},
    }
    assert container["env"] == job.build_job()["spec"]["template"]["spec"]["containers"][0]["env"]
    assert cluster.api("GET", f"/apis/batch/v1/namespaces/{job.namespace}/jobs")["items"] == []


def test_a_manifest_of_the_seed(fields: dict[str, Any]) -> None:
    """Strict validation takes a manifest in which `parallelism` stands where the seed had it."""
    manifest = KubernetesJob.base_job_manifest()
    for name in ("parallelism", "completions"):
        manifest["spec"]["template"]["spec"][name] = manifest["spec"].pop(name)
    assert answer(KubernetesJob(**fields, job=manifest))["spec"]["completions"] == 1


def test_secrets_do_not_leave(fields: dict[str, Any]) -> None:
    """Inline secrets are masked in what the API is asked, unless they may be shown."""
    job = KubernetesJob(**fields, secrets="inline", env={"TOKEN": SecretStr("t0ken")})
    assert "t0ken" not in job.preview(server=True)
    assert "t0ken" in job.preview(server=True, show_secrets=True)


@many
@given(name=ANY_TEXT | NEAR_VALID)
def test_any_name(fields: dict[str, Any], name: str) -> None:
    """The API makes a name of whatever the block is called."""
    shown = answer(KubernetesJob(**fields, name=name))
    assert shown["metadata"]["name"].startswith(shown["metadata"]["generateName"])
    assert len(shown["metadata"]["name"]) <= 63


@many
@given(labels=st.dictionaries(ANY_TEXT | NEAR_VALID, ANY_TEXT | NEAR_VALID, max_size=5))
def test_any_labels(fields: dict[str, Any], labels: dict[str, str]) -> None:
    """The API takes whatever becomes of any labels, of the Job and of its pods, and there are as many as there were."""
    shown = answer(KubernetesJob(**fields, labels=labels))
    of_the_job, of_the_pods = (
        {key: value for key, value in one["metadata"]["labels"].items() if key not in OF_THE_CLUSTER}
        for one in (shown, shown["spec"]["template"])
    )
    assert of_the_job == of_the_pods
    assert len(of_the_job) == len(labels)


def test_labels_that_the_api_sets_itself(fields: dict[str, Any]) -> None:
    """Labels under names that the API keeps for itself in pods are taken for the Job."""
    labels = dict.fromkeys(
        ("job-name", "controller-uid", "batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid"), "mine"
    )
    assert answer(KubernetesJob(**fields, labels=labels))["metadata"]["labels"] == labels


@many
@given(env=st.dictionaries(VARIABLE_NAMES, st.text(max_size=20), max_size=4))
def test_any_variables(fields: dict[str, Any], client: Client, env: dict[str, str]) -> None:
    """The API takes any variable that the block takes, also from a Secret, which it takes as well."""
    env = {name: value.replace("\0", "") for name, value in env.items()}
    plain = answer(KubernetesJob(**fields, env=env))["spec"]["template"]["spec"]["containers"][0].get("env", [])
    assert {one["name"]: one.get("value", "") for one in plain} == env
    job = KubernetesJob(**fields, env={name: SecretStr(value) for name, value in env.items()})
    assert len(answer(job)["spec"]["template"]["spec"]["containers"][0].get("env", [])) == len(env)
    secret = job._build().secret_for_run("0f" * 16, {"metadata": {"name": "j", "uid": "u"}})
    client.call("POST", f"/api/v1/namespaces/{job.namespace}/secrets", query=STRICT, body=secret)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"customizations": [{"op": "add", "path": "/spec/parallelsim", "value": 1}]},
            'strict decoding error: unknown field "spec.parallelsim"',
        ),
        (
            {"customizations": [{"op": "replace", "path": "/spec/completions", "value": "one"}]},
            "cannot unmarshal string into Go struct field",
        ),
        (
            {"customizations": [{"op": "replace", "path": "/spec/backoffLimit", "value": -1}]},
            "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            {"customizations": [{"op": "add", "path": "/metadata/labels/a", "value": "b c"}]},
            'metadata.labels: Invalid value: "b c": a valid label must be an empty string or consist of alphanumeric',
        ),
        ({"service_account_name": "Not Valid"}, 'spec.template.spec.serviceAccountName: Invalid value: "Not Valid"'),
    ],
)
def test_what_the_api_refuses(fields: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    """A rejection is raised, with the API's own words."""
    with pytest.raises(InvalidManifest) as caught:
        KubernetesJob(**{**fields, **changes}).preview(server=True)
    assert str(caught.value).startswith("The Kubernetes cluster would refuse the Job: ")
    assert message in str(caught.value)


def test_other_refusals(fields: dict[str, Any], cluster: Kubernetes) -> None:
    """A namespace that is not there, and a user without rights, are not the manifest's fault."""
    with pytest.raises(InfrastructureError, match='namespaces "gone" not found') as caught:
        KubernetesJob(**{**fields, "namespace": "gone"}).preview(server=True)
    assert not isinstance(caught.value, InvalidManifest)
    stranger = KubernetesClusterConfig.from_file(cluster.kubeconfig_for("stranger"))
    with pytest.raises(InfrastructureNotAvailable, match=r'cannot create resource "jobs" in API group "batch"'):
        KubernetesJob(**{**fields, "cluster_config": stranger}).preview(server=True)
