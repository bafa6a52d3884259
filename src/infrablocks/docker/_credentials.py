"""What a pull logs in with: the block's credentials, else those of the Docker configuration. Nothing is written."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from infrablocks._environment import emptied_variables

if TYPE_CHECKING:
    from infrablocks.docker._reference import ImageReference
    from infrablocks.docker._settings import RegistryCredentials

logger = logging.getLogger("infrablocks.docker-container")


def registry_header(reference: ImageReference, credentials: RegistryCredentials | None) -> dict[str, str]:
    """Give the header of a pull that has the credentials; empty where there are none.

    Args:
        reference: The image.
        credentials: The block's.
    """
    import docker.auth  # noqa: PLC0415 - with the client, which is there, the SDK is loaded

    if credentials is not None:
        known: dict[str, Any] | None = {
            "username": credentials.username,
            "password": credentials.password.get_secret_value(),
            "serveraddress": credentials.registry_url,
        }
    else:
        known = _of_configuration(reference.domain)
    if not known:
        return {}
    header = docker.auth.encode_header(known)
    return {"X-Registry-Auth": header.decode()}


def _of_configuration(registry: str) -> dict[str, Any] | None:
    """Read `auths`, `credHelpers` and `credsStore` of `$DOCKER_CONFIG/config.json`, as they are now."""
    import docker.auth  # noqa: PLC0415
    import docker.errors  # noqa: PLC0415

    try:
        configuration = docker.auth.load_config(credstore_env=emptied_variables())
        found: dict[str, Any] | None = docker.auth.resolve_authconfig(configuration, registry)
    except (docker.errors.DockerException, OSError, ValueError, KeyError, AttributeError) as error:
        # As the docker command does: many images need no credentials. What fails without them says so itself.
        logger.warning(
            "The Docker configuration gives no credentials for %s (%s); the pull goes without.",
            *(registry, type(error).__name__),
        )
        return None
    return found
