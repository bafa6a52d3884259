"""What the store in the Prefect API says when there is no such API, or none that it may use."""

from __future__ import annotations

import sys
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest
from pydantic import SecretStr

from infrablocks import Process
from infrablocks.blocks.stores import prefect_client
from infrablocks.exceptions import BlockStoreError
from tests.kubernetes_client.clock import Clock
from tests.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "not-to-be-seen"


class _Answer(BaseHTTPRequestHandler):
    status: ClassVar[int] = 200
    busy: ClassVar[int] = 0
    authorization: ClassVar[list[str | None]] = []

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"<html>not JSON</html>"
        self.authorization.append(self.headers["Authorization"])
        _Answer.busy -= 1
        self.send_response(self.status if self.busy < 0 else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 (the names that http.server looks for)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _prefect_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFRABLOCKS_STORE", "prefect")


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that answers with what it was sent."""
    _Answer.status, _Answer.busy = 200, 0
    _Answer.authorization.clear()
    server = HTTPServer(("127.0.0.1", 0), _Answer)
    with served(server):
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
        yield f"http://127.0.0.1:{server.server_port}/api"


def save() -> str:
    """Try to save a block that holds a secret, and return the text of the error."""
    with pytest.raises(BlockStoreError) as caught:
        Process(command=["true"], env={"KEY": SecretStr(SECRET)}).save("name")
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_no_address() -> None:
    """Without an address the error says which setting it is to be written into."""
    assert save() == (
        "INFRABLOCKS_STORE is prefect, but PREFECT_API_URL is not set: set it to the address of a Prefect API, such as "
        "http://127.0.0.1:4200/api, as a variable or in the active profile of Prefect"
    )


def test_without_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the error says how to install it."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    monkeypatch.setitem(sys.modules, "httpx", None)

    assert save() == "blocks in the Prefect API need httpx: pip install 'infrablocks[prefect]'"


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/api", "http://user:pw@127.0.0.1:1/api"])
def test_nobody_answers(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not there is out of reach; a password in its address is not shown."""
    monkeypatch.setenv("PREFECT_API_URL", address)

    assert save() == (
        "the Prefect API at http://127.0.0.1:1/api is out of reach (ConnectError): look whether the server runs and "
        "PREFECT_API_URL is its address"
    )


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/api", "127.0.0.1:4200/api", "http://[::1"])
def test_no_address_of_a_server(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no address of a web server is refused, and not shown: it may hold a password."""
    monkeypatch.setenv("PREFECT_API_URL", address)

    assert save() == "PREFECT_API_URL is not the address of a Prefect API: it must look like http://127.0.0.1:4200/api"


def test_something_else_answers(address: str) -> None:
    """A page for people is not taken for an answer."""
    assert save() == f"what answers at {address} is no Prefect API: look at PREFECT_API_URL, which ends with /api"


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "look at PREFECT_API_KEY or PREFECT_API_AUTH_STRING"),
        (403, "look at PREFECT_API_KEY or PREFECT_API_AUTH_STRING"),
        (422, "look whether PREFECT_API_URL is the address of a Prefect API, of version 3"),
        (500, "its own log says why; try again later"),
    ],
)
def test_a_refusal(status: int, advice: str, address: str) -> None:
    """A refusal is told with its status and what to do, without what the server says, which may hold secrets."""
    _Answer.status = status

    assert save() == (
        f"the Prefect API at {address} answered GET /block_types/slug/process with status {status}: {advice}"
    )


def test_a_busy_server_is_asked_again(address: str) -> None:
    """With 503 the server says that it has done nothing and may be asked again: its database is locked for a moment."""
    _Answer.busy = 3

    assert save() == f"what answers at {address} is no Prefect API: look at PREFECT_API_URL, which ends with /api"
    assert len(_Answer.authorization) == 4


def test_a_server_that_stays_busy(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not asked for ever."""
    clock = Clock()
    begun = clock.now
    monkeypatch.setattr(prefect_client, "time", clock)
    _Answer.busy = 1000

    assert save() == (
        f"the Prefect API at {address} answered GET /block_types/slug/process with status 503: its own log says why; "
        "try again later"
    )
    assert len(_Answer.authorization) > 5
    assert 15 < clock.now - begun < 19


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("PREFECT_API_KEY", "pnu_1", "Bearer pnu_1"),
        ("PREFECT_API_AUTH_STRING", "admin:pass", "Basic YWRtaW46cGFzcw=="),
    ],
)
def test_credentials(setting: str, value: str, expected: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials of the Prefect settings go with each request."""
    monkeypatch.setenv(setting, value)

    assert address in save()
    assert _Answer.authorization == [expected]


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("PREFECT_API_KEY", " pnu_1\r\n", "Bearer pnu_1"),
        ("PREFECT_API_AUTH_STRING", "admin:pass\n", "Basic YWRtaW46cGFzcw=="),
        ("PREFECT_API_AUTH_STRING", "admin:p\n€", "Basic YWRtaW46cArigqw="),
        ("PREFECT_API_AUTH_STRING", "admin:\udcff", "Basic YWRtaW46/w=="),
        ("PREFECT_API_AUTH_STRING", "\n", None),
    ],
)
def test_credentials_of_any_characters(
    setting: str, value: str, expected: str | None, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line break at the end of a file is left out; what else stands in an auth string is sent as it is."""
    monkeypatch.setenv(setting, value)

    assert address in save()
    assert _Answer.authorization == [expected]


@pytest.mark.parametrize("key", [f"{SECRET}\n{SECRET}", f"{SECRET}\rx", f"{SECRET}é", f"{SECRET}€", f"\udcff{SECRET}"])
def test_a_key_that_cannot_be_sent(key: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused with the name of the setting; neither the error nor those that it comes from show it."""
    monkeypatch.setenv("PREFECT_API_KEY", key)

    with pytest.raises(BlockStoreError, match="the Prefect API cannot be asked: PREFECT_API_KEY holds, as") as caught:
        Process(command=["true"]).save("name")
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr(caught.value.__context__)
    assert (_Answer.authorization, address != "") == ([], True)


@pytest.mark.parametrize("path", ["", "port"])
def test_a_password_in_an_address_is_in_no_traceback(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback prints the errors of httpx as well, which do not show it either."""
    monkeypatch.setenv("PREFECT_API_URL", f"http://me:{SECRET}@127.0.0.1:1{path}/api")

    with pytest.raises(BlockStoreError) as caught:
        Process(command=["true"]).save("name")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "PREFECT_API_URL"])
@pytest.mark.parametrize(
    "begin", ["http://me:{}/x@", "http://me:{}#x@", "http://me:{}@[", "ftp://me:{}@", "socks5://{}@"]
)
def test_an_address_that_cannot_be_used(
    begin: str, variable: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing quotes the password in it, and the message names the settings that may be wrong."""
    monkeypatch.setenv(variable, f"{begin.format(SECRET)}127.0.0.1:1/api")

    with pytest.raises(BlockStoreError, match="PREFECT_API_URL") as caught:
        Process(command=["true"]).save("name")
    chain = [caught.value, caught.value.__context__, caught.value.__cause__]
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + repr(chain)
    assert (_Answer.authorization, address != "") == ([], True)
