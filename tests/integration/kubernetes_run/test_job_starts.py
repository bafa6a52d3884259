"""Jobs that cannot start, or cannot even be made: the run says why in the cluster's words, and leaves nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest
from pydantic import SecretStr

from infrablocks._results import Reason
from infrablocks.kubernetes import _start
from tests.integration.kubernetes_run.driving import (
    LOOK,
    NOTHING_LEFT,
    OUR_CONTAINER,
    Jobs,
    added,
    in_pod,
    run_all,
    until,
)

if TYPE_CHECKING:
    from tests.engines.kubernetes import Kubernetes
    from tests.integration.kubernetes_client.api_proxy import ApiProxy

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


async def test_cannot_start(
    jobs: Jobs, admin_jobs: Jobs, proxied: Jobs, proxy: ApiProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each obstacle fails the run with its reason and the cluster's words, and the Job is gone then."""
    monkeypatch.setattr(_start, "_TOLERANCE_SECONDS", 3.0)
    for reason in ("ErrImagePull", "ImagePullBackOff"):
        monkeypatch.setitem(_start._WAITING, reason, (Reason.IMAGE_PULL, 3.0))
    proxy.answer(LOOK, 400, times=10**6)  # what has no other end than the limit is given up after the cluster's word
    from_map = [{"op": "add", "path": f"{OUR_CONTAINER}/envFrom", "value": [{"configMapRef": {"name": "nope"}}]}]
    mount = [{"op": "add", "path": f"{OUR_CONTAINER}/volumeMounts", "value": [{"name": "v", "mountPath": "/v"}]}]
    volume = in_pod(volumes=[{"name": "v", "configMap": {"name": "nope"}}])
    blocks = {
        "invalid image": jobs.block("true", image="BAD NAME"),
        "missing image": jobs.block("true", image="127.0.0.1:1/nope:1"),
        "missing ConfigMap": jobs.block("true", customizations=from_map, env={"A": SecretStr("hush")}),
        "missing volume": proxied.block("true", pod_watch_timeout_seconds=1, customizations=volume + mount),
        "no node": proxied.block(
            "true", pod_watch_timeout_seconds=1, customizations=in_pod(nodeSelector={"no": "node"})
        ),
        "service account": jobs.block("true", service_account_name="nope"),
        "invalid": jobs.block("true", customizations=added(completionMode="Odd")),
        "no namespace": admin_jobs.block("true", namespace="no-such-namespace"),
    }
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_let_give_up, jobs, proxy)
        stories = await run_all(blocks)
    assert {name: story.summary for name, story in stories.items()} == {
        "invalid image": (-1, "InvalidImage", ""),
        "missing image": (-1, "ImagePull", ""),
        "missing ConfigMap": (-1, "ConfigError", ""),
        "missing volume": (-1, "StartTimeout", ""),
        "no node": (-1, "Unschedulable", ""),
        "service account": (-1, "ConfigError", ""),
        "invalid": (-2, "WorkloadCreationError", ""),
        "no namespace": (-2, "WorkloadCreationError", ""),
    }
    words = {
        "invalid image": "couldn't parse image name",
        "missing image": "connection refused",
        "missing ConfigMap": 'configmap "nope" not found',
        "missing volume": "MountVolume.SetUp failed",
        "no node": "didn't match Pod's node affinity/selector",
        "service account": 'serviceaccount "nope" not found',
        "invalid": 'Unsupported value: "Odd"',
        "no namespace": 'namespaces "no-such-namespace" not found',
    }
    assert {name for name, word in words.items() if word not in stories[name].message} == set()
    assert "hush" not in stories["missing ConfigMap"].message
    assert {**jobs.left(), "secrets": []} == NOTHING_LEFT
    await until(lambda: jobs.left() == NOTHING_LEFT)  # the cluster removes a Secret after its Job


async def _let_give_up(jobs: Jobs, proxy: ApiProxy) -> None:
    """Wait until the cluster has said why two pods do not start, and let their runs ask for them."""
    await until(lambda: _has_failed_mount(jobs) and jobs.has_unschedulable_pod())
    proxy.forget()


def _has_failed_mount(jobs: Jobs) -> bool:
    events = jobs.cluster.api("GET", f"/api/v1/namespaces/{jobs.namespace}/events")["items"]
    return any(event["reason"] == "FailedMount" for event in events)


async def test_quota(jobs: Jobs) -> None:
    """A quota that is used up fails the run at once, with the numbers."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "0"}}}
    jobs.create("resourcequotas", quota)
    await until(lambda: _is_enforced(jobs, "pods"))
    story = (await run_all({"job": jobs.block("true")}))["job"]
    assert (story.summary, jobs.left()) == ((-1, "ConfigError", ""), NOTHING_LEFT)
    assert "exceeded quota: few, requested: pods=1, used: pods=0, limited: pods=0" in story.message


async def test_quota_of_secrets(jobs: Jobs) -> None:
    """Where no Secret may be made, a run that needs one says so, without its value, and its Job does not stay."""
    jobs.create("resourcequotas", {"metadata": {"name": "few"}, "spec": {"hard": {"count/secrets": "0"}}})
    await until(lambda: _is_enforced(jobs, "count/secrets"))
    story = (await run_all({"job": jobs.block("echo $A", env={"A": SecretStr("hush")})}))["job"]
    assert (story.summary, jobs.named("jobs")) == ((-2, "WorkloadCreationError", ""), [])
    await until(lambda: jobs.left() == NOTHING_LEFT)  # a pod that was made while the Job went may go a moment later
    assert story.message.startswith(f"Kubernetes Secret could not be made in the namespace '{jobs.namespace}': ")
    assert "exceeded quota: few, requested: count/secrets=1, used: count/secrets=0" in story.message
    assert "hush" not in story.message


def _is_enforced(jobs: Jobs, resource: str) -> bool:
    quota = jobs.cluster.api("GET", f"/api/v1/namespaces/{jobs.namespace}/resourcequotas/few")
    return resource in (quota.get("status") or {}).get("used", {})


async def test_pod_security(cluster: Kubernetes, admin_jobs: Jobs) -> None:
    """A pod that Pod Security rejects fails the run at once, and what it asks for is told."""
    with cluster.namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"}) as name:
        restricted = replace(admin_jobs, namespace=name)
        story = (await run_all({"job": restricted.block("true")}))["job"]
        assert (story.summary, restricted.left()) == ((-1, "ConfigError", ""), NOTHING_LEFT)
    assert 'violates PodSecurity "restricted:latest"' in story.message
