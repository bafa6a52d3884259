"""Single options of a container: what each may be, and what the engine gets for it.

Every function raises a ValueError that names the value when it is not to be had.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_BYTES = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?) ?(?P<unit>[kmgt]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_LARGEST = 2**63 - 1
_PLATFORM = re.compile(r"[a-zA-Z0-9_.()-]+(?:/[a-zA-Z0-9_.-]+){0,2}")
_NETWORK = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_UNPUBLISHABLE_MODE = re.compile(r"host|container:.*", re.DOTALL)


def number_of_bytes(value: str | int, *, unlimited: bool = False) -> int:
    """Give a size in bytes: a number, or text such as `512m`.

    Args:
        value: The size.
        unlimited: Whether -1 is one.
    """
    if unlimited and str(value) == "-1":
        return -1
    match = _BYTES.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{value!r} is not a size: a number of bytes, or one with b, k, m, g or t, such as '512m'")
    size = int(Fraction(match["number"]) * _UNITS[match["unit"].lower()])
    if not 0 < size <= _LARGEST:
        raise ValueError(f"{value!r} is not a size: it must be more than 0" + (" or -1" if unlimited else ""))
    return size


def check_memory(mem_limit: str | int | None, memswap_limit: str | int | None) -> None:
    """Check the two limits together; the second is that of memory and swap."""
    if memswap_limit is None:
        return
    both = number_of_bytes(memswap_limit, unlimited=True)
    if mem_limit is None:
        if both != -1:
            raise ValueError(f"memswap_limit={memswap_limit!r} needs mem_limit: it is the limit of memory and swap")
    elif -1 < both < number_of_bytes(mem_limit):
        raise ValueError(
            f"memswap_limit={memswap_limit!r} is less than mem_limit={mem_limit!r}: it is the limit of memory and swap"
        )


def nano_cpus(value: float) -> int:
    """Give a number of processors in the engine's unit, their billionth part."""
    number = round(Fraction(value) * 10**9) if math.isfinite(value) else 0
    if not 0 < number <= _LARGEST:
        raise ValueError(f"{value!r} is not a number of processors: it must be more than 0")
    return number


def device_requests(gpus: int | str) -> list[dict[str, Any]]:
    """Ask for a number of GPUs, or "all"."""
    if gpus == "all":
        count = -1
    elif isinstance(gpus, int) and gpus > 0:
        count = gpus
    else:
        raise ValueError(f"{gpus!r} is not a number of GPUs: a number from 1, or 'all'")
    return [{"count": count, "capabilities": [["gpu"]]}]


def check_platform(value: str) -> None:
    """Check a platform, `os[/architecture[/variant]]`."""
    if not _PLATFORM.fullmatch(value):
        raise ValueError(f"{value!r} is not a platform such as 'linux/arm64'")


def check_working_dir(value: str) -> None:
    """Check the working directory, which is a path in the container."""
    if not re.match(r"/|[a-zA-Z]:[\\/]", value) or "\0" in value:
        raise ValueError(f"{value!r} is not an absolute path")


def check_user(value: str | int) -> None:
    """Check a user, `name|uid[:group|gid]`."""
    if not re.fullmatch(r"[^\s:\0]+(?::[^\s:\0]+)?", str(value)):
        raise ValueError(f"{value!r} is not a user such as 'nobody', 1000 or '1000:1000'")


def check_networks(networks: Iterable[str]) -> None:
    """Check the names of networks."""
    seen = set()
    for name in networks:
        if not _NETWORK.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a network")
        if name in seen:
            raise ValueError(f"{name!r} is there twice")
        seen.add(name)


def check_network_mode(mode: str) -> None:
    """Check a network mode: `bridge`, `host`, `none`, `container:<name>` or the name of a network."""
    if not mode or re.search(r"[\s\0]", mode) or mode.endswith(":"):
        raise ValueError(f"{mode!r} is not a network mode such as 'bridge', 'host', 'none' or 'container:name'")


def can_publish(mode: str | None) -> bool:
    """Say whether ports can be published in a network mode."""
    return mode is None or not _UNPUBLISHABLE_MODE.fullmatch(mode)


def docker_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Give labels in Docker's form: `a.b.c/key` becomes `c.b.a.key`."""
    result: dict[str, str] = {}
    keys: dict[str, str] = {}
    for key, value in labels.items():
        if not key.strip() or "\0" in key:
            raise ValueError(f"{key!r} is not the key of a label: it must not be empty")
        domain, slash, rest = key.partition("/")
        docker_key = ".".join([*reversed(domain.split(".")), rest]) if slash and domain and rest else key
        if docker_key in result:
            raise ValueError(f"{keys[docker_key]!r} and {key!r} are the same label in Docker's form, {docker_key!r}")
        keys[docker_key] = key
        result[docker_key] = value
    return result


def container_name(name: str | None) -> str | None:
    """Give the name of a container; None lets the engine choose one, as too little of `name` would be left."""
    if not name:
        return None
    from slugify import slugify  # noqa: PLC0415 - it costs import time

    slug: str = slugify(name, lowercase=False, max_length=250, regex_pattern=r"[^a-zA-Z0-9_.-]+").lstrip("_-.")
    return slug if len(slug) > 1 else None
