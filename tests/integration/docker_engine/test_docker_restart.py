"""The engine restarts or is lost while a container runs: the run tells the truth when the engine is back."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread
import pytest

from infrablocks._results import Reason
from infrablocks.exceptions import InfrastructureNotAvailable
from tests.engines import ContainerEngine, require
from tests.integration.docker_engine.driving import FOREVER, Identifier, Lines, run, settings, until
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from tests.engines.docker_daemon import DockerDaemon
    from tests.integration.docker_engine.fault_proxy import FaultProxy

pytestmark = [
    pytest.mark.integration,
    pytest.mark.anyio,
    # The SDK leaves a socket that could not be connected to the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True),
]

# It prints lines, also while the engine is away, until a file says that it is to end.
COUNTING = "i=0; until [ -e /end ]; do i=$((i+1)); echo line $i; sleep 0.05; done; echo end $i; exit 3"


async def some_lines(lines: Lines) -> None:
    """Wait for ten more lines."""
    before = len(lines.lines)
    await until(lambda: len(lines.lines) >= before + 10)


def end(engine: ContainerEngine, identifier: str) -> None:
    """Let a container that counts come to its end."""
    with contextlib.closing(engine.client()) as client:
        client.containers.get(identifier).exec_run(["touch", "/end"])


def is_whole(text: str) -> bool:
    """Say whether all lines of a container that has counted are there, each once and in order."""
    *lines, last = text.splitlines()
    return lines == [f"line {number}" for number in range(1, len(lines) + 1)] and last == f"end {len(lines)}"


@pytest.mark.differs_between_engines("what a restart of the engine does to streams and containers")
@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "killed"])
async def test_with_live_restore(restartable_daemon: DockerDaemon, test_label: str, *, crash: bool) -> None:
    """Containers go on, and so do their runs: the right status and the whole output (PITFALL 16)."""
    daemon, results = restartable_daemon, list[int]()
    daemon.set_live_restore(enabled=True)

    async def run_one(lines: Lines, identifier: Identifier, *, stream_output: bool) -> None:
        container = settings(COUNTING, test_label=test_label, stream_output=stream_output)
        results.append((await run(container, lines, task_status=identifier)).status_code)

    async with anyio.create_task_group() as tasks:
        streamed, silent, identifiers = Lines(), Lines(), (Identifier(), Identifier())
        for lines, identifier in zip((streamed, silent), identifiers, strict=True):
            tasks.start_soon(lambda *told: run_one(*told, stream_output=told[0] is streamed), lines, identifier)
        names = [await identifier.get() for identifier in identifiers]
        await some_lines(streamed)
        if crash:
            await anyio.to_thread.run_sync(daemon.kill)
        await anyio.to_thread.run_sync(daemon.restart)
        await some_lines(streamed)
        for name in names:
            await anyio.to_thread.run_sync(end, daemon, name)
    assert results == [3, 3]
    assert is_whole(streamed.text("stdout"))
    assert silent.lines == []


@pytest.mark.differs_between_engines("what a restart of the engine does to streams and containers")
async def test_without_live_restore(restartable_daemon: DockerDaemon, test_label: str) -> None:
    """The engine ends the container; its code and all its output are told, and it is not taken for removed."""
    daemon, lines = restartable_daemon, Lines()

    async def restart() -> None:
        await until(lambda: ("stdout", "running\n") in lines.lines)
        await anyio.to_thread.run_sync(daemon.restart)

    script = "trap 'echo told to end; exit 7' TERM; echo running; while :; do sleep 0.05; done"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(restart)
        result = await run(settings(script, test_label=test_label), lines)
    assert (result.status_code, result.reason) == (7, Reason.ERROR)
    assert lines.text("stdout") == "running\ntold to end\n"


@pytest.mark.differs_between_engines("what a restart of the engine does to streams and containers")
@pytest.mark.parametrize("name", ["podman", "podman5"])
async def test_podman_restarts(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Podman's containers do not belong to its service, and the run finds the end of its own."""
    podman = cast("ContainerEngine", require(name))
    monkeypatch.setenv("DOCKER_HOST", podman.docker_host)
    lines, identifier = Lines(), Identifier()

    async def restart() -> None:
        await some_lines(lines)
        await anyio.to_thread.run_sync(podman.restart)
        await some_lines(lines)
        await anyio.to_thread.run_sync(end, podman, await identifier.get())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(restart)
        result = await run(settings(COUNTING), lines, task_status=identifier)
    assert result.status_code == 3
    assert is_whole(lines.text("stdout"))


async def test_events_that_are_cut(proxy: FaultProxy, engine: ContainerEngine, test_label: str) -> None:
    """The end is seen although the stream of events is cut again and again, with few requests (PITFALL 12)."""
    stop, identifier = anyio.Event(), Identifier()

    async def cut() -> None:
        while not stop.is_set():
            proxy.cut("/events")
            await anyio.sleep(0.02)

    async def end_after_five() -> None:
        await until(lambda: proxy.count("/events") >= 5)
        await anyio.to_thread.run_sync(end, engine, await identifier.get())

    begun = time.monotonic()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cut)
        tasks.start_soon(end_after_five)
        result = await run(settings(COUNTING, test_label=test_label, stream_output=False), task_status=identifier)
        stop.set()
    assert result.status_code == 3
    assert len(proxy.requests) < 60 + 10 * (time.monotonic() - begun)


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
    with anyio.fail_after(WAIT_SECONDS):
        result = await run(settings("sleep 1; exit 3", test_label=test_label, stream_output=False))
    assert result.status_code == 3


@pytest.mark.parametrize("fault", ["refused", "silent"])
async def test_events_that_do_not_come(proxy: FaultProxy, test_label: str, fault: str) -> None:
    """An engine without events, or whose events are silent, is asked for its containers now and then (PITFALL 11)."""
    if fault == "refused":
        proxy.fail("/events")
    else:
        proxy.hold_body("/events")
    begun = time.monotonic()
    with anyio.fail_after(WAIT_SECONDS):
        result = await run(settings("sleep 1; exit 3", test_label=test_label, stream_output=False))
    assert result.status_code == 3
    assert proxy.count("GET /containers/json") < 5 + time.monotonic() - begun  # one a second
