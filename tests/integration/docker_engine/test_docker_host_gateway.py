"""The name of the engine's machine in containers, on engines that know its address and on those that do not."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.docker_engine.driving import Lines, run, settings
from tests.integration.own_containers import own_containers

if TYPE_CHECKING:
    import docker

    from tests.engines import ContainerEngine

PODMAN_PAGE = Path(__file__).parents[3].joinpath("docs/how-to/podman.md").read_text(encoding="utf-8")

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

# What every block has by itself.
NAMED = {"host.docker.internal": "host-gateway"}


@pytest.mark.differs_between_engines("host-gateway: an address, or not known")
@pytest.mark.parametrize("needed", [True, False])
async def test_host_gateway(
    engine: ContainerEngine, test_label: str, caplog: pytest.LogCaptureFixture, *, needed: bool
) -> None:
    """An engine that knows it puts an address into /etc/hosts; others leave it out, with a warning if it is needed."""
    caplog.set_level(logging.INFO)
    lines = Lines()
    container = settings(
        "grep host.docker.internal /etc/hosts",
        test_label=test_label,
        extra_hosts=NAMED,
        environment={"PREFECT_API_URL": "http://host.docker.internal:4200/api"} if needed else {},
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await run(container, lines)
    warned, logged = (
        [text for text in texts if "could not be automatically resolved" in text]
        for texts in ([str(each.message) for each in caught], caplog.messages)
    )
    if engine.name == "podman":
        assert (len(warned), len(logged)) == ((1, 0) if needed else (0, 1))
        assert (warned + logged)[0] in " ".join(PODMAN_PAGE.split())
        assert "host-gateway" not in lines.text("stdout")
    else:
        assert not warned + logged
        assert lines.text("stdout")[0].isdigit()


@pytest.mark.differs_between_engines("host-gateway in a container without a network of its own")
@pytest.mark.parametrize("mode", ["none", "host"])
async def test_network_modes_without_an_address_of_the_machine(
    client: docker.DockerClient, engine: ContainerEngine, test_label: str, mode: str
) -> None:
    """The container runs, once, also where the engine refuses the name that nobody has asked for."""
    assert engine.is_up()
    lines = Lines()
    container = settings(
        "echo once; exit 3", auto_remove=False, test_label=test_label, extra_hosts=NAMED, network_mode=mode
    )
    result = await run(container, lines)
    assert (result.status_code, lines.text("stdout")) == (3, "once\n")
    assert [each.id for each in own_containers(client, test_label)] == [result.identifier]
