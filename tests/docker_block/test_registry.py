"""`DockerRegistry`: addresses of registries, and what never shows the password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr, ValidationError

from infrablocks import Block, InvalidSettings
from infrablocks.docker import DockerContainer, DockerRegistry
from infrablocks.docker._registry_address import registry_key
from infrablocks.docker._settings import RegistryCredentials

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("registry.example.com", "registry.example.com"),
        ("https://Registry.example.com/v2/", "registry.example.com"),
        ("http://localhost:5000", "localhost:5000"),
        ("HTTPS://localhost:5000/a/b", "localhost:5000"),
        ("[::1]:5000/", "[::1]:5000"),
        ("docker.io", "https://index.docker.io/v1/"),
        ("https://index.docker.io/v1/", "https://index.docker.io/v1/"),
        ("registry-1.docker.io", "https://index.docker.io/v1/"),
    ],
)
def test_key_of_a_registry(address: str, key: str) -> None:
    """However an address is written, its credentials are kept under one key."""
    assert registry_key(address) == key
    assert registry_key(key) == key


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "'' is not the address of a registry"),
        ("https://", "'https://' is not the address of a registry"),
        ("ftp://registry", "'ftp://registry' is not the address of a registry: its scheme is neither http nor https"),
        ("registry example.com", "'registry example.com' is not the address of a registry, which is a host"),
        ("registry:port", "'registry:port' is not the address"),
        ("registry?x=1", "'registry?x=1' is not the address"),
        ("https://ci:t0ken@registry", "an address with '@' may hold a password"),
    ],
)
def test_what_is_no_address(address: str, message: str) -> None:
    """A wrong address is refused, by name where that shows no password; in a copy too, when it is used."""
    with pytest.raises(ValidationError) as caught:
        DockerRegistry(username="ci", password=SecretStr("t0ken"), registry_url=address)
    assert message in str(caught.value)
    assert "t0ken" not in str(caught.value)
    good = DockerRegistry(username="ci", password=SecretStr("t0ken"), registry_url="registry")
    with pytest.raises(InvalidSettings) as caught_in_copy:
        good.model_copy(update={"registry_url": address}).credentials()
    assert str(caught_in_copy.value).startswith(f"registry_url: {message}")
    assert "t0ken" not in str(caught_in_copy.value)


def test_the_password_is_not_shown(tmp_path: Path) -> None:
    """No text, file or preview has the password, neither of the registry nor of a container that uses it."""
    registry = DockerRegistry(username="ci", password=SecretStr("t0ken"), registry_url="localhost:5000")
    container = DockerContainer(image="localhost:5000/a", image_registry=registry)
    container.to_yaml(tmp_path / "block.yaml")
    for text in (
        repr(registry),
        str(registry),
        registry.model_dump_json(),
        repr(registry.credentials()),
        repr(container),
        container.model_dump_json(),
        container.preview(),
        container.preview(show_secrets=True),
        container.preview(as_command=True),
        repr(container._build()),
        tmp_path.joinpath("block.yaml").read_text(),
    ):
        assert "t0ken" not in text
    copy = registry.model_copy(update={"password": "t0ken"})
    assert "t0ken" not in repr(copy.credentials())


def test_the_block() -> None:
    """Name, slug and capability are the seed's."""
    assert DockerRegistry.get_block_type_slug() == "docker-registry"
    assert DockerRegistry.get_block_type_name() == "Docker Registry"
    assert DockerRegistry.get_block_capabilities() == {"docker-login"}
    assert DockerContainer.get_block_type_slug() == "docker-container"
    assert DockerContainer.get_block_type_name() == "Docker Container"
    assert DockerContainer.get_block_capabilities() == {"run-infrastructure"}


def test_a_container_with_its_registry_from_a_file(tmp_path: Path) -> None:
    """A block file may have the registry inside of the container, and the policy in any case."""
    tmp_path.joinpath("block.yaml").write_text(
        "type: docker-container\n"
        "image: localhost:5000/a:1\n"
        "image_pull_policy: if_not_present\n"
        "image_registry:\n"
        "  username: ci\n"
        "  password: t0ken\n"
        "  registry_url: http://localhost:5000\n"
    )
    block = Block.from_yaml(tmp_path / "block.yaml")
    assert isinstance(block, DockerContainer)
    assert block._build().credentials == RegistryCredentials("ci", SecretStr("t0ken"), "localhost:5000")


@pytest.mark.parametrize(
    ("image", "registry_url", "used"),
    [
        ("localhost:5000/a", "https://localhost:5000/v2/", True),
        ("a", "docker.io", True),
        ("a/b", "https://index.docker.io/v1/", True),
        ("a/b", "localhost:5000", False),
        ("registry.example.com/a", "docker.io", False),
    ],
)
def test_credentials_go_to_their_registry_only(image: str, registry_url: str, used: bool) -> None:
    """The credentials of another registry than the image's are not used, with a warning that names both."""
    registry = DockerRegistry(username="ci", password=SecretStr("t0ken"), registry_url=registry_url)
    block = DockerContainer(image=image, image_registry=registry)
    if used:
        assert block._build().credentials == registry.credentials()
    else:
        with pytest.warns(UserWarning, match=f"image_registry is not used: it is for '{registry_url}'"):
            assert block._build().credentials is None
