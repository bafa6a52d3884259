"""The name `host.docker.internal`: left out where the engine has no address for `host-gateway`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from infrablocks.docker._api_url import HOST_GATEWAY_NAME

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    from infrablocks.docker._client import EngineFacts
    from infrablocks.docker._errors import EngineRefusal

_HOST_GATEWAY = "host-gateway"


def uses_host_gateway(arguments: Mapping[str, Any]) -> bool:
    """Tell whether a host name of the arguments for a container stands for `host-gateway`."""
    return _HOST_GATEWAY in (arguments.get("extra_hosts") or {}).values()


def is_refused_for_host_gateway(arguments: Mapping[str, Any], error: EngineRefusal) -> bool:
    """Tell whether an engine has refused a container because it has no address for `host-gateway`.

    Rootless Podman has none for the network modes `host`, `none` and `slirp4netns` on a machine that has no address but
    its loopback; before 5.3 it has none at all.
    """
    return uses_host_gateway(arguments) and _HOST_GATEWAY in error.answer


def without_host_gateway(
    arguments: Mapping[str, Any], facts: EngineFacts, refusal: EngineRefusal | None, logger: logging.Logger
) -> dict[str, Any]:
    """Leave out the host names that stand for `host-gateway`, and say so.

    It is a warning where the block has names of its own for it, where a variable of the container has the name
    `host.docker.internal` in its value, or where the engine is none of Podman. Elsewhere nobody needs the name, and a
    line of the log has to do.

    Args:
        arguments: What the container was to be made with.
        facts: What the engine says about itself.
        refusal: Its answer to these arguments; None: it was not asked, as it is too old.
        logger: Gets the line.

    Returns:
        The arguments without these names.
    """
    reason = f"{facts.label} has no address for `{_HOST_GATEWAY}`: {refusal.answer}" if refusal else _too_old(facts)
    left_out = [name for name, address in arguments["extra_hosts"].items() if address == _HOST_GATEWAY]
    names = ", ".join(f"`{name}`" for name in left_out)
    text = f"{names} could not be automatically resolved to the address of this machine: {reason}"
    variables = arguments["environment"].values()
    is_needed = left_out != [HOST_GATEWAY_NAME] or any(HOST_GATEWAY_NAME in value for value in variables if value)
    if facts.is_podman and not is_needed:
        logger.info("%s", text)
    else:
        warnings.warn(text, stacklevel=2)
    hosts = {name: address for name, address in arguments["extra_hosts"].items() if address != _HOST_GATEWAY}
    return {**arguments, "extra_hosts": hosts or None}


def _too_old(facts: EngineFacts) -> str:
    text = f"{facts.label} does not know `{_HOST_GATEWAY}`. Upgrade to Docker Engine v20.10 or Podman v4.7, or newer"
    return text + ("; this one has the name `host.containers.internal`." if facts.is_podman else ".")
