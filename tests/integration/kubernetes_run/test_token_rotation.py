"""The token in a file is replaced while a run goes on, and the old one is not accepted any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks.base import InfrastructureResult
from tests.engines.cluster_api import ApiRefused
from tests.integration.kubernetes_run.driving import NOTHING_LEFT, Gate, Jobs, Lines, Seen, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.cluster_access import Account
    from tests.engines.kubernetes import Kubernetes
    from tests.integration.kubernetes_client.api_proxy import ApiProxy

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

BOUND_TO = "token-one"


def new_token(jobs: Jobs, account: Account) -> str:
    """Give a token that is not accepted any more, some seconds after a Secret was deleted."""
    secret = {"metadata": {"name": BOUND_TO}}
    jobs.create("secrets", secret)
    uid = jobs.cluster.api("GET", f"/api/v1/namespaces/{jobs.namespace}/secrets/{BOUND_TO}")["metadata"]["uid"]
    bound = {"kind": "Secret", "apiVersion": "v1", "name": BOUND_TO, "uid": uid}
    path = f"/api/v1/namespaces/{jobs.namespace}/serviceaccounts/{account.name}/token"
    request = {"spec": {"expirationSeconds": 3600, "boundObjectRef": bound}}
    return str(jobs.cluster.api("POST", path, request)["status"]["token"])


def is_refused(jobs: Jobs, token: str) -> bool:
    """Say whether a token is not accepted."""
    try:
        jobs.cluster.api_of(token).request("GET", f"/apis/batch/v1/namespaces/{jobs.namespace}/jobs")
    except ApiRefused as error:
        return error.status == 401
    return False


def put(file: Path, token: str) -> None:
    """Replace a token at once, as a kubelet does."""
    new = file.with_suffix(".new")
    new.write_text(token)
    new.replace(file)


@pytest.fixture
def token_file(
    cluster: Kubernetes, jobs: Jobs, proxy: ApiProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The file of the current kubeconfig that holds the token; a block would have taken the token into itself."""
    file = tmp_path / "token"
    user = {"tokenFile": str(file)}
    path = cluster.kubeconfig_for(f"rotated-{jobs.namespace}", user=user, server=proxy.url)
    monkeypatch.setenv("KUBECONFIG", str(path))
    return file


async def test_token_is_replaced(
    cluster: Kubernetes, jobs: Jobs, runner: Account, proxy: ApiProxy, token_file: Path
) -> None:
    """A run whose connections are cut after that goes on with the new token, and so do status and kill."""
    old = new_token(jobs, runner)
    put(token_file, old)
    seen, results = Seen("before"), list[InfrastructureResult]()
    output = Lines(seen)
    with Gate(cluster.node.network.machine_address) as gate:
        block = jobs.block(f"echo before; {gate.command}; echo after; exit 3", cluster_config=None)

        async def run() -> None:
            results.append(await block.run(output=output))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await seen.wait()
            put(token_file, runner.token)
            jobs.delete("secrets", BOUND_TO)
            await until(lambda: is_refused(jobs, old))
            proxy.cut()
            gate.open()
    assert [(result.status_code, output.text) for result in results] == [(3, "before\nafter\n")]
    assert str(await block.status(results[0].identifier)) == "Failed"
    await block.kill(results[0].identifier)
    await until(lambda: jobs.left() == NOTHING_LEFT)
