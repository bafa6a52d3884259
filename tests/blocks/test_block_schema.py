"""The JSON schema of blocks, and its checksum."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Optional, Union, cast

import pytest
from pydantic import BaseModel, ConfigDict, Field, Secret, SecretBytes, SecretStr, TypeAdapter
from typing_extensions import TypeAliasType

from infrablocks import KubernetesClusterConfig, KubernetesJob
from infrablocks.blocks import Block
from infrablocks.blocks.schema import checksum_of


class Registry(Block):
    """Where images are.

    Example:
        None.
    """

    _block_type_slug = "schema-registry"
    url: str = Field(description="Its address.")
    password: SecretStr | None = None


class Other(Block):
    _block_type_slug = "schema-other"
    number: int = 0


class Tokens(BaseModel):
    token: SecretStr
    more: dict[str, list[SecretBytes]] = Field(default_factory=dict)


class Colour(Enum):
    RED = "red"


Json = TypeAliasType("Json", Union[SecretStr, list["Json"], dict[str, "Json"]])  # type: ignore[misc]  # noqa: UP007 - contains itself


class Everything(Block):
    _block_type_slug = "schema-everything"
    type: Literal["everything"] = "everything"
    env: dict[str, str | SecretStr | None] = Field(default_factory=dict)
    date: Secret[int] | None = None
    registry: Registry | None = None
    either: list[Registry | Other] = Field(default_factory=list)
    by_name: dict[str, Registry] = Field(default_factory=dict)
    tokens: tuple[Tokens, ...] = ()
    json_like: Json = SecretStr("")
    colour: Colour = Colour.RED
    folder: Path | None = None
    seconds: float = Field(default=1.0, ge=0)
    title: str = "a field of that name"


class Vault(Block):
    """Says itself what is secret, some of it under another name than its field's."""

    _block_type_slug = "schema-vault"
    model_config = ConfigDict(populate_by_name=True)
    config: dict[str, Any] | None = None
    phrase: str | None = None
    phrases: list[str] = Field(default_factory=list)
    anything: Any = None
    sealed: Secret[dict[str, str]] | None = None
    api_key: str = Field(default="", alias="apiKey")

    @classmethod
    def _holds_secret(cls, path: tuple[str | int, ...]) -> bool:
        return path in {("config",), ("phrase",), ("phrases",), ("anything",), ("api_key",)}


class Building(Block):
    _block_type_slug = "schema-building"
    vault: Vault | None = None
    vaults: dict[str, Vault] = Field(default_factory=dict)


class Tree(Block):
    """Contains itself."""

    _block_type_slug = "schema-tree"
    left: Optional["Tree"] = None
    key: SecretStr | None = None


class Hen(Block):
    _block_type_slug = "schema-hen"
    eggs: list["Egg"] = Field(default_factory=list)


class Egg(Block):
    _block_type_slug = "schema-egg"
    hen: Hen | None = None


Hen.model_rebuild()


def test_whole_schema() -> None:
    """The schema is pydantic's plus three keys, and the description is the docstring's first paragraph."""
    assert Registry.model_json_schema() == {
        "additionalProperties": True,
        "block_schema_references": {},
        "block_type_slug": "schema-registry",
        "description": "Where images are.",
        "properties": {
            "url": {"description": "Its address.", "title": "Url", "type": "string"},
            "password": {
                "anyOf": [{"format": "password", "type": "string", "writeOnly": True}, {"type": "null"}],
                "default": None,
                "title": "Password",
            },
        },
        "required": ["url"],
        "secret_fields": ["password"],
        "title": "Registry",
        "type": "object",
    }


def test_secret_fields_at_any_depth() -> None:
    """Unions, lists, mappings, nested blocks and nested models are searched."""
    assert Everything.model_json_schema()["secret_fields"] == [
        "env.*",
        "date",
        "registry.password",
        "either.password",
        "by_name.*.password",
        "tokens.token",
        "tokens.more.*",
        "json_like",
    ]


def test_secret_fields_by_the_word_of_a_block() -> None:
    """What a block itself calls secret is named, also where the block is nested; a mapping also with what is below."""
    assert Vault.model_json_schema()["secret_fields"] == [
        "config",
        "config.*",
        "phrase",
        "phrases",
        "anything",
        "anything.*",
        "sealed",
        "sealed.*",
        "apiKey",
        "api_key",
    ]
    assert Building.model_json_schema()["secret_fields"] == [
        f"{place}.{path}" for place in ("vault", "vaults.*") for path in Vault.model_json_schema()["secret_fields"]
    ]


def test_a_kubeconfig_is_secret() -> None:
    """Whoever reads the schema knows that a kubeconfig is secret, by itself and inside of a Job."""
    assert KubernetesClusterConfig.model_json_schema()["secret_fields"] == ["config", "config.*"]
    assert KubernetesJob.model_json_schema()["secret_fields"][1:] == [
        "cluster_config.config",
        "cluster_config.config.*",
    ]


