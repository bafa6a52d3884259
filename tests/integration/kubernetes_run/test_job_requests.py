"""Which requests a run makes, and what becomes of it when they go wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from tests.integration.kubernetes_run.driving import Jobs, Lines, run_all, until

if TYPE_CHECKING:
    from tests.integration.kubernetes_client.api_proxy import ApiProxy

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


OF_ALL_RUNS = r"labelSelector=infrablocks.io/run-id(&|$| in )"


def requests(proxy: ApiProxy, namespace: str) -> list[str]:
    """Give the requests in short, in the order of the alphabet; those of a list and watch are called so.

    Those for events are left out: they come where a cluster takes its time to make a pod.
    """
    return sorted(_short(line, namespace) for line in proxy.lines() if "/events" not in line)


def _short(line: str, namespace: str) -> str:
    short = line.partition("?")[0].replace(f"/namespaces/{namespace}", "")
    if re.search(OF_ALL_RUNS, line):
        return short.replace("GET", "watch" if "watch=true" in line else "list")
    return re.sub(r"pods/[^/]+/log", "pods/POD/log", short)


@pytest.mark.usefixtures("one_look_at_the_end")
async def test_requests_of_a_run(proxied: Jobs, proxy: ApiProxy) -> None:
    """A run makes its Job and its Secret and reads its log twice; all others are for all runs together, once each."""
    blocks = {
        "plain": proxied.block("true", stream_output=False),
        "streamed": proxied.block("echo hi"),
        "secret": proxied.block("true", stream_output=False, env={"A": SecretStr("hush")}),
    }
    stories = await run_all(blocks)
    assert {story.summary[0] for story in stories.values()} == {0}
    assert requests(proxy, proxied.namespace) == [
        *["GET /api/v1/pods/POD/log"] * 2,
        "POST /api/v1/secrets",
        "POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        *["POST /apis/batch/v1/jobs"] * 3,
        *["list /api/v1/pods", "list /apis/batch/v1/jobs"],
        *["watch /api/v1/pods", "watch /apis/batch/v1/jobs"],
    ]


@pytest.mark.usefixtures("one_look_at_the_end")
async def test_one_run_that_does_all(proxied: Jobs, proxy: ApiProxy) -> None:
    """With a Secret and its output a run makes five requests at most, besides those that count for all runs."""
    stories = await run_all({"job": proxied.block("echo hi", env={"A": SecretStr("hush")})})
    assert stories["job"].summary == (0, "Completed", "hi\n")
    shared = [line for line in proxy.lines() if re.search(f"{OF_ALL_RUNS}|selfsubjectrulesreviews", line)]
    assert (len(shared), len(requests(proxy, proxied.namespace)) - len(shared) <= 5) == (5, True), proxy.lines()


@pytest.mark.parametrize("kind", ["jobs", "secrets"])
@pytest.mark.parametrize("fault", ["lost answer", "500", "504", "429"])
async def test_creation_goes_wrong(jobs: Jobs, proxied: Jobs, proxy: ApiProxy, kind: str, fault: str) -> None:
    """Whatever becomes of the answer, there is one Job and one Secret, and the run ends well."""
    pattern = f"^POST .*/{kind}( |$|\\?)"
    if fault == "lost answer":
        proxy.lose_answer(pattern)
    else:
        proxy.answer(pattern, int(fault), retry_after=1 if fault == "429" else None)
    output = Lines()
    stories = await run_all({"job": proxied.block("echo $A", env={"A": SecretStr("hush")})}, {"job": output})
    assert stories["job"].summary == (0, "Completed", "hush\n")
    assert (len(jobs.named("jobs")), len(proxy.lines(pattern))) == (1, 2)


async def test_quota_after_lost_answer(jobs: Jobs, proxied: Jobs, proxy: ApiProxy) -> None:
    """A quota that the Job itself has used up, of which the answer was lost, does not hide that it was made."""
    spec = {"hard": {"count/jobs.batch": "1"}}
    jobs.create("resourcequotas", {"metadata": {"name": "one"}, "spec": spec})
    await until(lambda: _is_enforced(jobs))
    pattern = "^POST .*/jobs"
    proxy.lose_answer(pattern)
    stories = await run_all({"job": proxied.block("echo done")})
    assert stories["job"].summary == (0, "Completed", "done\n"), stories["job"].message
    assert (len(jobs.named("jobs")), len(proxy.lines(pattern))) == (1, 2)
    stories = await run_all({"job": proxied.block("echo done")})
    assert stories["job"].summary == (-2, "WorkloadCreationError", "")
    assert "exceeded quota: one, requested: count/jobs.batch=1, used: count/jobs.batch=1" in stories["job"].message


def _is_enforced(jobs: Jobs) -> bool:
    quota = jobs.cluster.api("GET", f"/api/v1/namespaces/{jobs.namespace}/resourcequotas/one")
    return "count/jobs.batch" in (quota.get("status") or {}).get("used", {})


async def test_invalid_is_sent_once(proxied: Jobs, proxy: ApiProxy) -> None:
    """What the API refuses is not sent again."""
    stories = await run_all({"job": proxied.block("true", customizations=[_odd()])})
    assert (stories["job"].summary[1], len(proxy.lines("^POST .*/jobs"))) == ("WorkloadCreationError", 1)


def _odd() -> dict[str, str]:
    return {"op": "add", "path": "/spec/completionMode", "value": "Odd"}


async def test_reads_that_fail(jobs: Jobs, proxied: Jobs, proxy: ApiProxy) -> None:
    """Log requests that fail for a while lose nothing, and say nothing about whether the Job is there."""
    for status in (500, 503, 429, 400):
        proxy.answer(r"/log\?", status, retry_after=1 if status == 429 else None)
    stories = await run_all({"job": proxied.block("echo one; echo two; exit 3")})
    assert stories["job"].summary == (3, "Error", "one\ntwo\n")
    assert len(jobs.named("jobs")) == 1
