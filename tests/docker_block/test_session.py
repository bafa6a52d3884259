"""The SDK's client, as it is made to fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from infrablocks.docker._engine_address import EngineAddress
from infrablocks.docker._session import connect
from tests.processes import open_files

if TYPE_CHECKING:
    from pathlib import Path


def test_a_socket_that_cannot_connect_is_closed(tmp_path: Path) -> None:
    """An engine that is not there costs no open file, also as long as somebody has the error."""
    before = open_files()
    with pytest.raises(requests.ConnectionError) as caught:
        connect(EngineAddress(f"unix://{tmp_path}/nobody.sock", None, "here"))
    assert open_files() <= before
    assert caught.type is requests.ConnectionError  # and the error is still there
