"""A node keeps the newest part of a log only: what a run has missed by that is told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
import pytest

from infrablocks.base import InfrastructureResult
from tests.integration.kubernetes_run.driving import Gate, Jobs, Lines, Seen, until

if TYPE_CHECKING:
    from tests.engines.kubernetes import Kubernetes
    from tests.integration.kubernetes_client.api_proxy import ApiProxy

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

# The node begins a new file when it finds one of 10 MiB, for which it looks every few seconds.
FIRST, MANY, LAST = 100, 120_000, 120_100
FILLER = "x" * 100
PRINT = f"print() {{ seq $1 $2 | sed 's/$/ {FILLER}/'; }}"


async def test_rotated_while_cut(
    cluster: Kubernetes, proxied: Jobs, proxy: ApiProxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Lines that the node has put away while the run could not read are told as lost, once; others come as ever."""
    caplog.set_level(logging.WARNING)
    address = cluster.node.network.machine_address
    seen, results = Seen(f"{FIRST} "), list[InfrastructureResult]()
    output = Lines(seen)
    with Gate(address) as cut, Gate(address) as rotated:
        block = proxied.block(
            f"{PRINT}; print 1 {FIRST}; {cut.command}; "
            f"print {FIRST + 1} {MANY}; {rotated.command}; print {MANY + 1} {LAST}; exit 3"
        )

        async def run() -> None:
            results.append(await block.run(output=output))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await seen.wait()
            proxy.refuse()
            cut.open()
            await until(lambda: _log_files(cluster, proxied.namespace) > 1)
            proxy.accept()
            rotated.open()
    assert [result.status_code for result in results] == [3]
    if output.lines[FIRST].startswith("x"):  # the rest of a line that began in the file before
        del output.lines[FIRST]
    after = int(output.lines[FIRST].partition(" ")[0])
    assert output.text == _printed(1, FIRST) + _printed(after, LAST)
    assert FIRST + 1 < after <= MANY + 1
    (pod,) = proxied.named("pods")
    told = f"The log of container 'prefect-job' of pod {proxied.namespace}/{pod} was rotated or removed at the node"
    assert [message.partition(" while ")[0] for message in caplog.messages if "output may be lost" in message] == [told]


async def test_rotated_while_read(cluster: Kubernetes, jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    """A run that reads along has all that was printed, once."""
    caplog.set_level(logging.WARNING)
    output, results = Lines(), list[InfrastructureResult]()
    with Gate(cluster.node.network.machine_address) as rotated:
        block = jobs.block(f"{PRINT}; print 1 {MANY}; {rotated.command}; print {MANY + 1} {LAST}")

        async def run() -> None:
            results.append(await block.run(output=output))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await until(lambda: bool(output.lines) and _log_files(cluster, jobs.namespace) > 1)
            rotated.open()
    assert [result.status_code for result in results] == [0]
    assert output.text == _printed(1, LAST)
    # The node may end its answer where its file ended: that nothing stood in between is then not known.
    assert [message for message in caplog.messages if "may be lost" not in message] == []


def _printed(first: int, last: int) -> str:
    return "".join(f"{number} {FILLER}\n" for number in range(first, last + 1))


def _log_files(cluster: Kubernetes, namespace: str) -> int:
    listed = cluster.room.run(["sh", "-c", f"ls /var/log/pods/{namespace}_*/prefect-job"])
    return len(listed.split())
