"""A small API server with TLS, and no cluster of this machine."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from infrablocks.kubernetes import _access, _clusters
from tests.engines import certificates
from tests.kubernetes_client.api_server import ApiServer
from tests.kubernetes_client.kubeconfigs import cluster_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infrablocks.kubernetes._client import Cluster


@pytest.fixture(autouse=True)
def _no_cluster_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in (
        "KUBECONFIG",
        "KUBERNETES_SERVICE_HOST",
        "KUBERNETES_SERVICE_PORT",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(_access, "SERVICE_ACCOUNT_FOLDER", tmp_path / "serviceaccount")
    yield
    _clusters._clusters.clear()


@pytest.fixture(scope="session")
def certificate_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and certificates of a server and a client signed by it."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the program openssl")
    folder = tmp_path_factory.mktemp("certificates")
    certificates.create(folder)
    return folder


@pytest.fixture
def server(certificate_folder: Path) -> Iterator[ApiServer]:
    """An API server that speaks TLS."""
    with ApiServer(certificate_folder).serving() as server:
        yield server


@pytest.fixture
def plain_server() -> Iterator[ApiServer]:
    """An API server without TLS."""
    with ApiServer().serving() as server:
        yield server


@pytest.fixture
def cluster(plain_server: ApiServer) -> Iterator[Cluster]:
    """A client of the server without TLS."""
    cluster = _clusters.acquire_cluster(cluster_config(plain_server))
    yield cluster
    _clusters.release_cluster(cluster)
