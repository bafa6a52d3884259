"""The least rights of a run, and its secrets."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from pydantic import SecretStr

from infrablocks.exceptions import InfrastructureNotAvailable
from infrablocks.kubernetes import KubernetesClusterConfig
from tests.integration.kubernetes_run.driving import NOTHING_LEFT, Jobs, Lines, run_all, until
from tests.integration.least_rights import documented_rules

if TYPE_CHECKING:
    from tests.engines.cluster_access import Account
    from tests.engines.kubernetes import Kubernetes

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

LEAST_RIGHTS = documented_rules()
"""The rules of the Role that a run needs; the last one only words messages, the one before is for secret variables."""

NEEDED = [(rule["resources"][0], verb) for rule in LEAST_RIGHTS[:-1] for verb in rule["verbs"]]


def without(resource: str, verb: str) -> list[dict[str, Any]]:
    """Give the rules without one right."""
    rules = [
        {**rule, "verbs": [each for each in rule["verbs"] if (resource, each) != (rule["resources"][0], verb)]}
        for rule in LEAST_RIGHTS
    ]
    return [rule for rule in rules if rule["verbs"]]


async def used_by(jobs: Jobs, account: Account) -> Jobs:
    """Give what makes blocks for an account."""
    config = await anyio.to_thread.run_sync(KubernetesClusterConfig.from_file, account.kubeconfig)
    return replace(jobs, config=config)


async def test_missing_right(cluster: Kubernetes, jobs: Jobs) -> None:
    """A run whose user lacks a right says which, before anything is made."""
    blocks = {}
    for resource, verb in NEEDED:
        name = f"no-{verb}-{resource.replace('/', '-')}"
        account = cluster.service_account(jobs.namespace, rules=without(resource, verb), name=name)
        own = await used_by(jobs, account)
        blocks[resource, verb] = own.block("true", env={"A": SecretStr("hush")})
    stories = await run_all({f"{verb} {resource}": block for (resource, verb), block in blocks.items()})
    assert {name for name, story in stories.items() if not isinstance(story.error, InfrastructureNotAvailable)} == set()
    unnamed = {
        name: story.message
        for name, story in stories.items()
        if not all(word in story.message for word in name.split())
    }
    assert (unnamed, jobs.left()) == ({}, NOTHING_LEFT)
    assert [name for name, story in stories.items() if "hush" in story.message] == []


async def test_wrong_token(cluster: Kubernetes, jobs: Jobs) -> None:
    """A run with a token that nobody has says which cluster does not take it and what to do, and not the token."""
    kubeconfig = cluster.kubeconfig_for(f"wrong-{jobs.namespace}", token="s3cret-token")
    config = await anyio.to_thread.run_sync(KubernetesClusterConfig.from_file, kubeconfig)
    story = (await run_all({"job": replace(jobs, config=config).block("true")}))["job"]
    assert isinstance(story.error, InfrastructureNotAvailable)
    assert story.message == (
        f"The Kubernetes cluster at {cluster.address} does not accept the credentials (401 Unauthorized): the token or "
        "certificate is wrong or has expired. Log in again, or put valid ones into the kubeconfig or the "
        "cluster_config."
    )
    assert jobs.left() == NOTHING_LEFT


async def test_least_rights(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    """With exactly the rights of the Role a run with a Secret goes its way, and so do kill, status, logs and attach."""
    caplog.set_level(logging.DEBUG)
    block = jobs.block("echo $A | tr a-z A-Z; exit 3", env={"A": SecretStr("hush"), "PREFECT_API_KEY": "quiet"})
    output = Lines()
    result = await block.run(output=output)
    assert (result.status_code, output.text) == (3, "HUSH\n")
    assert str(await block.status(result.identifier)) == "Failed"
    again, kept = Lines(), Lines()
    attached = await block.attach(result.identifier, output=again)
    await block.logs(result.identifier, output=kept)
    assert (attached, again.text, kept.text) == (result, "HUSH\n", "HUSH\n")

    job = jobs.cluster.api("GET", f"/apis/batch/v1/namespaces/{jobs.namespace}/jobs/{result.identifier.split(':')[2]}")
    preview = await anyio.to_thread.run_sync(block.preview)
    seen = [json.dumps(job), preview, caplog.text, repr(block), str(result)]
    assert [text for text in seen if "hush" in text or "quiet" in text] == []
    assert len(jobs.named("secrets")) == 1
    await block.kill(result.identifier)
    await until(lambda: jobs.left() == NOTHING_LEFT)


async def test_inline_secrets(jobs: Jobs) -> None:
    """With secrets="inline" no Secret is made, and the value is in the Job."""
    block = jobs.block("echo $A", env={"A": SecretStr("hush")}, secrets="inline")
    stories = await run_all({"job": block})
    assert (stories["job"].summary, jobs.named("secrets")) == ((0, "Completed", "hush\n"), [])
