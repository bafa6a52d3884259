"""Ports of a container: `[host_ip:]host:container[/proto]`, as `docker run --publish` takes them."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PortBindings = dict[str, list[dict[str, str]]]
"""Bindings by port and protocol of the container, in the API's own form."""

_LAST_PORT = 65535
_PROTOCOLS = ("tcp", "udp", "sctp")
_PORT = re.compile(
    r"(?:(?:(?P<host_ip>\[[^\[\]]*\]|[^\[\]:]*):)?(?P<host>[^:]*):)?(?P<container>[^:/]*)(?:/(?P<protocol>[^:/]*))?"
)


def port_bindings(texts: Iterable[str]) -> PortBindings:
    """Give the bindings of published ports.

    Raises:
        ValueError: The message names the port and what is wrong with it.
    """
    bindings: PortBindings = {}
    for text in texts:
        try:
            parsed = _parse(text)
        except ValueError as error:
            raise ValueError(f"{text!r} is not a port `[host_ip:]host:container[/proto]`: {error}") from None
        for container, binding in parsed:
            others = bindings.setdefault(container, [])
            if binding in others:
                raise ValueError(f"{text!r} publishes a port that is published already")
            others.append(binding)
    return bindings


def published(bindings: PortBindings) -> list[str]:
    """Write bindings as arguments of `--publish`."""
    texts = []
    for container, those in bindings.items():
        for binding in those:
            host_ip, host = binding["HostIp"], binding["HostPort"]
            address = f"[{host_ip}]:" if ":" in host_ip else f"{host_ip}:" if host_ip else ""
            texts.append(f"{address}{host}:{container}" if address or host else container)
    return texts


def _parse(text: str) -> list[tuple[str, dict[str, str]]]:
    match = _PORT.fullmatch(text)
    if match is None:
        raise ValueError("it has too many parts; an IPv6 address stands in brackets")
    protocol = (match["protocol"] or "tcp").lower()
    if protocol not in _PROTOCOLS or match["protocol"] == "":
        raise ValueError(f"the protocol {match['protocol']!r} is none of {', '.join(_PROTOCOLS)}")
    container = _port_range(match["container"], "container")
    host_ip = _address(match["host_ip"])
    hosts = _host_ports(match["host"], len(container))
    return [
        (f"{port}/{protocol}", {"HostIp": host_ip, "HostPort": host})
        for port, host in zip(container, hosts, strict=True)
    ]


def _host_ports(text: str | None, count: int) -> list[str]:
    if not text:
        return [""] * count
    ports = _port_range(text, "host", first=0)
    if len(ports) == count:
        return [str(port) for port in ports]
    if count == 1:
        return [f"{ports[0]}-{ports[-1]}"]  # the engine takes one of them that is free
    raise ValueError(f"the host has {len(ports)} ports and the container {count}")


def _port_range(text: str, whose: str, first: int = 1) -> range:
    begin, dash, end = text.partition("-")
    numbers = [int(number) for number in ([begin, end] if dash else [begin]) if re.fullmatch("[0-9]{1,5}", number)]
    if len(numbers) != 1 + len(dash) or not first <= numbers[0] <= numbers[-1] <= _LAST_PORT:
        raise ValueError(f"the {whose}'s {text!r} is neither a port from {first} to {_LAST_PORT} nor a range of them")
    return range(numbers[0], numbers[-1] + 1)


def _address(text: str | None) -> str:
    if not text:
        return ""
    address = text.removeprefix("[").removesuffix("]")
    try:
        version = ip_address(address).version
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None
    if (version == 6) != text.startswith("["):  # noqa: PLR2004 - the number of the protocol
        raise ValueError(f"{text!r}: an IPv6 address stands in brackets, an IPv4 address does not")
    return address
