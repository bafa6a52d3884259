"""Addresses of registries, which people write in several ways, as the one key that credentials are kept under."""

from __future__ import annotations

import re

from infrablocks.docker._reference import DOCKER_HUB, is_domain

DOCKER_HUB_KEY = "https://index.docker.io/v1/"
"""What Docker keeps the credentials of its own registry under."""

_DOCKER_HUB_HOSTS = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})
_ADDRESS = re.compile(r"(?:(?P<scheme>[^:/?#@]*)://)?(?P<host>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL)


def registry_key(address: str) -> str:
    """Give the key of a registry: its host and port without scheme and path, in lower case.

    Args:
        address: `registry.example.com:5000`, `https://registry.example.com/v2/`, `docker.io`, …

    Raises:
        ValueError: It is no address; the message has it, unless it may hold a password.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or "@" in address:
        raise ValueError("an address with '@' may hold a password: give `username` and `password` in their own fields")
    if match["scheme"] is not None and match["scheme"].lower() not in {"http", "https"}:
        raise ValueError(f"{address!r} is not the address of a registry: its scheme is neither http nor https")
    if not is_domain(match["host"]) or match["rest"] or re.search(r"\s", match["path"]):
        raise ValueError(
            f"{address!r} is not the address of a registry, which is a host, with a port where it is not the usual "
            "one, such as 'registry.example.com:5000'"
        )
    host = match["host"].lower()
    return DOCKER_HUB_KEY if host in _DOCKER_HUB_HOSTS else host
