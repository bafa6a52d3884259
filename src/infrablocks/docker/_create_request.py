"""The arguments of the SDK's low-level call that makes a container, from those of its `containers.create`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infrablocks.exceptions import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infrablocks.docker._session import Session

_SPLIT = frozenset({"ports", "volumes", "network", "networking_config"})
_NOT_SENT = frozenset({"auto_remove", "detach", "version"})


def send_create(session: Session, arguments: Mapping[str, Any]) -> str:
    """Make a container and give its id.

    The SDK sorts the arguments in a function that is private, and its public `containers.create` asks the engine about
    the container once more.

    Args:
        session: The client.
        arguments: Plain data. `auto_remove` is not sent: with it the engine forgets the exit code.

    Raises:
        InvalidSettings: An argument is not known, or the SDK refuses its value.
    """
    from docker.errors import APIError, DockerException  # noqa: PLC0415 - with the session the SDK is loaded

    try:
        answer: dict[str, Any] = session.create_container(**_low_level(session, arguments))
        return str(answer["Id"])
    except APIError:
        raise
    except (DockerException, TypeError, KeyError, AttributeError) as error:
        raise InvalidSettings(f"The Docker SDK refuses the container's settings: {error}") from error


def _low_level(session: Session, arguments: Mapping[str, Any]) -> dict[str, Any]:
    from docker.models.containers import RUN_CREATE_KWARGS, RUN_HOST_CONFIG_KWARGS  # noqa: PLC0415

    given = {name: value for name, value in arguments.items() if value is not None and name not in _NOT_SENT}
    plain = {name: value for name, value in given.items() if name in RUN_CREATE_KWARGS}
    host = {name: value for name, value in given.items() if name in RUN_HOST_CONFIG_KWARGS}
    if unknown := given.keys() - plain.keys() - host.keys() - _SPLIT:
        raise InvalidSettings(f"create_kwargs: {min(unknown)!r} is not known to the Docker SDK's containers.create")
    _split(given, plain, host)
    plain["host_config"] = session.create_host_config(**host)
    if bindings := plain["host_config"].get("PortBindings"):
        plain["ports"] = [tuple(port.split("/", 1)) for port in sorted(bindings)]
    return plain


def _split(given: Mapping[str, Any], plain: dict[str, Any], host: dict[str, Any]) -> None:
    """Sort the arguments of which the SDK makes more than one part of the request."""
    if ports := given.get("ports"):
        host["port_bindings"] = ports
    if volumes := given.get("volumes"):
        host["binds"] = volumes
    if network := given.get("network"):
        host["network_mode"] = network
        if endpoint := (given.get("networking_config") or {}).get(network):
            plain["networking_config"] = {"EndpointsConfig": {network: endpoint}}
