"""Which Job an identifier means, and that no other one is ever deleted."""

from __future__ import annotations

import base64
import hashlib
import ssl
from typing import TYPE_CHECKING

import pytest

from infrablocks import InfrastructureNotAvailable, InfrastructureNotFound, KubernetesJob, WorkloadStatus
from infrablocks.kubernetes import _find
from infrablocks.kubernetes._cluster_id import cluster_id, may_have_id
from infrablocks.kubernetes._clusters import borrowed_cluster
from infrablocks.kubernetes._identifier import JobIdentifier, parse_identifier
from infrablocks.kubernetes._reap import LeftJob, LeftSecret
from tests.engines import certificates
from tests.kubernetes_client.api_server import JOBS, PODS, RUN_LABEL, ApiServer, status
from tests.kubernetes_client.kubeconfigs import block, cluster_config, encoded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infrablocks.kubernetes._access import ClusterAccess

POD_TEMPLATE = {"spec": {"containers": [{"name": "prefect-job"}]}}
CALLS = ("status", "logs", "attach", "kill")


def make_job(server: ApiServer, name: str = "etl", *, uid: str = "uid-1") -> None:
    """Make a Job, in place of one that has the name."""
    server.put(JOBS, name, f"run-of-{uid}", uid=uid, spec={"template": POD_TEMPLATE}, status={})


async def _call(job: KubernetesJob, name: str, identifier: str) -> None:
    await getattr(job, name)(identifier)


@pytest.fixture
def here(plain_server: ApiServer) -> str:
    """The id of the cluster that the server is."""
    with borrowed_cluster(cluster_config(plain_server)) as cluster:
        return cluster.cluster_id


@pytest.fixture
def job(plain_server: ApiServer) -> KubernetesJob:
    """A block whose cluster is the server."""
    return KubernetesJob(command=["true"], cluster_config=cluster_config(plain_server))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0a1b:prod:etl:12-3e", JobIdentifier("0a1b", "prod", "etl", "12-3e")),
        ("0a1b:prod:etl", JobIdentifier("0a1b", "prod", "etl", None)),
        ("prod/etl", JobIdentifier(None, "prod", "etl", None)),
        ("etl", JobIdentifier(None, None, "etl", None)),
        ("0a1b:prod:etl:", None),
        (":prod:etl:12-3e", None),
        (":prod:etl", None),
        ("0a1b::etl:12-3e", None),
        ("0a1b:prod::12-3e", None),
        ("0a1b:prod:etl:12-3e:", None),
        ("0a1b:prod:etl:12-3e\n", None),
        ("0a1b:prod:etl:1 2", None),
        ("0a1b:etl", None),
        ("0a1b:prod:secrets/etl:12-3e", None),
        ("/etl", None),
        ("prod/", None),
        ("Not A Name", None),
        ("", None),
    ],
)
def test_what_an_identifier_says(text: str, expected: JobIdentifier | None) -> None:
    """All forms are read and written back; a part that is empty or malformed is never taken for one left out."""
    assert parse_identifier(text) == expected
    if expected is not None and expected.cluster_id:
        assert str(expected) == text


@pytest.mark.anyio
@pytest.mark.parametrize("call", CALLS)
async def test_another_job_of_the_same_name(plain_server: ApiServer, job: KubernetesJob, here: str, call: str) -> None:
    """The error says that the Job with this uid is gone and another has its name, which nobody touches."""
    identifier = f"{here}:default:etl:uid-1"
    make_job(plain_server, uid="uid-2")
    with pytest.raises(InfrastructureNotFound) as caught:
        await _call(job, call, identifier)
    assert str(caught.value) == (
        f"There is no Job {identifier!r} on the Kubernetes cluster at {plain_server.address} (any more): the Job with "
        "the uid uid-1 is gone, and another one, with the uid uid-2, has the name default/etl."
    )
    assert plain_server.lines("DELETE") == []


