"""Secrets in the Prefect API of a real server: who may not see them sees masks, whatever kind of field holds them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import httpx
import pytest
from pydantic import BaseModel, ConfigDict, Field, Secret, SecretStr

from infrablocks import Block, DockerContainer, DockerRegistry, KubernetesClusterConfig, KubernetesJob, Process
from infrablocks.blocks.stores import BlockKey, current_store, prefect_schemas
from infrablocks.blocks.stores.prefect_client import PrefectClient
from infrablocks.blocks.stores.type_facts import facts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engines.prefect_server import PrefectServer

pytestmark = pytest.mark.integration

SECRET = "not-to-be-seen"
MASKED = "********"
KUBECONFIG = {
    "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {"token": SECRET}}],
    "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    "current-context": "c",
}


class Login(BaseModel):
    """A model that is no block."""

    user: str = "u"
    password: SecretStr | None = None


class Deployment(Block):
    """A block as another package may have it: with secrets in fields of every kind."""

    _block_type_slug: ClassVar[str | None] = "infrablocks-test-deployment"
    model_config = ConfigDict(populate_by_name=True)

    key: SecretStr | None = Field(default=None, alias="apiKey")
    dotted: SecretStr | None = Field(default=None, validation_alias="api.key", serialization_alias="api.key")
    pin: Secret[dict[str, str]] | None = None
    logins: list[Login] = Field(default_factory=list)
    options: dict[str, Any] = Field(default_factory=dict)
    license_text: str | None = None
    clusters: list[KubernetesClusterConfig] = Field(default_factory=list)
    named: dict[str, KubernetesClusterConfig] = Field(default_factory=dict)
    env: dict[str, str | SecretStr] = Field(default_factory=dict)
    plain: str = "seen"

    @classmethod
    def _holds_secret(cls, path: tuple[str | int, ...]) -> bool:
        return path in {("license_text",), ("options", "login", "password"), ("options", "keys", 1)}


def cluster() -> KubernetesClusterConfig:
    return KubernetesClusterConfig(config=KUBECONFIG, context_name="c")


def shown(server: PrefectServer, slug: str, name: str) -> dict[str, Any]:
    """Give the data that everybody gets who asks the server for the block."""
    path = f"/block_types/slug/{slug}/block_documents/name/{name}"
    answer = httpx.get(f"{server.api_url}{path}", trust_env=False)
    assert answer.is_success
    by_name = {"block_documents": {"name": {"any_": [name]}}}
    found = httpx.post(f"{server.api_url}/block_documents/filter", json=by_name, trust_env=False)
    assert f'"{name}"' in found.text
    answered = httpx.post(f"{server.api_url}/events/filter", json={}, trust_env=False)
    events = [] if server.name == "prefect2" else answered.json()["events"]  # that one keeps none
    own_events = json.dumps([event for event in events if name in json.dumps(event)])
    assert SECRET not in answer.text + found.text + own_events
    data: dict[str, Any] = answer.json()["data"]
    return data


def test_a_kubeconfig_is_masked(server: PrefectServer, name: str) -> None:
    """Nothing of a kubeconfig is shown, which context is meant is, and the block comes back whole."""
    cluster().save(name)

    data = shown(server, "kubernetes-cluster-config", name)

    assert data["config"] == dict.fromkeys(KUBECONFIG, MASKED)
    assert data["context_name"] == "c"
    assert KubernetesClusterConfig.load(name) == cluster()


def test_a_kubeconfig_in_a_job_is_masked(server: PrefectServer, name: str) -> None:
    """A cluster that was saved with a Job, and not by itself, is masked too; the rest of the Job is not."""
    job = KubernetesJob(image="busybox:1", cluster_config=cluster(), env={"PREFECT_API_KEY": SECRET})
    job.save(name)

    data = shown(server, "kubernetes-job", name)

    assert data["cluster_config"]["config"] == dict.fromkeys(KUBECONFIG, MASKED)
    assert data["image"] == "busybox:1"
    assert KubernetesJob.load(name) == job


def test_a_reference_to_a_kubeconfig_is_masked(server: PrefectServer, name: str) -> None:
    """Whoever looks at a Job that refers to a saved cluster sees the cluster with its masks."""
    saved = cluster()
    saved.save(f"{name}-cluster")
    KubernetesJob(image="busybox:1", cluster_config=saved).save(name)

    data = shown(server, "kubernetes-job", name)

    assert data["cluster_config"]["config"] == dict.fromkeys(KUBECONFIG, MASKED)
    assert KubernetesJob.load(name).cluster_config == saved


@pytest.mark.parametrize(
    "fields",
    [
        {"key": SecretStr(SECRET)},
        {"api.key": SecretStr(SECRET)},
        {"pin": Secret({"pin": SECRET})},
        {"logins": [Login(), Login(password=SecretStr(SECRET))]},
        {"options": {"token": SecretStr(SECRET)}},
        {"options": {"tokens": ["a", SecretStr(SECRET)]}},
        {"options": {"login": {"user": "u", "password": SECRET}}},
        {"options": {"keys": ["a", SECRET]}},
        {"license_text": SECRET},
        {"clusters": [cluster()]},
        {"named": {"a.b": cluster()}},
        {"env": {"*": "a", "TOKEN": SecretStr(SECRET)}},
    ],
    ids="-".join,
)
def test_secrets_of_every_kind_of_field_are_masked(fields: dict[str, Any], server: PrefectServer, name: str) -> None:
    """A secret is masked where the server does not look itself: under other names, in lists, in fields of any type."""
    block = Deployment.model_validate(fields)
    block.save(name)

    shown(server, "infrablocks-test-deployment", name)

    assert Deployment.load(name) == block


def test_only_what_is_secret_is_masked(server: PrefectServer, name: str) -> None:
    """A block without secrets of an unusual kind is shown with its other fields."""
    Deployment(plain="b", options={"a": 1}, license_text=SECRET).save(name)

    data = shown(server, "infrablocks-test-deployment", name)

    assert (data["plain"], data["options"], data["license_text"]) == ("b", {"a": 1}, MASKED)


@pytest.mark.parametrize(
    "block",
    [
        Process(command=["true"], env={"*": "a", "TOKEN": SecretStr(SECRET)}),
        DockerContainer(
            image="a:1",
            image_registry=DockerRegistry(username="u", password=SecretStr(SECRET), registry_url="r.example"),
        ),
    ],
    ids=lambda block: type(block).__name__,
)
def test_our_other_blocks_are_masked(block: Block, server: PrefectServer, name: str) -> None:
    """So are a process that has a variable called "*", and a registry inside of a container."""
    block.save(name)

    shown(server, block.get_block_type_slug(), name)

    assert type(block).load(name) == block


class Appliance(Block):
    """A block whose schema the server has had since before it called anything secret."""

    _block_type_slug: ClassVar[str | None] = "infrablocks-test-appliance"
    config: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def _holds_secret(cls, path: tuple[str | int, ...]) -> bool:
        return path == ("config",)


def save_as_before(block: Block, name: str) -> None:
    """Save a block as infrablocks 0.1.0 did: by a schema that calls only fields of secret types secret."""
    client, facts = PrefectClient(), facts_of(type(block))
    fields = {**prefect_schemas._as_prefect_has_it(facts.schema), "secret_fields": [], "block_schema_references": {}}
    type_id = prefect_schemas._ensure_type(client, facts)
    schema = client.post("/block_schemas/", {"fields": fields, "block_type_id": type_id, "capabilities": []})
    own = {"references": [], "secrets": [[["config"], False]], "checksum": "sha256:of-before"}
    data = {**dict(block), "_infrablocks": own}
    document = {"name": name, "data": data, "block_type_id": type_id, "block_schema_id": schema["id"]}
    client.post("/block_documents/", document)


def test_a_block_that_was_saved_before_is_masked_when_it_is_saved_again(server: PrefectServer, name: str) -> None:
    """It can be loaded, with a warning that says to save it again. The schema that the server had is not used again."""
    block = Appliance(config={"users": [{"token": SECRET}]})
    save_as_before(block, name)
    path = f"/block_types/slug/infrablocks-test-appliance/block_documents/name/{name}"
    assert SECRET in httpx.get(f"{server.api_url}{path}", trust_env=False).text  # as it was before

    with pytest.warns(UserWarning, match="save it again"):
        loaded = Appliance.load(name)
    loaded.save(name, overwrite=True)
    Appliance(config={"token": SECRET}).save(f"{name}-new")

    assert shown(server, "infrablocks-test-appliance", name)["config"] == {"users": MASKED}
    assert shown(server, "infrablocks-test-appliance", f"{name}-new")["config"] == {"token": MASKED}
    assert Appliance.load(name) == loaded == block


# Prefect 3 has the class in a package of its own, whose fields are these.
PREFECTS_CLASS = """
import json
import sys
try:
    from prefect.blocks.kubernetes import KubernetesClusterConfig
