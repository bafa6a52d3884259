"""What rootless Podman cannot do, and what the tests with the marker `denied_to_rootless` are skipped for."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

import pytest

from infrablocks.exceptions import WorkloadCreationError
from tests.integration.docker_engine.driving import run, settings
from tests.integration.own_containers import own_containers

if TYPE_CHECKING:
    import docker

pytestmark = [
    pytest.mark.integration,
    pytest.mark.anyio,
    pytest.mark.parametrize("engine", ["podman5"], indirect=True),
]


async def test_limits_are_dropped(client: docker.DockerClient, test_label: str) -> None:
    """The container runs without its limits; if this fails, the machine no longer denies them."""
    container = settings("true", auto_remove=False, test_label=test_label, mem_limit="16m", pids_limit=5)
    result = await run(container)
    assert result
    limits = client.api.inspect_container(result.identifier)["HostConfig"]
    assert (limits["Memory"], limits["PidsLimit"] or 0) == (0, 0)


async def test_a_port_of_root(client: docker.DockerClient, test_label: str) -> None:
    """A port below 1024 is refused with Podman's words, and the container is removed."""
    with pytest.raises(WorkloadCreationError, match=r"(?i)permission denied"):
        await run(settings("true", test_label=test_label, ports={"80/tcp": 81}))
    assert own_containers(client, test_label) == []


@pytest.mark.parametrize("needed", [True, False])
@pytest.mark.parametrize("stream_output", [True, False])
async def test_a_network_without_an_address_of_the_machine(
    client: docker.DockerClient, test_label: str, caplog: pytest.LogCaptureFixture, *, stream_output: bool, needed: bool
) -> None:
    """The name of the machine is left out: with a warning if a variable has it, else with a line of the log."""
    caplog.set_level(logging.INFO)
    container = settings(
        "exit 3",
        test_label=test_label,
        stream_output=stream_output,
        network_mode="slirp4netns",
        extra_hosts={"host.docker.internal": "host-gateway", "other": "192.0.2.1"},
        environment={"PREFECT_API_URL": "http://host.docker.internal:4200/api"} if needed else {},
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert (await run(container)).status_code == 3
    assert own_containers(client, test_label) == []
    told = [
        [text for text in texts if "has no address for `host-gateway`" in text]
        for texts in ([str(each.message) for each in caught], caplog.messages)
    ]
    assert [len(texts) for texts in told] == ([1, 0] if needed else [0, 1])
