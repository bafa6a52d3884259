"""What Jobs print: all of it, once and in order, whatever happens to the connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engines import fake_scripts
from tests.engines.fake_nodes import FakeNodes
from tests.integration.kubernetes_run.driving import Jobs, in_pod, run_all

if TYPE_CHECKING:
    from tests.engines.kubernetes import Kubernetes
    from tests.integration.kubernetes_client.api_proxy import ApiProxy

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

# So many lines that each of the cuts comes before their end, also where no line comes again.
MANY = 3000
COUNTING = f"n=0; while [ $n -lt {MANY} ]; do echo line $n; n=$((n+1)); done; exit 3"


@pytest.mark.usefixtures("one_look_at_the_end")
async def test_stream_is_cut(jobs: Jobs, proxied: Jobs, proxy: ApiProxy) -> None:
    """Thousands of lines arrive once and in order, although the connection is cut five times, also in mid-line."""
    # Growing: all lines of the last second come again each time.
    proxy.cut_after(r"/log\?", 5003, 11003, 17003, 23003, 29003)
    story = (await run_all({"job": proxied.block(COUNTING)}))["job"]
    expected = "".join(f"line {number}\n" for number in range(MANY))
    assert story.summary == (3, "Error", expected)
    assert len(proxy.lines(r"/log\?")) == 7  # five that were cut, the one that came to its end, and a last look
    assert len(jobs.named("jobs")) == 1


async def test_node_ends_stream(cluster: Kubernetes, jobs: Jobs) -> None:
    """A stream that the node ends in good order while the container runs is read on, too, in every attempt."""
    with FakeNodes(cluster) as nodes:
        script = fake_scripts.annotations(run_seconds=2, log_lines=200, log_cut_after=150, exit_codes=[3, 0])
        changes = [
            *in_pod(**nodes.pod_settings),
            {"op": "add", "path": "/spec/template/metadata/annotations", "value": script},
            {"op": "add", "path": "/spec/backoffLimit", "value": 1},
        ]
        story = (await run_all({"job": jobs.block("played", customizations=changes)}))["job"]
        assert story.result is not None
        assert (story.result.status_code, len(story.output.lines)) == (0, 400)
    pods = [line.split()[-1] for line in story.output.lines]
    assert [line.split()[1] for line in story.output.lines] == [str(number) for number in range(200)] * 2
    assert (len(set(pods[:200])), len(set(pods[200:])), len(set(pods))) == (1, 1, 2)


async def test_bytes(jobs: Jobs) -> None:
    """Blanks, empty lines, long lines and a last line without an end come as they were printed."""
    command = "printf '  a  \\n\\n\\tb\\n'; head -c 200000 /dev/zero | tr '\\0' x; printf '\\nend'"
    story = (await run_all({"job": jobs.block(command)}))["job"]
    assert story.summary == (0, "Completed", f"  a  \n\n\tb\n{'x' * 200000}\nend")
