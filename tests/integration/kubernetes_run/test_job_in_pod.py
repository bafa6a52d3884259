"""A program in a pod runs Jobs with nothing but what the cluster has put into the pod."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infrablocks.exceptions import InfrastructureNotAvailable, InfrastructureNotFound
from tests.engines.control_plane import SERVICE_ADDRESS
from tests.integration.kubernetes_run import this_python
from tests.integration.kubernetes_run.driving import IMAGE, NOTHING_LEFT, Jobs, run_all, until

if TYPE_CHECKING:
    from tests.engines.cluster_access import Account

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

PROGRAM = f"""
import json
from pathlib import Path
from pydantic import SecretStr
from infrablocks.exceptions import InfrastructureError
from infrablocks.kubernetes import KubernetesJob

lines = []
block = KubernetesJob(
    namespace=Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text(),
    image="{IMAGE}",
    image_pull_policy="IfNotPresent",
    command=["sh", "-c", "echo $A | tr a-z A-Z; exit 3"],
    env={{"A": SecretStr("hush")}},
)
result = block.run(output=lambda stream, line: lines.append([stream, line]))
try:
    block.model_copy(update={{"namespace": "default"}}).run()
except InfrastructureError as error:
    refused = str(error)
print(json.dumps([result.identifier, result.status_code, result.reason, lines, refused]))
"""


async def test_in_pod(jobs: Jobs, runner: Account) -> None:
    """Cluster, authority and token are the pod's: runs there have the rights of its account, and are known outside."""
    outer = jobs.block(
        this_python.command(PROGRAM),
        env=this_python.variables(),
        service_account_name=runner.name,
        customizations=this_python.customizations(),
    )
    story = (await run_all({"agent": outer}))["agent"]
    assert story.summary[:2] == (0, "Completed"), story
    assert story.result is not None
    identifier, *told, refused = json.loads(story.output.lines[-1])
    assert told == [3, "Error", [["stdout", "HUSH\n"]]]
    assert refused.startswith(f"The Kubernetes cluster at https://{SERVICE_ADDRESS}:443 does not allow this: ")
    assert f'User "system:serviceaccount:{jobs.namespace}:{runner.name}" cannot list' in refused
    cluster_id, namespace, *_ = story.result.identifier.split(":")
    assert identifier.split(":")[1] == namespace
    assert identifier.split(":")[0] != cluster_id  # it has another address there: the uid decides

    assert str(await outer.status(identifier)) == "Failed"
    for each in (identifier, story.result.identifier):
        await outer.kill(each)
    with pytest.raises(InfrastructureNotAvailable, match="If it is the same cluster under another address, the Job is"):
        await outer.status(identifier)
    with pytest.raises(InfrastructureNotFound):
        await outer.status(story.result.identifier)
    await until(lambda: jobs.left() == NOTHING_LEFT)
