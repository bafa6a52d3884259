"""The SDK's client, as it is made to fit."""

from __future__ import annotations

import base64
import json
import traceback
from typing import TYPE_CHECKING

import pytest
import requests
from pydantic import SecretStr

from infrablocks.docker import _client
from infrablocks.docker._credentials import registry_header
from infrablocks.docker._engine_address import EngineAddress
from infrablocks.docker._reference import parse_reference
from infrablocks.docker._session import connect
from infrablocks.docker._settings import RegistryCredentials
from infrablocks.exceptions import InfrastructureNotAvailable
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


SECRET = "s3cret"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {SECRET}\n"},
        {"X-Meta": f"{SECRET}\r\nX-Evil: 1"},
        {"X-Meta": f" {SECRET}"},
        {"X-Meta": f"{SECRET}€"},
        {"X-Meta": [SECRET]},
        {"X-Meta\n": SECRET},
        [SECRET],
        SECRET,
    ],
)
def test_a_header_of_the_configuration_that_cannot_be_sent(
    headers: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before anything is sent; neither the error nor those that it comes from show its value."""
    (tmp_path / "config.json").write_text(json.dumps({"HttpHeaders": headers}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    address = EngineAddress(f"unix://{tmp_path}/nobody.sock", None, "here")
    with pytest.raises(InfrastructureNotAvailable, match=r"HttpHeaders of Docker's config\.json") as caught:
        _client._connect(address)
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert caught.value.__cause__ is None


def test_a_header_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that can be sent is none of an error."""
    (tmp_path / "config.json").write_text(json.dumps({"HttpHeaders": {"X-Meta": "a b é"}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(InfrastructureNotAvailable, match="Could not connect to Docker"):
        _client._connect(EngineAddress(f"unix://{tmp_path}/nobody.sock", None, "here"))


@pytest.mark.parametrize("proxy", [f"http://me:{SECRET}@host:port", f"http://me:{SECRET}@[::1", f"http://me:{SECRET}@"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_a_proxy_that_is_none(name: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named by its variable; neither the error nor those that it comes from show a password in it."""
    for each in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, proxy)
    with pytest.raises(InfrastructureNotAvailable, match=rf"not an address .* Check {name}\.") as caught:
        _client._connect(EngineAddress("tcp://192.0.2.1:2375", None, "here"))
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)


@pytest.mark.parametrize("password", [f"{SECRET}\n", f"{SECRET}€", f"{SECRET}\0", f"{SECRET}\ud800"])
def test_a_password_of_any_characters(password: str) -> None:
    """The credentials of a pull are encoded: whatever they hold, the header can be sent."""
    credentials = RegistryCredentials("me", SecretStr(password), "registry.test")
    (value,) = registry_header(parse_reference("registry.test/image"), credentials).values()
    assert json.loads(base64.urlsafe_b64decode(value))["password"] == password
    requests.utils.check_header_validity(("X-Registry-Auth", value))
