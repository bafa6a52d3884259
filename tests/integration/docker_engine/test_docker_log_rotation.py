"""An engine keeps the newest part of a log only: what it still has comes once, and what may be lost is told."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from infrablocks import DockerContainer
from tests.engines import CONTAINER_ENGINES, images
from tests.integration.docker_engine.driving import Identifier, Lines, run, settings, until
from tests.integration.own_containers import LABEL

if TYPE_CHECKING:
    from collections.abc import Callable

    import docker

    from tests.engines import ContainerEngine
    from tests.integration.docker_engine.fault_proxy import FaultProxy

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

FILLER = "x" * 100
PRINT = f"print() {{ seq $1 $2 | sed 's/$/ {FILLER}/'; }}; wait_for() {{ until [ -e /$1 ]; do sleep 0.05; done; }}"
SMALL = {"max-size": "20k", "max-file": "2"}
LAST = 2


def printed(*numbers: int) -> list[str]:
    return [f"{number} {FILLER}\n" for number in numbers]


async def made(client: docker.DockerClient, identifier: str, file: str) -> None:
    """Make a file in a container, which waits for it."""
    container = client.containers.get(identifier)
    await anyio.to_thread.run_sync(lambda: container.exec_run(["touch", f"/{file}"]))


def there(client: docker.DockerClient, identifier: str, file: str) -> Callable[[], bool]:
    """Say how to see whether a container has made a file."""
    container = client.containers.get(identifier)
    return lambda: container.exec_run(["test", "-e", f"/{file}"]).exit_code == 0


def kept(client: docker.DockerClient, identifier: str) -> list[str]:
    """Give what the engine has of stdout."""
    log: bytes = client.containers.get(identifier).logs(stderr=False)
    return log.decode().splitlines(keepends=True)


@pytest.mark.differs_between_engines("what is left of a rotated log")
@pytest.mark.parametrize(
    ("engine", "driver"),
    [
        *((name, "json-file") for name in CONTAINER_ENGINES),
        ("docker20", "local"),
        ("docker29", "local"),
    ],  # Docker's own
    indirect=["engine"],
)
@pytest.mark.parametrize(
    ("first", "many"), [(20, 40), (400, 430), (100, 2000)], ids=["whole", "begins later", "begins after the cut"]
)
async def test_rotated_while_cut(
    engine: ContainerEngine,
    proxy: FaultProxy,
    test_label: str,
    caplog: pytest.LogCaptureFixture,
    *,
    driver: str,
    first: int,
    many: int,
) -> None:
    """Lines that the engine still has come once, in order; one warning says so where the next ones are gone."""
    caplog.set_level(logging.WARNING)
    identifier, results = Identifier(), list[Any]()
    lines = Lines(lambda line: cut() if line == printed(first)[0] else None)

    def cut() -> None:
        proxy.hold_answer("/logs")  # the log is not read until all is printed
        proxy.cut("/attach")

    script = f"{PRINT}; print 1 {first}; wait_for cut; print {first + 1} {many}; touch /printed; wait_for end; "
    script += f"print {many + 1} {many + LAST}; exit 3"
    container = settings(script, test_label=test_label, log_config={"type": driver, "config": SMALL})

    async def watch() -> None:
        results.append(await run(container, lines, task_status=identifier))

    with closing(engine.client()) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            name = await identifier.get()
            await until(lambda: proxy.count("GET .*/logs") > 0)
            await made(client, name, "cut")
            await until(there(client, name, "printed"))
            before = kept(client, name)
            proxy.cut("/logs")
            await until(lambda: before[-1] in lines.text("stdout"))
            await made(client, name, "end")
    assert [result.status_code for result in results] == [3]
    new = [line for line in before if line not in printed(*range(1, first + 1))]
    expected = printed(*range(1, first + 1)) + new + printed(*range(many + 1, many + LAST + 1))
    assert [line for _, line in lines.lines] == expected
    is_lost = printed(first + 1)[0] not in before
    assert is_lost == (many == 2000)
    assert caplog.text.count("output may be lost") == is_lost


def stopping(test_label: str, last: int) -> DockerContainer:
    """Make a block that prints some lines, waits, and prints two more."""
    script = f"{PRINT}; print 1 {last}; touch /printed; wait_for end; print {last + 1} {last + LAST}"
    return DockerContainer(
        image=images.BUSYBOX,
        image_pull_policy="NEVER",
        command=["sh", "-c", script],
        labels={LABEL: test_label},
        stream_output=False,
        create_kwargs={"log_config": {"type": "json-file", "config": SMALL}},
    )


def after(lines: int) -> str:
    """Give a cursor."""
    return f'{{"version":1,"lines":{{"stdout":{lines},"stderr":0}}}}'


@pytest.mark.differs_between_engines("what is left of a rotated log, and what the engine tells of its limits")
@pytest.mark.parametrize(("last", "delivered", "lost"), [(20, 10, False), (2000, 1900, True)], ids=["whole", "rotated"])
async def test_attached_after_a_cursor(
    engine: ContainerEngine,
    proxy: FaultProxy,
    test_label: str,
    caplog: pytest.LogCaptureFixture,
    *,
    last: int,
    delivered: int,
    lost: bool,
) -> None:
    """A log with fewer lines than were delivered: no line comes again, later ones all come, and one warning says so."""
    identifier, lines, old = Identifier(), Lines(), Lines()
    with closing(engine.client()) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stopping(test_label, last).run, identifier)
            name = await identifier.get()
            await until(there(client, name, "printed"))
            tasks.start_soon(lambda: DockerContainer().attach(name, after=after(delivered), output=lines))
            await until(lambda: proxy.count("GET .*/logs.*follow=1") > 0)
            await made(client, name, "end")
    first = last if lost else delivered
    assert [line for _, line in lines.lines] == printed(*range(first + 1, last + LAST + 1))
    assert caplog.text.count("output may be lost") == lost
    caplog.clear()
    await DockerContainer().logs(name, after=after(delivered), output=old)
    assert [line for _, line in old.lines] == ([] if lost else [line for _, line in lines.lines])
    assert caplog.text.count("output may be lost") == lost