@pytest.mark.anyio
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("there", [True, False])
async def test_a_job_of_another_cluster(
    plain_server: ApiServer, job: KubernetesJob, here: str, call: str, *, there: bool
) -> None:
    """The error says that the Job is on another cluster; one here that has its name is not touched."""
    identifier = "00000000:default:etl:uid-1"
    if there:
        make_job(plain_server, uid="uid-2")
    with pytest.raises(InfrastructureNotAvailable) as caught:
        await _call(job, call, identifier)
    assert str(caught.value) == (
        "Kubernetes Job default/etl is on the cluster 00000000, and this block uses the cluster "
        f"{here} at {plain_server.address}, which has no Job with the uid uid-1. Use the cluster_config "
        "or context that it was made with. If it is the same cluster under another address, the Job is gone."
    )
    assert plain_server.lines("DELETE") == []


@pytest.mark.anyio
async def test_the_uid_decides(plain_server: ApiServer, job: KubernetesJob, here: str) -> None:
    """A Job with the uid is found and ended, also where address and authorities of its cluster have changed."""
    make_job(plain_server)
    assert await job.status("00000000:default:etl:uid-1") == "Pending"
    await job.kill("00000000:default:etl:uid-1", grace_seconds=1)
    with pytest.raises(InfrastructureNotFound, match=r"There is no Job .* \(any more\)\.$"):
        await job.status(f"{here}:default:etl:uid-1")


@pytest.mark.anyio
async def test_older_identifiers(plain_server: ApiServer, job: KubernetesJob) -> None:
    """One without a uid means the Job that has the name, but not on another cluster."""
    make_job(plain_server)
    without_authorities = hashlib.sha256(plain_server.address.encode()).hexdigest()[:8]
    for identifier in (f"{without_authorities}:default:etl", "default/etl", "etl"):
        assert await job.status(identifier) == "Pending"
    requests = len(plain_server.requests)
    for call in CALLS:
        with pytest.raises(InfrastructureNotAvailable, match="is on the cluster 00000000, and this block uses the"):
            await _call(job, call, "00000000:default:etl")
    assert len(plain_server.requests) == requests
    await job.kill(f"{without_authorities}:default:etl", grace_seconds=1)
    with pytest.raises(InfrastructureNotFound, match="There is no Job"):
        await job.status("etl")


@pytest.mark.anyio
@pytest.mark.parametrize("identifier", ["etl", "default/etl", "CLUSTER:default:etl", "CLUSTER:default:etl:uid-1"])
async def test_a_job_that_is_made_between_the_look_and_the_delete(
    plain_server: ApiServer, job: KubernetesJob, here: str, identifier: str
) -> None:
    """What was found is what is deleted: a Job that takes over the name meanwhile is left alone."""
    make_job(plain_server)
    replaced = []

    def replace_job(_: object) -> None:
        plain_server.delete(JOBS, "etl")
        make_job(plain_server, uid="uid-2")
        replaced.append(True)

    plain_server.answer(f"GET {PODS}", replace_job)
    await job.kill(identifier.replace("CLUSTER", here), grace_seconds=1)
    deletes = [request for request in plain_server.requests if request.method == "DELETE"]
    assert (replaced, {request.body["preconditions"]["uid"] for request in deletes}) == ([True], {"uid-1"})
    assert await job.status("default/etl") == "Pending"


def test_an_identifier_that_is_made_is_read(plain_server: ApiServer, here: str) -> None:
    """What a workload reports has cluster, namespace, name and uid."""
    make_job(plain_server)
    found = _find.find_job("default/etl", cluster_config(plain_server), lambda: "default")
    found.close()
    assert found.identifier == f"{here}:default:etl:uid-1"


def test_a_left_job_whose_name_another_one_has(plain_server: ApiServer, here: str) -> None:
    """What `reap` has listed is what it ends and removes, and its identifier says which Job that is."""
    make_job(plain_server)
    listed = plain_server.named(JOBS, "etl").body
    left = LeftJob(here, cluster_config(plain_server), listed, WorkloadStatus.RUNNING)
    make_job(plain_server, uid="uid-2")
    left.kill(1)
    left.remove()
    assert left.identifier == f"{here}:default:etl:uid-1"
    assert plain_server.named(JOBS, "etl").body["metadata"]["uid"] == "uid-2"
    assert plain_server.lines("DELETE") != []


