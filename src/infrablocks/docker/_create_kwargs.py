"""Further arguments of the SDK's `containers.create`, for what has no field of its own."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Any

_FIELDS = {
    "auto_remove": "auto_remove",
    "command": "command",
    "environment": "env",
    "image": "image",
    "init": "init",
    "labels": "labels",
    "mem_limit": "mem_limit",
    "memswap_limit": "memswap_limit",
    "name": "name",
    "nano_cpus": "cpus",
    "network": "networks",
    "network_mode": "network_mode",
    "platform": "platform",
    "ports": "ports",
    "privileged": "privileged",
    "shm_size": "shm_size",
    "user": "user",
    "volumes": "volumes",
    "working_dir": "working_dir",
}
"""Arguments that have a field, and its name."""

_OURS = frozenset({"detach", "version"})
"""Arguments that say how the SDK is called, not what the container is."""


def check_create_kwargs(create_kwargs: dict[str, Any], *, gpus: bool) -> None:
    """Check the arguments' names, and that they are plain data.

    Args:
        create_kwargs: The arguments. When there are any, the SDK is loaded to ask for the names that it knows.
        gpus: Whether the field `gpus` is set.

    Raises:
        ValueError: The message names the argument.
    """
    for name, value in create_kwargs.items():
        if name in _FIELDS:
            raise ValueError(f"{name!r} has a field of its own: set {_FIELDS[name]!r} instead")
        if name == "device_requests" and gpus:
            raise ValueError("'device_requests' is set by the field 'gpus' already: give only one of the two")
        if name in _OURS:
            raise ValueError(f"{name!r} is set by infrablocks")
        known = _known_arguments()
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{name!r} is not an argument of the Docker SDK's containers.create{hint}")
        _check_value(name, value)


def _known_arguments() -> frozenset[str]:
    from docker.models import containers  # noqa: PLC0415 - only who uses these arguments pays for the import

    return frozenset(containers.RUN_CREATE_KWARGS + containers.RUN_HOST_CONFIG_KWARGS + ["networking_config"])


def _check_value(name: str, value: Any) -> None:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name!r} must be plain data: mappings, lists, text, numbers") from None
    if name == "extra_hosts" and (
        not isinstance(value, dict) or any(not isinstance(one, str) for one in value.values())
    ):
        raise ValueError("'extra_hosts' must be a mapping of host names to addresses")
