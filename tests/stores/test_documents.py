"""What a store keeps of a block, and what becomes of it when the block's type changes."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, SecretBytes, SecretStr, field_validator

from infrablocks import Block, BlockError, BlockNotFound, InvalidBlockDocument, Process
from infrablocks.blocks import registry
from infrablocks.blocks.stores import BlockDocument, BlockKey, SecretPlace, current_store
from infrablocks.blocks.stores.reading import block_of
from infrablocks.blocks.stores.type_facts import facts_of
from infrablocks.blocks.stores.writing import document_of

if TYPE_CHECKING:
    from collections.abc import Callable


class Inner(Block):
    """A block inside of others."""

    _block_type_slug: ClassVar[str | None] = "test-store-inner"
    token: SecretStr | None = None
    size: int = 0


class OtherInner(Inner):
    """Another one, where the first is expected too."""

    _block_type_slug: ClassVar[str | None] = "test-store-other-inner"
    colour: str = "red"


class Part(BaseModel):
    """A model that is no block."""

    inner: Inner | None = None
    key: SecretStr | None = None


class Outer(Block):
    """A block with all that may be in one."""

    _block_type_slug: ClassVar[str | None] = "test-store-outer"
    inner: Inner | None = None
    many: list[Inner] = []  # noqa: RUF012 - pydantic copies it
    named: dict[str, Inner] = {}  # noqa: RUF012
    part: Part = Part()
    data: bytes = b""
    raw: SecretBytes | None = None
    known: dict[str, Any] = {}  # noqa: RUF012

    @classmethod
    def _holds_secret(cls, path: tuple[str | int, ...]) -> bool:
        return path == ("known", "config")


def no_other(key: BlockKey) -> Block:
    raise AssertionError(f"{key} is not referred to")


def whole_block() -> Outer:
    return Outer(
        inner=OtherInner(token=SecretStr("one"), colour="blue"),
        many=[Inner(), Inner(size=1)],
        named={"a.b": Inner(token=SecretStr("two"))},
        part=Part(inner=OtherInner(), key=SecretStr("three")),
        data=b"x",
        raw=SecretBytes(b"four"),
        known={"config": {"user": {"token": "five"}}, "plain": [1, None]},
    )


def test_document() -> None:
    """A document is plain data; it names the types of blocks inside, and where secrets stand."""
    key = BlockKey("test-store-outer", "a")
    assert document_of(whole_block(), key, "here") == BlockDocument(
        key,
        data={
            "inner": {"block_type_slug": "test-store-other-inner", "token": "one", "colour": "blue"},
            "many": [
                {"block_type_slug": "test-store-inner"},
                {"block_type_slug": "test-store-inner", "size": 1},
            ],
            "named": {"a.b": {"block_type_slug": "test-store-inner", "token": "two"}},
            "part": {"inner": {"block_type_slug": "test-store-other-inner"}, "key": "three"},
            "data": "x",
            "raw": "four",
            "known": {"config": {"user": {"token": "five"}}, "plain": [1, None]},
        },
        references={},
        secrets=(
            SecretPlace(("inner", "token"), is_typed=True),
            SecretPlace(("named", "a.b", "token"), is_typed=True),
            SecretPlace(("part", "key"), is_typed=True),
            SecretPlace(("raw",), is_typed=False),
            SecretPlace(("known", "config"), is_typed=False),
        ),
        checksum=Outer._calculate_schema_checksum(),
    )


@pytest.mark.filterwarnings("ignore:Secrets are saved unencrypted")
def test_blocks_inside_come_back_as_what_they_were() -> None:
    """Also where their class is below the one that the field names, and where a model or a list is in between."""
    block = whole_block()
    block.save("a")
    loaded = Outer.load("a")
    assert loaded == block
    assert type(loaded.inner) is OtherInner
    assert type(loaded.part.inner) is OtherInner


@pytest.mark.filterwarnings("ignore:Secrets are saved unencrypted")
def test_references_at_any_depth() -> None:
    """A saved block may stand in a list, a mapping or a model."""
    inner = Inner(size=1)
    inner.save("a")
    block = Outer(many=[Inner(), inner], named={"a.b": inner}, part=Part(inner=inner))
    block.save("a")
    document = current_store().load(BlockKey("test-store-outer", "a"))
    key = BlockKey("test-store-inner", "a")
    assert document.references == {("many", 1): key, ("named", "a.b"): key, ("part", "inner"): key}
    assert document.data == {
        "many": [{"block_type_slug": "test-store-inner"}, None],
        "named": {"a.b": None},
        "part": {"inner": None},
    }
    assert Outer.load("a") == block
    Inner(size=2).save("a", overwrite=True)
    loaded = Outer.load("a")
    assert loaded.part.inner is not None
    assert [loaded.many[1].size, loaded.named["a.b"].size, loaded.part.inner.size] == [2, 2, 2]


def test_secrets_that_a_store_cannot_tell() -> None:
    """Where nothing is known of secrets, whatever can be one is one: nothing is shown by mistake."""
    document = BlockDocument(BlockKey("process", "a"), {"env": {"A": "plain or not", "GONE": None}}, secrets=None)
    assert block_of(document, Process, no_other) == Process(env={"A": SecretStr("plain or not"), "GONE": None})


def test_data_that_looks_like_a_block() -> None:
    """A mapping with the key that names types stays a mapping where no block belongs, or none is of that type."""
    block = Outer(known={"x": {"block_type_slug": "test-store-inner"}}, extra={"block_type_slug": "no-such-type"})
    block.save("a")
    assert block_of(current_store().load(BlockKey("test-store-outer", "a")), Outer, no_other).model_extra == {
        "extra": {"block_type_slug": "no-such-type"}
    }


def test_blocks_in_a_ring() -> None:
    """Blocks that refer to each other are an error when they are loaded, and no endless loop."""

    class Ring(Block):
        _block_type_slug: ClassVar[str | None] = "test-store-ring"
        other: Block | None = None

    first = Ring()
    first.save("a")
    second = Ring(other=first)
    second.save("b")
    Ring(other=second).save("a", overwrite=True)
    with pytest.raises(BlockError) as raised:
        Ring.load("a")
    assert str(raised.value) == (
        "test-store-ring/a cannot be loaded: it holds test-store-ring/b which holds test-store-ring/a"
    )


def test_objects_of_python_cannot_be_saved() -> None:
    """A field with something that is no plain data: nothing is saved, and the message names the document."""
    with pytest.raises(InvalidBlockDocument, match="^test-store-outer/a: cannot be saved: .*object"):
        Outer(known={"x": object()}).save("a")
    assert Block.list() == []


class Changing:
    """Defines a block type, and later another version of it."""

    def __init__(self) -> None:
        class Versioned(Block):
            _block_type_slug: ClassVar[str | None] = "test-store-versioned"
            count: int = 0
            password: SecretStr | None = None

        self.first = Versioned

    def rename(self) -> type[Block]:
        class Versioned(Block):
            _block_type_slug: ClassVar[str | None] = "test-store-versioned"
            count: int = 0
            password: SecretStr | None = None
            added: str = "new"

        return Versioned

    def restrict(self) -> type[Block]:
        class Versioned(Block):
            _block_type_slug: ClassVar[str | None] = "test-store-versioned"
            count: Literal["few", "many"] = "few"
            password: SecretStr | None = None
            needed: str

            @field_validator("password")
            @classmethod
            def _refuse(cls, value: SecretStr) -> SecretStr:
                raise ValueError(f"{value.get_secret_value()} is too short")

        return Versioned


def test_another_version_of_a_type() -> None:
    """What still fits is loaded with a warning that names the document; saving it again ends that."""
    changing = Changing()
    changing.first(count=3).save("a")
    changed = changing.rename()
    with pytest.warns(UserWarning, match="^test-store-versioned/a was saved when the block type .* had other fields"):
        loaded = changed.load("a")
    assert loaded.model_dump() == {"count": 3, "password": None, "added": "new"}
    loaded.save("a", overwrite=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert changed.load("a") == loaded


@pytest.mark.filterwarnings("ignore:Secrets are saved unencrypted")
def test_a_document_that_no_longer_fits() -> None:
    """The error is a ValueError that names the document and every field that is wrong, and shows no secret."""
    changing = Changing()
    changing.first(count=3, password=SecretStr("swordfish")).save("a")
    changed = changing.restrict()
    with pytest.raises(ValueError, match="no longer fits") as raised:
        changed.load("a")
    assert type(raised.value) is InvalidBlockDocument
    assert str(raised.value) == (
        "test-store-versioned/a: no longer fits the block type 'test-store-versioned': "
        "count: Input should be 'few' or 'many'; password: ******** is too short; needed: Field required"
    )


def test_a_nested_document_that_no_longer_fits() -> None:
    """The fields of a block inside of another one are named with the way to them."""
    data = {"named": {"x": {"block_type_slug": "test-store-inner", "size": "big"}}}
    with pytest.raises(InvalidBlockDocument) as raised:
        block_of(BlockDocument(BlockKey("test-store-outer", "a"), data), Outer, no_other)
    assert str(raised.value) == (
        "test-store-outer/a: no longer fits the block type 'test-store-outer': "
        "named.x.size: Input should be a valid integer, unable to parse string as an integer"
    )


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Gives what makes a block type unknown, as it is where its package is not installed."""

    def forget(slug: str) -> None:
        monkeypatch.delitem(registry._classes, slug)

    return forget


def test_a_type_that_is_not_installed(forget: Callable[[str], None]) -> None:
    """It is listed and can be deleted; loading says that the type is unknown and what may be missing."""
    Inner(size=1).save("a")
    Outer(inner=OtherInner()).save("b")
    forget("test-store-inner")
    forget("test-store-other-inner")
    assert Block.list() == ["test-store-inner/a", "test-store-outer/b"]
    with pytest.raises(
        BlockNotFound,
        match="^test-store-inner/a is saved, but cannot be loaded: .*is its package installed",
    ):
        Block.load("test-store-inner/a")
    with pytest.raises(
        BlockNotFound,
        match='^test-store-outer/b: holds a block that cannot be made: there is no block type "test-st',
    ):
        Outer.load("b")
    Block.delete("test-store-inner/a")
    assert Block.list() == ["test-store-outer/b"]


def test_facts_of_a_type() -> None:
    """What another program needs to know of a type is JSON."""
    facts = facts_of(Process)
    assert (facts.slug, facts.name, facts.capabilities) == ("process", "Process", ("run-infrastructure",))
    assert facts.schema == Process.model_json_schema()
    assert facts.checksum == Process._calculate_schema_checksum()
    assert json.loads(json.dumps(facts.schema)) == facts.schema