@pytest.mark.parametrize("code", [404, 409])
def test_a_left_secret_whose_name_another_one_has(plain_server: ApiServer, here: str, code: int) -> None:
    """A Secret that is gone, or whose name another one has by now, is no error, and the other one stays."""
    metadata = {"name": "mine", "namespace": "default", "uid": "uid-1", "labels": {RUN_LABEL: "a"}}
    left = LeftSecret(here, cluster_config(plain_server), {"metadata": metadata})
    plain_server.answer("DELETE", status(code, "Conflict", "the UID in the precondition differs"))
    left.remove()
    assert left.identifier == f"{here}:default:secrets/mine:uid-1"
    (request,) = [request for request in plain_server.requests if request.method == "DELETE"]
    assert request.body["preconditions"] == {"uid": "uid-1"}


# Telling clusters apart.


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, certificate_folder: Path) -> list[bytes]:
    """Three certificate authorities."""
    found = [(certificate_folder / "ca.pem").read_bytes()]
    for _ in range(2):
        folder = tmp_path_factory.mktemp("authority")
        certificates.create(folder)
        found.append((folder / "ca.pem").read_bytes())
    return found


def access(address: str, *authorities: bytes) -> ClusterAccess:
    """Give the access to a cluster."""
    bundle = {"certificate-authority-data": base64.b64encode(b"\n".join(authorities)).decode()} if authorities else {}
    with borrowed_cluster(block({"server": address, **bundle}, {})) as cluster:
        return cluster._access


def older_id(*authorities: bytes) -> str:
    """Give the id that 0.1.0 made, of the authorities alone."""
    encoded = sorted(ssl.PEM_cert_to_DER_cert(one.decode().strip()) for one in authorities)
    return hashlib.sha256(b"".join(encoded)).hexdigest()[:8]


def newer_id(*authorities: bytes) -> str:
    """Give the id that is made now."""
    return cluster_id(access("https://a:1", *authorities))


@pytest.mark.parametrize("made_id", [newer_id, older_id])
def test_a_rotation_of_authorities(bundles: list[bytes], made_id: Callable[..., str]) -> None:
    """A cluster is recognised after authorities were added to its bundle, in any order; with others it is not."""
    first, second, third = bundles
    for now in (access("https://a:1", second, first), access("https://a:1", third, first, second)):
        assert may_have_id(now, made_id(first))
        assert may_have_id(now, made_id(second, first))
    assert not may_have_id(access("https://a:1", third), made_id(first))


def test_clusters_with_the_same_authority(bundles: list[bytes]) -> None:
    """Two clusters that one authority has signed have two ids."""
    here, there = (access(address, bundles[0]) for address in ("https://a:1", "https://b:1"))
    assert cluster_id(here) != cluster_id(there)
    assert not may_have_id(there, cluster_id(here))
    assert cluster_id(here) == cluster_id(access("https://a:1/", bundles[0]))


def test_a_large_bundle(certificate_folder: Path) -> None:
    """Of more authorities than anybody has, the whole and each single one are compared, which takes no time."""
    one = (certificate_folder / "ca.pem").read_bytes()
    many = access("https://a:1", *[one] * 200)
    assert may_have_id(many, cluster_id(many))
    assert may_have_id(many, older_id(one))
    assert not may_have_id(many, "00000000")


@pytest.mark.parametrize("body", ["!!!", "A", "é"])
def test_an_authority_that_is_none(body: str) -> None:
    """A damaged certificate is an error that names the field."""
    text = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
    data = base64.b64encode(text.encode()).decode()
    with pytest.raises(InfrastructureNotAvailable, match=r"certificate-authority\(-data\) of the cluster at https://a"):
        access_with(data)


def access_with(data: str) -> ClusterAccess:
    """Give the access to a cluster whose authorities are these."""
    with borrowed_cluster(block({"server": "https://a:1", "certificate-authority-data": data}, {})) as cluster:
        return cluster._access


def test_encoded_authorities(certificate_folder: Path) -> None:
    """An authority makes the same id however it is written down."""
    file = {"server": "https://a:1", "certificate-authority": str(certificate_folder / "ca.pem")}
    with borrowed_cluster(block(file, {})) as of_file:
        assert of_file.cluster_id == cluster_id(access_with(encoded(certificate_folder / "ca.pem")))
