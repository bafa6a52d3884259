"""`Block`: its hook, its class attributes, its docstring, its repr."""

from __future__ import annotations

import copy
import pickle
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import pytest
from pydantic import BaseModel, Field, PrivateAttr, SecretBytes, SecretStr, ValidationError

from infrablocks.blocks import Block

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
calls: list[str] = []


@pytest.fixture(autouse=True)
def _no_calls_yet() -> None:
    calls.clear()


class Plain(Block):
    _block_type_slug = "class-test-plain"
    number: int = 0

    def block_initialization(self) -> None:
        calls.append(f"{type(self).__name__} {self.number}")


class WithPrivate(Plain):
    _block_type_slug = "class-test-with-private"
    _cache: dict[str, int] = PrivateAttr(default_factory=lambda: {"a": 1})

    def block_initialization(self) -> None:
        super().block_initialization()
        calls.append(str(self._cache))


class WithPostInit(Plain):
    _block_type_slug = "class-test-with-post-init"
    _seen: int = PrivateAttr(default=5)

    def model_post_init(self, context: Any, /) -> None:  # noqa: ARG002 - pydantic's signature
        calls.append(f"post init {self._seen}")


class WithSuperPostInit(WithPostInit):
    _block_type_slug = "class-test-with-super-post-init"

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        calls.append("last")


class PostInitMixin:
    def model_post_init(self, context: Any, /) -> None:  # noqa: ARG002 - pydantic's signature
        calls.append("mixin")


class WithMixin(PostInitMixin, Plain):
    _block_type_slug = "class-test-with-mixin"


class Holder(BaseModel):
    block: Plain


class Box(Block, Generic[T]):
    """A box."""

    _block_type_slug = "class-test-box"
    content: T

    def block_initialization(self) -> None:
        calls.append(f"box {self.content}")


@pytest.mark.parametrize(
    ("block_class", "expected"),
    [
        (Plain, ["Plain 3"]),
        (WithPrivate, ["WithPrivate 3", "{'a': 1}"]),
        (WithPostInit, ["post init 5", "WithPostInit 3"]),
        (WithSuperPostInit, ["post init 5", "last", "WithSuperPostInit 3"]),
        (WithMixin, ["mixin", "WithMixin 3"]),
    ],
)
def test_initialization_is_called_once_however_a_block_is_made(block_class: type[Plain], expected: list[str]) -> None:
    """The hook runs once, last, and sees private attributes, by every way of making a block."""
    ways: list[Callable[[], Plain]] = [
        lambda: block_class(number=3),
        lambda: block_class.model_validate({"number": 3}),
        lambda: block_class.model_validate_json('{"number": 3}'),
        lambda: block_class.model_construct(number=3),
    ]
    for make in ways:
        calls.clear()
        make()
        assert calls == expected


def test_initialization_is_called_once_for_a_nested_block() -> None:
    """A block inside another model gets its hook called too, and not again when it is passed on."""
    holder = Holder.model_validate({"block": {"number": 1}})
    Holder(block=holder.block)
    assert calls == ["Plain 1"]


def test_initialization_is_called_once_for_a_generic_block() -> None:
    """A parametrized generic block calls the hook as any other."""
    Box[int](content=3)
    assert calls == ["box 3"]


def test_initialization_is_not_called_for_copies() -> None:
    """Copies and unpickled blocks are not new blocks."""
    block = WithPrivate(number=1)
    calls.clear()
    copies = [block.model_copy(), block.model_copy(deep=True), copy.copy(block), pickle.loads(pickle.dumps(block))]
    assert copies == [block] * 4
    assert calls == []


def test_value_error_in_the_hook_is_a_validation_error() -> None:
    """A block whose hook refuses it cannot be made."""

    class Refusing(Block):
        _block_type_slug = "class-test-refusing"

        def block_initialization(self) -> None:
            raise ValueError("not today")

    with pytest.raises(ValidationError, match="not today"):
        Refusing()


def test_extra_fields_are_kept() -> None:
    """The constructor takes fields that the class does not have, as the old blocks did."""
    block = Plain(number=1, colour="red")
    assert block.model_dump() == {"number": 1, "colour": "red"}


def test_class_attributes_work_with_and_without_annotation() -> None:
    """A subclass may write `_block_type_name = …` and `_block_type_name: str = …`; both can be read on the class."""

    class Bare(Block):
        _block_type_name = "Class Test: Bare"
        _logo_url = "https://example.org/logo.png"
        _block_schema_capabilities = ["pull"]  # noqa: RUF012 - as users of the old blocks write it

    class Annotated(Block):
        _block_type_name: str | None = "Class Test: Annotated"  # type: ignore[misc]
        _description: str = "Annotated."  # type: ignore[misc]
        _cache: int = 7

    class Below(Annotated):
        _block_type_name: str | None = "Class Test: Below"  # type: ignore[misc]

    assert (Bare._block_type_name, Bare._logo_url, Bare._description) == (
        "Class Test: Bare",
        "https://example.org/logo.png",
        None,
    )
    assert (Annotated._block_type_name, Annotated.get_description(), Annotated()._cache) == (
        "Class Test: Annotated",
        "Annotated.",
        7,
    )
    assert (Below._block_type_name, Below._description, Below()._cache) == ("Class Test: Below", "Annotated.", 7)
    assert [one.get_block_type_slug() for one in (Bare, Annotated, Below)] == [
        "class-test-bare",
        "class-test-annotated",
        "class-test-below",
    ]


