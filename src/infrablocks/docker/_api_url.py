"""The URL of the Prefect API, as a container sees it."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

HOST_GATEWAY_NAME = "host.docker.internal"
"""The name under which a container reaches the engine's machine."""


def is_local(url: str) -> bool | None:
    """Say whether a URL points at this machine; None when it is no URL with a host."""
    host = _host(url)
    return None if host is None else _is_local_host(host)


def is_host_gateway(url: str) -> bool:
    """Say whether a URL points at the engine's machine by the name that containers know it by."""
    return _host(url) == HOST_GATEWAY_NAME


def reachable_from_container(url: str) -> str:
    """Replace the host of a URL that points at this machine; everything else in it stays as it is."""
    if not is_local(url):
        return url
    before, slashes, rest = url.partition("//")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    user, at, host_and_port = authority.rpartition("@")
    port = host_and_port.rpartition("]")[2].partition(":")
    return f"{before}{slashes}{user}{at}{HOST_GATEWAY_NAME}{port[1]}{port[2]}{rest[len(authority) :]}"


def without_user(url: str) -> str:
    """Give what can be shown of a URL, parsed or not: no user name and no password."""
    return url.rpartition("@")[2]


def _host(url: str) -> str | None:
    """Give the host in lower case without a dot at its end."""
    if re.search(r"[\s\x00-\x1f]", url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # which must be a number
    except ValueError:
        return None
    return parts.hostname.rstrip(".") if parts.scheme and parts.hostname else None


def _is_local_host(host: str) -> bool:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return _is_local_host(str(address.ipv4_mapped))
    return address.is_loopback or address.is_unspecified
