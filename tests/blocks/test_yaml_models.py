"""YAML of blocks whose fields are less common: other models, aliases, serializers of their own."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel, SecretStr, field_serializer, model_serializer

from infrablocks.blocks import Block
from infrablocks.blocks.yaml_files import read_text, write_text


class Names(RootModel[dict[str, str | SecretStr]]):
    """A mapping that is a model."""


class Open(BaseModel):
    """A model that keeps fields it does not know."""

    model_config = ConfigDict(extra="allow")
    number: int = 0


class Joined(BaseModel):
    """A model that writes itself as text."""

    user: str = ""
    password: SecretStr = SecretStr("")

    @model_serializer
    def _join(self) -> str:
        return f"{self.user}:{self.password.get_secret_value()}"


class Models(Block):
    """Has one of each."""

    model_config = ConfigDict(populate_by_name=True)

    _block_type_slug = "less-common"

    names: Names = Names({})
    more: Open = Open()
    login: Joined = Joined()
    both: dict[str, SecretStr] = Field(default_factory=dict)
    size: int = Field(default=0, alias="how-large")
    limit: float = 0.0
    hidden: int = Field(default=0, exclude=True)

    @field_serializer("both")
    def _join(self, both: dict[str, SecretStr]) -> str:
        return ",".join(value.get_secret_value() for value in both.values())


def test_no_serializer_brings_a_secret_into_a_file() -> None:
    """A model or a field that writes itself in another shape is masked as a whole when there is a secret in it."""
    block = Models(
        names=Names({"a": "b", "c": SecretStr("hunter2")}),
        login=Joined(user="ann", password=SecretStr("hunter2")),
        both={"a": SecretStr("hunter2")},
        hidden=5,
    )
    assert write_text(block) == (
        "type: less-common\nnames:\n  a: b\n  c: '********'\nlogin: '********'\nboth: '********'\n"
    )


def test_models_are_read_back() -> None:
    """Unknown fields of a model that keeps them, models that are mappings, aliases and infinity survive."""
    more: dict[str, Any] = {"number": 1, "else": [1, {"a": None}]}
    block = Models(names=Names({"a": "1.10"}), more=Open(**more), limit=float("inf"), size=3)
    text = write_text(block)
    assert (
        text
        == """\
type: less-common
names:
  a: '1.10'
more:
  number: 1
  else:
  - 1
  - a: null
how-large: 3
limit: .inf
"""
    )
    assert read_text(text, Block) == block


def test_field_with_an_alias_may_be_read_by_its_name() -> None:
    """A class that takes its fields by name in Python does so in a file."""
    assert read_text("size: 3\n", Models) == read_text("how-large: 3\n", Models) == Models(size=3)