def test_name_and_slug_are_made_of_the_class_and_not_inherited() -> None:
    """A subclass without a name of its own is another block type, named as its class."""

    class ClassTestParent(Block):
        _block_type_name = "Class Test Parent Name"
        _block_type_slug = "class-test-parent-slug"

    class ClassTestChild(ClassTestParent):
        pass

    class ClassTestRenamed(ClassTestParent):
        _block_type_name = "Class Test Renamed!"

    names = [(one.get_block_type_name(), one.get_block_type_slug()) for one in (ClassTestParent, ClassTestChild)]
    assert names == [("Class Test Parent Name", "class-test-parent-slug"), ("ClassTestChild", "classtestchild")]
    assert ClassTestRenamed.get_block_type_slug() == "class-test-renamed"


def test_generic_parameters_do_not_change_the_block_type() -> None:
    """`Box[int]` is a Box."""
    assert (Box[int].get_block_type_name(), Box[int].get_block_type_slug()) == ("Box", "class-test-box")
    assert Box[int].get_description() == "A box."


def test_capabilities_are_collected_over_the_bases() -> None:
    """A block can do what its bases can, mixins included."""

    class Runs(Block, ABC):
        _block_schema_capabilities: ClassVar[list[str] | None] = ["run"]

        @abstractmethod
        def run(self) -> None: ...

    class Pulls:
        _block_schema_capabilities: ClassVar[list[str] | None] = ["pull"]

    class RunsAndPulls(Pulls, Runs):
        _block_type_slug = "class-test-runs-and-pulls"
        _block_schema_capabilities: ClassVar[list[str] | None] = ["push", "run"]

        def run(self) -> None: ...

    assert Block.get_block_capabilities() == frozenset()
    assert RunsAndPulls.get_block_capabilities() == frozenset({"run", "pull", "push"})


class Documented(Block):
    """Talks to a registry,
    politely.

    This part is about details.

    Attributes:
        url: Where it is.

    Example:
        Say hello:
        ```python
        Documented().hello()
        ```

    Notes:
        None.
    """

    _block_type_slug = "class-test-documented"


class Fenced(Block):
    """Only code.

    ```python
    Fenced()
    ```

    and an end.
    """

    _block_type_slug = "class-test-fenced"


class OnlySections(Block):
    """
    Attributes:
        a: b
    """

    _block_type_slug = "class-test-only-sections"


class Overridden(Documented):
    """Not this."""

    _block_type_slug = "class-test-overridden"
    _description = "This."
    _code_example = """
        ```python
        Overridden()
        ```"""


class Undocumented(Documented):
    _block_type_slug = "class-test-undocumented"


@pytest.mark.parametrize(
    ("block_class", "description", "example"),
    [
        (Documented, "Talks to a registry,\npolitely.", "Say hello:\n```python\nDocumented().hello()\n```"),
        (Fenced, "Only code.", "```python\nFenced()\n```"),
        (OnlySections, None, None),
        (Overridden, "This.", "\n```python\nOverridden()\n```"),
        (Undocumented, None, None),
    ],
)
def test_description_and_example(block_class: type[Block], description: str | None, example: str | None) -> None:
    """Both come from the class attributes, else from the docstring of the very class."""
    assert (block_class.get_description(), block_class.get_code_example()) == (description, example)


class Sealed(Block):
    _block_type_slug = "class-test-sealed"
    password: SecretStr = SecretStr("")
    key: SecretBytes = SecretBytes(b"")
    env: dict[str, str | SecretStr] = Field(default_factory=dict)
    users: list[dict[str, str]] = Field(default_factory=list)
    number: int = 0

    @classmethod
    def _holds_secret(cls, path: tuple[str | int, ...]) -> bool:
        return path[-1] in {"API_KEY", "pin"}


def test_repr_masks_secrets() -> None:
    """Neither secret types nor what the class itself calls secret is shown, at any depth; extra fields included."""
    block = Sealed(
        password=SecretStr("hunter2"),
        key=SecretBytes(b"hunter2"),
        env={"API_KEY": "hunter2", "OTHER": SecretStr("hunter2"), "PLAIN": "x"},
        users=[{"name": "ann", "pin": "hunter2"}],
        pin="hunter2",
    )
    expected = (
        "password=SecretStr('**********'), key=SecretBytes(b'**********'), "
        "env={'API_KEY': '********', 'OTHER': SecretStr('**********'), 'PLAIN': 'x'}, "
        "users=[{'name': 'ann', 'pin': '********'}], number=0, pin='********'"
    )
    assert repr(block) == f"Sealed({expected})"
    assert "hunter2" not in str(block)
    assert block.env["API_KEY"] == "hunter2"


def test_validation_error_shows_no_input() -> None:
    """pydantic's message for a wrong block does not hold the values that it was given."""
    with pytest.raises(ValidationError) as caught:
        Sealed(password="hunter2", number="hunter3")
    assert "hunter" not in str(caught.value)
