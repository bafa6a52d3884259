"""The Prefect servers of the other tests can be crashed, restarted and taken down like every engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines.loopback import is_free
from tests.integration.prefect_runs.flow_runs import PrefectApi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.prefect_server import PrefectServer

pytestmark = pytest.mark.integration


@pytest.fixture
def own_server(server: PrefectServer, own_state_directory: Path) -> Iterator[PrefectServer]:
    """Another server, in a state directory of its own, which is down."""
    assert server.directory.is_relative_to(own_state_directory)
    yield server
    server.down()


@pytest.mark.parametrize("server", ["prefect", "prefect2"], indirect=True)
def test_the_life_of_a_server(own_server: PrefectServer) -> None:
    """A crash is noticed, a restart keeps address and data, and nothing but logs is left when it is down."""
    server = own_server
    assert not server.status().up
    server.up()
    address, port = server.api_url, server.port
    with PrefectApi(address) as api:
        pool = api.work_pool()

    server.kill()
    assert not server.is_up()
    assert is_free(port)
    assert server.status().detail == server.how_to_get_it

    server.restart()
    assert server.is_up()
    assert server.api_url == address
    with PrefectApi(address) as api:
        assert api.get(f"/work_pools/{pool}")["name"] == pool

    process = server.process
    server.down()
    assert process is not None
    assert not process.is_alive()
    assert is_free(port)
    assert [path.name for path in Path(server.directory).iterdir()] == ["server.log"]
