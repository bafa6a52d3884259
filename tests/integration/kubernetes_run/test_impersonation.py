"""A user who acts as another one has the rights of that one, and no others."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from infrablocks.cli.checks.finding import State
from infrablocks.cli.checks.kubernetes import checks_of_namespace
from infrablocks.exceptions import InfrastructureNotAvailable
from infrablocks.kubernetes import KubernetesClusterConfig
from infrablocks.kubernetes._clusters import borrowed_cluster
from tests.integration.kubernetes_run.driving import NOTHING_LEFT, Jobs, run_all
from tests.integration.least_rights import documented_rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engines.kubernetes import Kubernetes

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ROLE = {"apiGroup": "rbac.authorization.k8s.io"}


def acting(config: KubernetesClusterConfig, **fields: Any) -> KubernetesClusterConfig:
    """Give a configuration whose user acts as another one."""
    changed = json.loads(json.dumps(config.config))
    changed["users"][0]["user"] |= {name.replace("_", "-"): value for name, value in fields.items()}
    return KubernetesClusterConfig(config=changed, context_name=config.context_name)


@contextmanager
def may_impersonate(cluster: Kubernetes, namespace: str, account: str) -> Iterator[None]:
    """Let an account act as any user, with any groups and extra fields."""
    name = f"impersonator-{namespace}"
    verbs = {"verbs": ["impersonate"]}
    rules = [
        {"apiGroups": [""], "resources": ["users", "groups"], **verbs},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["uids", "userextras/acme.com/scopes"], **verbs},
    ]
    cluster.api("POST", f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    binding = {
        "metadata": {"name": name},
        "roleRef": {**ROLE, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }
    cluster.api("POST", f"{RBAC}/clusterrolebindings", binding)
    try:
        yield
    finally:
        cluster.api("DELETE", f"{RBAC}/clusterrolebindings/{name}")
        cluster.api("DELETE", f"{RBAC}/clusterroles/{name}")


def let_group_run(cluster: Kubernetes, namespace: str, group: str) -> None:
    """Give a group the rights that a run needs."""
    path = f"{RBAC}/namespaces/{namespace}"
    metadata: dict[str, Any] = {"metadata": {"name": "of-group"}}
    cluster.api("POST", f"{path}/roles", {**metadata, "rules": documented_rules()})
    subject = {**ROLE, "kind": "Group", "name": group}
    body = {**metadata, "roleRef": {**ROLE, "kind": "Role", "name": "of-group"}, "subjects": [subject]}
    cluster.api("POST", f"{path}/rolebindings", body)


async def test_a_user_with_rights(cluster: Kubernetes, jobs: Jobs) -> None:
    """Somebody without rights, who acts as a member of a group that has them, runs, watches and ends Jobs."""
    account = cluster.service_account(jobs.namespace, rules=[], name="agent")
    let_group_run(cluster, jobs.namespace, "runners")
    own = await anyio.to_thread.run_sync(KubernetesClusterConfig.from_file, account.kubeconfig)
    extra = {"acme.com/Scopes": ["edit", "view"]}
    config = acting(
        own, **{"as": "jürgen", "as_uid": "42", "as_groups": ["dev, ops", "runners"], "as_user_extra": extra}
    )
    with may_impersonate(cluster, jobs.namespace, account.name):
        seen = await anyio.to_thread.run_sync(_user_of, config)
        block = replace(jobs, config=config).block("echo hi; exit 3")
        story = (await run_all({"job": block}))["job"]
        assert story.summary == (3, "Error", "hi\n"), story.message
        assert story.result is not None
        await block.kill(story.result.identifier)
    refused = (await run_all({"job": replace(jobs, config=own).block("true")}))["job"]
    assert isinstance(refused.error, InfrastructureNotAvailable)
    assert (seen["username"], seen["uid"], seen["extra"]) == ("jürgen", "42", {"acme.com/scopes": ["edit", "view"]})
    assert {"dev, ops", "runners"} <= set(seen["groups"])


def _user_of(config: KubernetesClusterConfig) -> dict[str, Any]:
    """Ask the cluster whom it takes a user for."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    with borrowed_cluster(config) as cluster:
        answer = cluster.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body)
    return dict(answer["status"]["userInfo"])


async def test_a_user_without_rights(admin_jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An administrator who acts as somebody without rights makes no Job; the errors and `doctor` say who may not."""
    config = acting(admin_jobs.config, **{"as": "nobody-at-all"})
    nobody = replace(admin_jobs, config=config)
    story = (await run_all({"job": nobody.block("true")}))["job"]
    assert isinstance(story.error, InfrastructureNotAvailable)
    assert 'User "nobody-at-all" cannot list resource "jobs"' in story.message
    block = nobody.block("true")
    with pytest.raises(InfrastructureNotAvailable, match='User "nobody-at-all" cannot create resource "jobs"'):
        await anyio.to_thread.run_sync(lambda: block.preview(server=True))
    for call in (block.status, block.kill):
        with pytest.raises(InfrastructureNotAvailable, match='User "nobody-at-all" cannot get resource "jobs"'):
            await call("etl")
    with pytest.raises(InfrastructureNotAvailable, match='User "nobody-at-all" cannot list resource "jobs"'):
        await block.reap()
    path = anyio.Path(tmp_path) / "kubeconfig"
    await path.write_text(json.dumps({**config.config, "current-context": config.context_name}))
    monkeypatch.setenv("KUBECONFIG", str(path))
    (check,) = checks_of_namespace(admin_jobs.namespace)
    findings = await anyio.to_thread.run_sync(check)
    assert State.BROKEN in [one.state for one in findings if one.name == "rights"]
    assert admin_jobs.left() == NOTHING_LEFT
