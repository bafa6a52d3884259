"""The engine restarts or is lost while a container runs: the run tells the truth when the engine is back."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread
import pytest

from infrablocks._results import Reason
from infrablocks.exceptions import InfrastructureNotAvailable
from tests.engines import ContainerEngine, require
from tests.integration.docker_engine.driving import FOREVER, Identifier, Lines, run, settings

if TYPE_CHECKING:
    from tests.engines.docker_daemon import DockerDaemon
    from tests.integration.docker_engine.fault_proxy import FaultProxy

pytestmark = [
    pytest.mark.integration,
    pytest.mark.anyio,
    pytest.mark.timeout(180),
    # The SDK leaves a socket that could not be connected to the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True),
]

COUNTING = "i=1; while [ $i -le 150 ]; do echo line $i; i=$((i+1)); sleep 0.1; done; exit 3"


def numbered(count: int) -> str:
    return "".join(f"line {number}\n" for number in range(1, count + 1))


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "killed"])
@pytest.mark.parametrize("stream_output", [True, False])
async def test_with_live_restore(
    restartable_daemon: DockerDaemon, test_label: str, *, crash: bool, stream_output: bool
) -> None:
    """The container goes on, and so does the run: the right status and the whole output (PITFALL 16)."""
    daemon, lines, identifier = restartable_daemon, Lines(), Identifier()
    daemon.set_live_restore(enabled=True)

    async def restart() -> None:
        await identifier.get()
        await anyio.sleep(1)  # some lines before
        if crash:
            await anyio.to_thread.run_sync(daemon.kill)
        await anyio.to_thread.run_sync(daemon.restart)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(restart)
        container = settings(COUNTING, test_label=test_label, stream_output=stream_output)
        result = await run(container, lines, task_status=identifier)
    assert result.status_code == 3
    assert lines.text("stdout") == (numbered(150) if stream_output else "")


async def test_without_live_restore(restartable_daemon: DockerDaemon, test_label: str) -> None:
    """The engine ends the container; its code and all its output are told, and it is not taken for removed."""
    daemon, lines, identifier = restartable_daemon, Lines(), Identifier()

    async def restart() -> None:
        await identifier.get()
        await anyio.to_thread.run_sync(daemon.restart)

    script = "trap 'echo told to end; exit 7' TERM; echo running; while :; do sleep 0.05; done"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(restart)
        result = await run(settings(script, test_label=test_label), lines, task_status=identifier)
    assert (result.status_code, result.reason) == (7, Reason.ERROR)
    assert lines.text("stdout") == "running\ntold to end\n"


@pytest.mark.engines("podman")
async def test_podman_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Podman's containers do not belong to its service, and the run finds the end of its own."""
    podman = cast("ContainerEngine", require("podman"))
    monkeypatch.setenv("DOCKER_HOST", podman.docker_host)
    lines, identifier = Lines(), Identifier()

    async def restart() -> None:
        await identifier.get()
        await anyio.sleep(1)
        await anyio.to_thread.run_sync(podman.restart)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(restart)
        result = await run(settings(COUNTING), lines, task_status=identifier)
    assert result.status_code == 3
    assert lines.text("stdout") == numbered(150)


async def test_events_that_are_cut(proxy: FaultProxy, test_label: str) -> None:
    """The end is seen although the stream of events is cut again and again, with few requests (PITFALL 12)."""
    stop = anyio.Event()

    async def cut() -> None:
        while not stop.is_set():
            proxy.cut("/events")
            await anyio.sleep(0.02)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cut)
        result = await run(settings("sleep 4; exit 3", test_label=test_label, stream_output=False))
        stop.set()
    assert result.status_code == 3
    assert len(proxy.requests) < 60


async def test_an_engine_that_stays_away(proxy: FaultProxy, test_label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run gives up in the end, and its message says how to go on."""
    monkeypatch.setattr("infrablocks.docker._events.GIVE_UP_SECONDS", 1.0)
    monkeypatch.setattr("infrablocks.docker._watch.GIVE_UP_SECONDS", 1.0)
    identifier = Identifier()

    async def lose() -> None:
        await identifier.get()
        proxy.refuse()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lose)
        with pytest.raises(InfrastructureNotAvailable, match="attach") as caught:
            await run(settings(FOREVER, test_label=test_label), task_status=identifier, on_cancel="leave")
    assert "Could not connect to Docker" in str(caught.value)


async def test_lists_that_fail_where_there_are_no_events(proxy: FaultProxy, test_label: str) -> None:
    """An engine without events that cannot be asked for a while either is asked again."""
    proxy.fail("/events")
    for _ in range(4):
        proxy.replace_answer("GET /containers/json", 500)
    for _ in range(2):
        proxy.lose_answer("GET /containers/json")
    with anyio.fail_after(30):
        result = await run(settings("sleep 1; exit 3", test_label=test_label, stream_output=False))
    assert result.status_code == 3


@pytest.mark.parametrize("fault", ["refused", "silent"])
async def test_events_that_do_not_come(proxy: FaultProxy, test_label: str, fault: str) -> None:
    """An engine without events, or whose events are silent, is asked for its containers now and then (PITFALL 11)."""
    if fault == "refused":
        proxy.fail("/events")
    else:
        proxy.hold_body("/events")
    with anyio.fail_after(20):
        result = await run(settings("sleep 1; exit 3", test_label=test_label, stream_output=False))
    assert result.status_code == 3
    assert proxy.count("GET /containers/json") < 10
