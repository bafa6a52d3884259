"""The SDK's client, as it is made to fit."""

from __future__ import annotations

import base64
import json
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest
import requests
from pydantic import SecretStr

from infrablocks import DockerContainer, DockerRegistry
from infrablocks.docker import _client
from infrablocks.docker._credentials import registry_header
from infrablocks.docker._engine_address import EngineAddress
from infrablocks.docker._reference import parse_reference
from infrablocks.docker._session import connect
from infrablocks.docker._settings import RegistryCredentials
from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable
from tests.processes import open_files
from tests.served import served

if TYPE_CHECKING:
    from collections.abc import Callable
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


class _Repeating(BaseHTTPRequestHandler):
    """Refuses every request with the headers that it came with, as a proxy may do."""

    status: ClassVar[int]
    kind: ClassVar[str]

    def _refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        ours = {"ApiVersion": "1.41", "Version": "29"}
        text = str(self.headers) if self.kind == "text" else json.dumps({"message": str(self.headers)})
        known = self.path.endswith("/version")
        body = (json.dumps(ours) if known else text).encode()
        self.send_response(200 if known else self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _refuse  # noqa: N815 (http.server's)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("status", [400, 401, 404, 409, 500, 502])
@pytest.mark.parametrize("kind", ["text", "JSON"])
def test_an_engine_that_repeats_what_it_was_sent(
    kind: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer with the headers is quoted without the credentials of the registry, and those of the configuration."""
    (tmp_path / "config.json").write_text(json.dumps({"HttpHeaders": {"X-Meta": f"Bearer {SECRET}-1"}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(_Repeating, "kind", kind, raising=False)
    monkeypatch.setattr(_Repeating, "status", status, raising=False)
    registry = DockerRegistry(username="me", password=SECRET, registry_url="r.example")
    header = registry_header(parse_reference("r.example/a:1"), registry.credentials())["X-Registry-Auth"]
    shown = []
    server = HTTPServer(("127.0.0.1", 0), _Repeating)
    with served(server):
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
        block = DockerContainer(
            command=["true"], image="r.example/a:1", image_registry=registry, image_pull_policy="ALWAYS"
        )
        calls: list[Callable[[], object]] = [block.run, lambda: block.status("0a1b"), lambda: block.kill("0a1b")]
        for call in calls:
            try:
                call()
            except InfrastructureError as error:
                shown.append("".join(traceback.format_exception(error)))
    assert len(shown) == len(calls)
    assert [text for text in shown if f"{SECRET}-1" in text or header in text] == []
    assert status != 400 or all("********" in text for text in shown)  # otherwise not all quote the answer


@pytest.mark.parametrize("begin", ["tcp://me:{}@", "http://me:{}@", "https://me:{}/x@", "tcp://me:{}#x@", "me:{}@"])
def test_an_address_with_a_password(begin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine takes one there: it is refused, and neither the error nor those that it comes from show it."""
    monkeypatch.setenv("DOCKER_HOST", f"{begin.format(SECRET)}127.0.0.1:1")
    with pytest.raises(InfrastructureNotAvailable, match=r"the address \(DOCKER_HOST\) has an '@'") as caught:
        DockerContainer(command=["true"]).status("0a1b")
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)