def test_references_to_nested_blocks() -> None:
    """Each nested block is named with its slug and checksum, several as a list."""
    registry = {
        "block_type_slug": "schema-registry",
        "block_schema_checksum": Registry._calculate_schema_checksum(),
    }
    other = {"block_type_slug": "schema-other", "block_schema_checksum": Other._calculate_schema_checksum()}
    assert Everything.model_json_schema()["block_schema_references"] == {
        "registry": registry,
        "either": [registry, other],
        "by_name": registry,
    }


def test_nested_block_has_its_keys_in_the_definitions() -> None:
    """Also inside another schema, and in pydantic's own, a block's part says which block it is."""
    nested = Everything.model_json_schema()["$defs"]["Registry"]
    assert (nested["block_type_slug"], nested["secret_fields"]) == ("schema-registry", ["password"])
    assert TypeAdapter(list[Other]).json_schema()["$defs"]["Other"]["block_type_slug"] == "schema-other"


def test_block_that_contains_itself() -> None:
    """Its schema stands at the top as any other's, and its references to itself have no checksum."""
    schema = Tree.model_json_schema()
    assert (schema["block_type_slug"], schema["type"], schema["secret_fields"]) == ("schema-tree", "object", ["key"])
    assert schema["block_schema_references"] == {"left": {"block_type_slug": "schema-tree"}}
    assert schema["$defs"]["Tree"]["block_type_slug"] == "schema-tree"
    assert Hen.model_json_schema()["block_schema_references"] == {"eggs": {"block_type_slug": "schema-egg"}}
    assert len({one._calculate_schema_checksum() for one in (Tree, Hen, Egg)}) == 3


CHECKSUMS = {
    "Registry": "9987fdae4c06e65da8f43809675438c3ec46b30684a2376a929fb263cdab0fe7",
    "Everything": "15f7921b91885442783ce9bd30e803cf7a35e5807b0481e1b5d8b3d1ebaae2bf",
    "Tree": "c53a3ed309d9c90ee59724a6edbae93ec648d9209181499d302ca5fc49c8a76e",
    "Hen": "33bbd867400126b572df5d6e0d05587bb76bf35b2b959575bdbbcc51d470fc2b",
}


@pytest.mark.parametrize("name", sorted(CHECKSUMS))
def test_checksum_is_the_same_everywhere(name: str) -> None:
    """These values hold for Python 3.11 to 3.13 and for pydantic 2.7 to 2.14; documents are saved with them."""
    assert globals()[name]._calculate_schema_checksum() == f"sha256:{CHECKSUMS[name]}"


def test_checksum_does_not_depend_on_the_process() -> None:
    """Another process with another order of hashes has the same checksum."""
    code = "from tests.blocks import test_block_schema as t; print(t.Everything._calculate_schema_checksum())"
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == Everything._calculate_schema_checksum()


def variant(**fields: Any) -> str:
    """Give the checksum of a block with these fields."""
    namespace = {"__annotations__": {name: annotation for name, (annotation, _) in fields.items()}}
    defaults = {name: default for name, (_, default) in fields.items()}
    body = {"__module__": __name__, "_block_type_slug": "schema-variant", **namespace, **defaults}
    block_class = cast("type[Block]", types.new_class("Variant", (Block,), None, lambda members: members.update(body)))
    return block_class._calculate_schema_checksum()


def test_checksum_follows_the_fields_and_not_the_prose() -> None:
    """A type, a default, a field more or less changes it; an explanation, or the order of fields, does not."""
    first = variant(a=(int, 1), title=(str, "t"))
    prose = variant(a=(int, Field(1, title="T", description="D", examples=[3])), title=(str, "t"))
    turned = variant(title=(str, "t"), a=(int, 1))
    changed = [
        variant(a=(str, "1"), title=(str, "t")),
        variant(a=(int, 2), title=(str, "t")),
        variant(a=(int, 1), title=(str, "u")),
        variant(a=(int, 1)),
        variant(a=(int, 1), title=(SecretStr, "t")),
    ]
    assert prose == first == turned
    assert len({first, *changed}) == 6


def test_checksum_of_a_given_schema() -> None:
    """The checksum of a schema that came from elsewhere is that of its block."""
    assert Other._calculate_schema_checksum(Registry.model_json_schema()) == Registry._calculate_schema_checksum()


def test_dialects_of_pydantic_have_one_checksum() -> None:
    """What versions of pydantic write in different ways counts as the same."""
    old = {
        "properties": {
            "a": {"allOf": [{"$ref": "#/$defs/A"}], "default": 1},
            "b": {"const": "x", "enum": ["x"], "type": "string"},
            "c": {"type": "object"},
            "d": {"type": "number", "minimum": 0.0, "default": 30.0},
        },
        "required": ["b", "a"],
    }
    new = {
        "properties": {
            "a": {"$ref": "#/$defs/A", "default": 1},
            "b": {"const": "x", "type": "string"},
            "c": {"type": "object", "additionalProperties": True},
            "d": {"type": "number", "minimum": 0, "default": 30},
        },
        "required": ["a", "b"],
    }
    assert checksum_of(old) == checksum_of(new)
