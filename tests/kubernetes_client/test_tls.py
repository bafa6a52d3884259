"""The TLS context that all connections to a cluster share, in whichever threads they are opened."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from infrablocks.kubernetes._access import cluster_access
from infrablocks.kubernetes._tls import tls_context
from tests.kubernetes_client.kubeconfigs import authority, block

if TYPE_CHECKING:
    from pathlib import Path


def test_the_protocols_of_a_shared_context_are_set_once(certificate_folder: Path) -> None:
    """urllib3 sets them for each connection, while a handshake of another thread may read them (cpython#141012)."""
    access = cluster_access(block({"server": "https://127.0.0.1:1", **authority(certificate_folder)}, {}))
    context = tls_context(access, None)
    assert context is not None
    first = _client_hello(context)
    context.set_alpn_protocols(["changed"])
    assert b"http/1.1" in first
    assert b"changed" not in _client_hello(context)


def _client_hello(context: ssl.SSLContext) -> bytes:
    sent = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="127.0.0.1").do_handshake()
    return sent.read()
