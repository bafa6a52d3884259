"""Volumes and ports: what an engine gets for them, and that anything else is refused by name."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given, strategies as st

from infrablocks.docker._options import nano_cpus, number_of_bytes
from infrablocks.docker._ports import port_bindings, published
from infrablocks.docker._volumes import parse_volume


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("/a:/b", "/a:/b"),
        ("/a b/:/b:ro,Z", "/a b/:/b:ro,Z"),
        ("data:/b:nocopy", "data:/b:nocopy"),
        ("./x:/b", "/srv/x:/b"),
        ("./x/../y:/b:ro", "/srv/y:/b:ro"),
        ("../x:/b", "/x:/b"),
        (".:/b", "/srv:/b"),
        ("~:/b", "/home/me:/b"),
        ("~/x:/b", "/home/me/x:/b"),
        (r"C:\x:/b:ro", r"C:\x:/b:ro"),
        ("d:/x:/b", "d:/x:/b"),
    ],
)
def test_binds(text: str, bind: str) -> None:
    """Sources that are relative are resolved, as an engine takes none; the rest stays as it is."""
    assert parse_volume(text).bind("/srv", "/home/me") == bind


@given(st.text("/ab.~:,rozZ \\C", max_size=14))
def test_every_accepted_volume_is_complete(text: str) -> None:
    """Whatever is accepted has an absolute target, and a source that is absolute or a name."""
    try:
        volume = parse_volume(text)
    except ValueError as error:
        assert str(error).startswith(f"{text!r} is not a volume")  # noqa: PT017
        return
    assert posixpath.isabs(volume.target)
    assert volume.target.strip("/.")
    bind = volume.bind("/srv", "/home/me")
    assert bind.startswith(("/", "C:/", "C:\\")) or volume.has_name
    assert parse_volume(bind).bind("/elsewhere", "/nobody") == bind


port = st.integers(1, 65000)
address = st.sampled_from(["", "127.0.0.1", "0.0.0.0", "[::1]", "[2001:db8::1]"])


@given(address, st.none() | port, port, st.integers(0, 20), st.sampled_from(["", "/tcp", "/udp", "/sctp", "/TCP"]))
def test_published_ports(host_ip: str, host: int | None, container: int, more: int, protocol: str) -> None:
    """A range of ports is one binding each; written again for `docker run` they mean the same."""
    hosts = "" if host is None else f"{host}-{host + more}"
    text = f"{host_ip + ':' if host_ip else ''}{hosts}:{container}-{container + more}{protocol}"
    bindings = port_bindings([text])
    expected = {
        f"{container + number}{protocol.lower() or '/tcp'}": [
            {"HostIp": host_ip.strip("[]"), "HostPort": "" if host is None else str(host + number)}
        ]
        for number in range(more + 1)
    }
    assert bindings == expected
    assert port_bindings(published(bindings)) == expected


def test_several_bindings_of_one_port() -> None:
    """One port of the container may be published more than once, and on one that the engine chooses from a range."""
    bindings = port_bindings(["80:80", "127.0.0.1:81:80", "9000-9010:80/tcp", "80"])
    assert bindings == {
        "80/tcp": [
            {"HostIp": "", "HostPort": "80"},
            {"HostIp": "127.0.0.1", "HostPort": "81"},
            {"HostIp": "", "HostPort": "9000-9010"},
            {"HostIp": "", "HostPort": ""},
        ]
    }
    assert published(bindings) == ["80:80/tcp", "127.0.0.1:81:80/tcp", "9000-9010:80/tcp", "80/tcp"]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512", 512),
        (512, 512),
        ("512b", 512),
        ("1k", 1024),
        ("1KB", 1024),
        ("512m", 2**29),
        ("1.5g", 3 * 2**29),
        ("2 T", 2**41),
        ("0.1k", 102),
    ],
)
def test_sizes(text: str | int, size: int) -> None:
    """Sizes are as Docker reads them."""
    assert number_of_bytes(text) == size


@pytest.mark.parametrize(("cpus", "nano"), [(0.5, 500_000_000), (0.1, 100_000_000), (2, 2_000_000_000), (1e-9, 1)])
def test_processors(cpus: float, nano: int) -> None:
    """Parts of a processor are counted exactly."""
    assert nano_cpus(cpus) == nano
