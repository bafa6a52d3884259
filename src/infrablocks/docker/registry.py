"""The block that holds the credentials of a registry."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import SecretStr, field_validator

from infrablocks.blocks import Block
from infrablocks.docker._registry_address import registry_key
from infrablocks.docker._settings import RegistryCredentials
from infrablocks.exceptions import InvalidSettings


class DockerRegistry(Block):
    """Credentials of a registry that images are pulled from.

    A container that is given this block as its `image_registry` uses the credentials for the pull of its image only;
    they are written nowhere.

    Attributes:
        username: Who logs in.
        password: The password, or a token.
        registry_url: The registry's host, with its port where it is not the usual one; "https://" and a path may stand
            around it. Docker Hub is `docker.io`.
        reauth: Has no effect: `login` asks the registry each time. It is here because Prefect's block has it.

    Example:
        ```python
        from infrablocks.docker import DockerContainer, DockerRegistry

        registry = DockerRegistry(username="ci", password="t0ken", registry_url="registry.example.com:5000")
        container = DockerContainer(image="registry.example.com:5000/etl:1", image_registry=registry)
        assert "t0ken" not in repr(container)
        ```
    """

    _block_type_name: ClassVar[str | None] = "Docker Registry"
    _block_type_slug: ClassVar[str | None] = "docker-registry"
    _block_schema_capabilities: ClassVar[list[str] | None] = ["docker-login"]

    username: str
    password: SecretStr
    registry_url: str
    reauth: bool = True

    @field_validator("registry_url")
    @classmethod
    def _check_registry_url(cls, value: str) -> str:
        registry_key(value)
        return value

    def login(self) -> dict[str, Any]:
        """Have the engine log in at the registry, and return its reply. Nothing is kept of it.

        It blocks until the registry has answered; in an event loop, call it in a thread.

        Raises:
            InvalidSettings: A copy of the block was given a `registry_url` that validation refuses.
            InfrastructureNotAvailable: The engine or the registry is out of reach, or refuses the credentials.
        """
        from infrablocks.docker import _client  # noqa: PLC0415 - it loads the SDK

        return _client.login(self.credentials())

    def credentials(self) -> RegistryCredentials:
        """Give what a pull logs in with; the registry under the key that Docker knows it by.

        Raises:
            InvalidSettings: A copy of the block was given a `registry_url` that validation refuses.
        """
        password = SecretStr(self.password) if isinstance(self.password, str) else self.password
        try:
            return RegistryCredentials(self.username, password, registry_key(self.registry_url))
        except ValueError as error:
            raise InvalidSettings(f"registry_url: {error}") from error