except ImportError:
    from prefect.blocks.core import Block

    class KubernetesClusterConfig(Block):
        _block_type_name = "Kubernetes Cluster Config"
        _block_type_slug = "kubernetes-cluster-config"
        config: dict
        context_name: str
"""
SAVE = "KubernetesClusterConfig(config=json.loads(sys.argv[2]), context_name='c').save(sys.argv[1])"
LOAD = "print(json.dumps(KubernetesClusterConfig.load(sys.argv[1]).config))"


@pytest.mark.differs_between_engines("Prefect 2 has the class of a kubeconfig, and its server had the schema first")
def test_a_kubeconfig_that_prefect_saved(server: PrefectServer, name: str, prefect: Callable[..., str]) -> None:
    """What Prefect's own class saved in clear is not shown by us, nor by the server once it is saved from here."""
    prefect("python", "-c", PREFECTS_CLASS + SAVE, name, json.dumps(KUBECONFIG))

    shown_here = current_store().load(BlockKey("kubernetes-cluster-config", name), with_secrets=False)
    assert shown_here.data == {"config": MASKED, "context_name": "c"}
    loaded = KubernetesClusterConfig.load(name)
    assert loaded == cluster()
    loaded.save(name, overwrite=True)

    assert shown(server, "kubernetes-cluster-config", name)["config"] == dict.fromkeys(KUBECONFIG, MASKED)
    assert json.loads(prefect("python", "-c", PREFECTS_CLASS + LOAD, name)) == KUBECONFIG
