"""The blocks that the tests of YAML files read and write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, SecretBytes, SecretStr, field_serializer, field_validator, model_validator

from infrablocks.blocks import Block


class Pull(Enum):
    """When to pull."""

    ALWAYS = "always"
    NEVER = "never"


class ImageRegistry(Block):
    """Where images are."""

    _block_type_name = "YAML Registry"
    url: str
    password: SecretStr | None = None
    tags: list[str] = Field(default_factory=list)


class Cluster(Block):
    """Another nested block, one that masks what is not a secret type."""

    _block_type_name = "Kubeconfig Block"
    config: dict[str, Any] = Field(default_factory=dict)
    context: str | None = None

    @classmethod
    def _holds_secret(cls, path: tuple[str | int, ...]) -> bool:
        return path == ("config",)


class Limits(BaseModel):
    """A nested model that is no block."""

    memory: int = 0
    token: SecretStr | None = None
    keys: list[SecretBytes] = Field(default_factory=list)


class Runs(Block, ABC):
    """An abstract block."""

    type: str
    command: list[str] = Field(default_factory=lambda: ["python"])

    @abstractmethod
    def run(self) -> None:
        """Run."""


class Container(Runs):
    """The block that most tests use."""

    _block_type_slug = "yaml-container"

    type: Literal["yaml-container"] = "yaml-container"
    env: dict[str, str | SecretStr | None] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    name: str | None = None
    image: str = Field(default="debian", alias="from")
    timeout_seconds: float | None = None
    stream_output: bool = True
    folder: Path | None = None
    pull: Pull | None = None
    registry: ImageRegistry | None = None
    places: list[ImageRegistry | Cluster] = Field(default_factory=list)
    inner: Runs | None = None
    limits: Limits = Field(default_factory=Limits)
    started: datetime | None = None
    pause: timedelta = timedelta(0)
    volumes: list[str] = Field(default_factory=list)
    manifest: dict[str, Any] = Field(default_factory=dict)
    pin: SecretStr | None = None

    @field_validator("volumes")
    @classmethod
    def _check_volumes(cls, volumes: list[str]) -> list[str]:
        for volume in volumes:
            if ":" not in volume:
                raise ValueError(f"{volume!r} has no colon")
        return volumes

    @field_validator("pin")
    @classmethod
    def _check_pin(cls, pin: SecretStr | None) -> SecretStr | None:
        if pin is not None and len(pin.get_secret_value()) > 20:
            raise ValueError(f"{pin.get_secret_value()} is\ntoo long")
        return pin

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.name == "same" and self.registry is not None and self.registry.password is not None:
            raise ValueError(f"the password {self.registry.password.get_secret_value()} belongs to another name")
        return self

    # A serializer such as this one is common; it must not bring the secret into a file.
    @field_serializer("pin", when_used="json")
    def _show_pin(self, pin: SecretStr | None) -> str | None:
        return None if pin is None else pin.get_secret_value()

    @classmethod
    def _holds_secret(cls, path: tuple[str | int, ...]) -> bool:
        return path == ("env", "API_KEY")

    def run(self) -> None:
        """Run."""
