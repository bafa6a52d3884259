"""What the schema of a saved block calls secret: as much as the Prefect API needs to mask every secret of the block."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from infrablocks import KubernetesClusterConfig
from infrablocks.blocks.stores import BlockDocument, BlockKey, SecretPlace
from infrablocks.blocks.stores.prefect_documents import document_of, mask_secrets
from infrablocks.blocks.stores.prefect_masks import secret_fields_of
from infrablocks.exceptions import BlockStoreError
from tests.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "not-to-be-seen"


@pytest.mark.parametrize(
    ("data", "path", "declared", "needed"),
    [
        pytest.param({"key": "s"}, ("key",), ["key"], [], id="declared"),
        pytest.param({"env": {"a.b": "s"}}, ("env", "a.b"), ["env.*"], [], id="any key"),
        pytest.param({"env": {"*": "p", "A": "s"}}, ("env", "A"), ["env.*"], ["env", "env.*.*"], id="key called *"),
        pytest.param(
            {"env": {"*": {"*": 1, "A": "s"}}}, ("env", "*", "A"), [], ["env", "env.*"], id="mapping called *"
        ),
        pytest.param({"config": {"user": {"token": "s"}}}, ("config",), ["config.*"], [], id="mapping"),
        pytest.param({"config": {"user": {"token": "s"}}}, ("config",), ["config"], ["config.*"], id="no wildcard"),
        pytest.param({"config": {}}, ("config",), ["config"], [], id="empty mapping"),
        pytest.param({"config": "s"}, ("config",), ["config.*"], [], id="text"),
        pytest.param(
            {"logins": [{"key": "s"}]}, ("logins", 0, "key"), ["logins.key"], ["logins", "logins.*"], id="list"
        ),
        pytest.param({"keys": ["s"]}, ("keys", 0), ["keys"], [], id="list of secrets"),
        pytest.param({"any": {"a": ["s"]}}, ("any", "a", 0), [], ["any", "any.*"], id="field of any type"),
        pytest.param({"api.key": "s"}, ("api.key",), ["api.key"], ["*"], id="name with a dot"),
        pytest.param({"api.key": "s", "*": 1}, ("api.key",), [], ["*.*"], id="and a field called *"),
        pytest.param({"apiKey": "s"}, ("apiKey",), ["api_key"], ["apiKey", "apiKey.*"], id="another name"),
    ],
)
def test_what_the_server_would_show_is_added(
    data: dict[str, Any], path: tuple[str | int, ...], declared: list[str], needed: list[str]
) -> None:
    """A field is added where the declared ones do not cover a secret, and only there."""
    document = BlockDocument(BlockKey("a", "b"), data, secrets=(SecretPlace(path, is_typed=True),))

    assert secret_fields_of(document, declared) == [*declared, *needed]


def test_what_is_plain_is_left_alone() -> None:
    """Without a secret nothing is added, also where a store cannot tell what is secret."""
    data = {"env": {"*": "a", "B": "b"}}
    for places in ((), None):
        assert secret_fields_of(BlockDocument(BlockKey("a", "b"), data, secrets=places), ["env.*"]) == ["env.*"]


@pytest.mark.parametrize(
    ("slug", "data", "shown"),
    [
        (
            "kubernetes-cluster-config",
            {"config": {"users": [{"user": {"token": SECRET}}]}, "context_name": "c"},
            {"config": "********", "context_name": "c"},
        ),
        (
            "kubernetes-job",
            {"image": "a", "cluster_config": {"config": {"token": SECRET}, "context_name": "c"}, "env": {"A": SECRET}},
            {"image": "a", "cluster_config": {"config": "********", "context_name": "c"}, "env": {"A": "********"}},
        ),
        ("of-another-package", {"config": {"a": [1, None]}}, {"config": {"a": [1, None]}}),
    ],
)
def test_what_prefect_saved_is_masked_when_it_is_shown(slug: str, data: dict[str, Any], shown: dict[str, Any]) -> None:
    """A document that Prefect's own class has saved in clear is shown without what is secret to the class of ours."""
    document = document_of(BlockKey(slug, "a"), {"data": data})

    mask_secrets(document)

    assert document.data == shown


class _StubbornServer(BaseHTTPRequestHandler):
    """Keeps a schema without what is secret in it, whatever it is sent."""

    schemas: ClassVar[list[Any]] = []
    documents: ClassVar[list[Any]] = []

    def _answer(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self.path.startswith("/api/block_schemas"):
            self.schemas.append(body)
        elif self.path.startswith("/api/block_documents"):
            self.documents.append(body)
        answer = json.dumps({"id": "1", "block_type_id": "1", "checksum": "", "fields": {"secret_fields": []}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PATCH = _answer  # noqa: N815 (http.server's)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def _stubborn_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    _StubbornServer.schemas.clear()
    _StubbornServer.documents.clear()
    server = HTTPServer(("127.0.0.1", 0), _StubbornServer)
    with served(server):
        monkeypatch.setenv("INFRABLOCKS_STORE", "prefect")
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
        yield


@pytest.mark.usefixtures("_stubborn_server")
def test_nothing_is_saved_where_it_would_be_shown() -> None:
    """A server that takes a schema over without its secrets, also as another version, gets no block that has some."""
    config = {
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": SECRET}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    }

    with pytest.raises(BlockStoreError, match=r"cluster-config' \(config, config\.\*\).*nothing was saved") as caught:
        KubernetesClusterConfig(config=config, context_name="c").save("prod")

    assert SECRET not in str(caught.value)
    assert _StubbornServer.documents == []
    assert [schema.get("version", "")[:14] for schema in _StubbornServer.schemas] == ["", "secret-fields-"]
