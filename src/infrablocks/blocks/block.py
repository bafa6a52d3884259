"""`Block`, the base class of everything that is configured, saved and shared."""

from __future__ import annotations

import functools
from abc import ABC
from inspect import isabstract
from textwrap import dedent
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from infrablocks._sync_compatible import sync_compatible
from infrablocks._threads import ThreadLimit, run_in_worker_thread
from infrablocks.blocks import docstrings, registry
from infrablocks.blocks.masking import masked
from infrablocks.blocks.slugs import slug_of

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterable, Mapping
    from typing import Self

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


T = TypeVar("T")
Texts: TypeAlias = list[str]  # in the class, `list` is a method

# Most of them wait for one another, however many tasks save at once.
_STORE_THREADS = ThreadLimit(8)


class BlockNames(list[str]):
    """Names of saved blocks; a list of texts."""

    if TYPE_CHECKING:
        # To a type checker it can be awaited, as every result of a call that works in scripts and in event loops.
        def __await__(self) -> Generator[Any, Any, BlockNames]: ...


class Block(BaseModel):
    """A pydantic model that says where or how something runs, and is found by its slug.

    A subclass is registered when it is defined, and `get_block_class` finds it. Abstract classes, and those with `ABC`
    among their direct bases, are not: nobody can make one.

    A subclass may set these class attributes, with or without an annotation. The name and the slug are not inherited
    from another block, as two blocks never share them; the rest is.

    Attributes:
        _block_type_name: Name for people; the class's name when it is None.
        _block_type_slug: Slug; made of the name when it is None.
        _logo_url: Address of a picture.
        _documentation_url: Address of the documentation.
        _description: What the block is for; the first paragraph of the docstring when it is None.
        _code_example: How to use it; the docstring's "Example:" when it is None.
        _block_schema_capabilities: What the block can do, besides what its bases can.
    """

    # An error must not show its input: it may be a mapping that holds a secret.
    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    _block_type_name: ClassVar[str | None] = None
    _block_type_slug: ClassVar[str | None] = None
    _logo_url: ClassVar[Any] = None
    _documentation_url: ClassVar[Any] = None
    _description: ClassVar[str | None] = None
    _code_example: ClassVar[str | None] = None
    _block_schema_capabilities: ClassVar[Texts | None] = None

    # Where the block was saved or loaded from, so that a block that holds it can refer to it. No private attribute of
    # pydantic's: it has no part in comparing two blocks.
    __slots__ = ("_saved_as",)

    if TYPE_CHECKING:
        # What `load` gives can be awaited, in an event loop, where it is a coroutine.
        def __await__(self) -> Generator[Any, Any, Self]: ...

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class."""
        super().__pydantic_init_subclass__(**kwargs)
        _restore_class_attributes(cls)
        _call_block_initialization_last(cls)
        if not is_interface(cls) and cls.__pydantic_generic_metadata__["origin"] is None:
            registry.register(cls)

    def model_post_init(self, context: Any, /) -> None:
        """Call `block_initialization`, unless a subclass has a `model_post_init` of its own, which then does it."""
        super().model_post_init(context)
        if type(self).model_post_init is Block.model_post_init:
            self.block_initialization()

    def block_initialization(self) -> None:
        """Prepare a block that was just made; for subclasses.

        Called once for every new block, however it is made, when its fields and private attributes are set. Not called
        for copies. A ValueError becomes pydantic's ValidationError.
        """

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = True) -> Self:
        """Copy the block; unlike pydantic's own copies, this one shares nothing with it.

        Args:
            update: New values of fields. They are not validated here, but when the block is used.
            deep: Copy mappings, lists and nested blocks too.
        """
        return super().model_copy(update=update, deep=deep)

    def copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = True) -> Self:  # type: ignore[override]
        """Copy the block, as the blocks of Prefect 2 are copied: the same as `model_copy`.

        Args:
            update: New values of fields. They are not validated here, but when the block is used.
            deep: Copy mappings, lists and nested blocks too.
        """
        return self.model_copy(update=update, deep=deep)

    def __copy__(self) -> Self:
        """Copy the block, with the memory of where it is saved; pydantic's way of a copy is not changed."""
        return _with_memory_of(self, super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copy the block deeply, with the memory of where it is saved."""
        return _with_memory_of(self, super().__deepcopy__(memo))

    @sync_compatible
    async def save(self, name: str, overwrite: bool = False) -> None:
        """Save the block in the store, so that every program of yours can load it.

        What is saved are the fields that were given, or that differ from their defaults. A saved block that stands in a
        field is saved as a reference, as long as it is what was saved.

        Args:
            name: What to save it as: lower case letters, digits and dashes. Each type has names of its own.
            overwrite: Whether it may take the place of another block of its type and name.

        Raises:
            BlockAlreadyExists: There is one of this name, and `overwrite` is false (a ValueError).
            InvalidBlockName: The name has other characters (a ValueError).
            InvalidBlockDocument: The block holds something that cannot be saved, such as an object of Python.
            BlockStoreError: The store cannot be reached or written to; nothing was saved.
        """
        from infrablocks.blocks.stores.operations import save_block  # noqa: PLC0415 - hashlib costs import time

        await run_in_worker_thread(lambda: save_block(self, name, overwrite=overwrite), _STORE_THREADS)

    @classmethod
    @sync_compatible
    async def load(cls, name: str) -> Self:
        """Load a saved block.

        A warning tells when the fields of its type are not those that it was saved with.

        Args:
            name: `name`, as it was saved by this class; or `slug/name`, which `Block` and abstract classes need.

        Raises:
            BlockNotFound: There is none, or its type is not known here (its package is not installed).
            InvalidBlockDocument: It no longer fits its type; the message names the fields (a ValueError).
            InvalidBlockName: That is no name of a block of this class (a ValueError).
            BlockStoreError: The store cannot be reached or read, or its secrets cannot be decrypted.
        """
        from infrablocks.blocks.stores.operations import load_block  # noqa: PLC0415 - hashlib costs import time

        return await run_in_worker_thread(lambda: load_block(cls, name), _STORE_THREADS)

    @classmethod
    @sync_compatible
    async def delete(cls, name: str) -> None:
        """Delete a saved block.

        Args:
            name: As for `load`.

        Raises:
            BlockNotFound: There is none.
            InvalidBlockName: That is no name of a block of this class (a ValueError).
            BlockStoreError: The store cannot be reached or written to.
        """
        from infrablocks.blocks.stores.operations import delete_block  # noqa: PLC0415 - hashlib costs import time

        await run_in_worker_thread(lambda: delete_block(cls, name), _STORE_THREADS)

    @classmethod
    @sync_compatible
    async def list(cls) -> BlockNames:
        """List the saved blocks of this class: their names; of `Block` and abstract classes, `slug/name`, sorted.

        Raises:
            BlockStoreError: The store cannot be reached or read.
        """
        from infrablocks.blocks.stores.operations import list_blocks  # noqa: PLC0415 - hashlib costs import time

        return BlockNames(await run_in_worker_thread(lambda: list_blocks(cls), _STORE_THREADS))

    @classmethod
    def get_block_type_name(cls) -> str:
        """Give the name of the block type, for people."""
        return _own_attribute(cls, "_block_type_name") or _origin(cls).__name__

    @classmethod
    def get_block_type_slug(cls) -> str:
        """Give the slug of the block type: lower case, digits and dashes."""
        return slug_of(_own_attribute(cls, "_block_type_slug") or cls.get_block_type_name())

    @classmethod
    def get_block_capabilities(cls) -> frozenset[str]:
        """Give what the block can do: the capabilities of the class and of all of its bases."""
        return frozenset(
            capability for base in cls.__mro__ for capability in vars(base).get("_block_schema_capabilities") or ()
        )

    @classmethod
    def get_description(cls) -> str | None:
        """Say what the block is for: `_description`, else the first paragraph of the docstring."""
        if cls._description is not None:
            return cls._description
        return docstrings.description_in(_origin(cls).__doc__)

    @classmethod
    def get_code_example(cls) -> str | None:
        """Show how to use the block: `_code_example`, else the docstring's "Example:" or its first fenced block."""
        if cls._code_example is not None:
            return dedent(cls._code_example)
        return docstrings.code_example_in(_origin(cls).__doc__)

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Give the JSON schema: pydantic's, with `block_type_slug`, `secret_fields` and `block_schema_references`.

        Args:
            *args: As for pydantic's method.
            **kwargs: As for pydantic's method.

        Returns:
            The schema. `secret_fields` are dotted paths, `*` standing for any key of a mapping;
            `block_schema_references` has slug and checksum of each nested block by the name of its field, a list of
            them where there may be several.
        """
        from infrablocks.blocks.schema import with_root_in_place  # noqa: PLC0415 - hashlib and json cost import time

        return with_root_in_place(super().model_json_schema(*args, **kwargs))

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /) -> JsonSchemaValue:
        """Add the block's own keys to its part of a JSON schema, also where it is nested."""
        from infrablocks.blocks.schema import block_schema_extras  # noqa: PLC0415 - hashlib and json cost import time

        schema = handler(core_schema)
        own = handler.resolve_ref_schema(schema)
        own.pop("description", None)
        description = cls.get_description()
        if description is not None:
            own["description"] = description
        own.update(block_schema_extras(cls))
        return schema

    @classmethod
    def _calculate_schema_checksum(cls, block_schema_fields: Mapping[str, Any] | None = None) -> str:
        """Give the checksum of the block's schema, or of another schema.

        Args:
            block_schema_fields: The other schema; None for this class's.

        Returns:
            "sha256:" and the digest. Titles, descriptions and examples do not change it.
        """
        from infrablocks.blocks.schema import checksum_of  # noqa: PLC0415 - hashlib and json cost import time

        return checksum_of(cls.model_json_schema() if block_schema_fields is None else block_schema_fields)

    @classmethod
    def _holds_secret(cls, path: tuple[str | int, ...]) -> bool:  # noqa: ARG003 - for subclasses
        """Say whether a plain value is a secret; for subclasses. Secret types need no mention.

        Such a value is masked in `repr`, in YAML and in the Prefect API, and a mask is refused in its place when a file
        is read. A field that is secret as a whole (a path of one name) is one of the schema's `secret_fields`.

        Args:
            path: Where the value stands in the block: the field's name, then keys of mappings and numbers of list
                items, for example `("env", "PREFECT_API_KEY")`. What is inside of a secret value is secret too.
                A model that stands in the block is asked for itself, if it is a block.
        """
        return False

    @classmethod
    def _default_gives_way(cls, name: str) -> bool:  # noqa: ARG003 - for subclasses
        """Say whether a field's default gives way to what another field says; for subclasses.

        The same value then means more when it was given, and is written to YAML.

        Args:
            name: The field.
        """
        return False

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Give the fields for `repr` and `str`, the secrets masked."""
        for name, value in super().__repr_args__():
            yield name, masked(value, (name,), self._holds_secret) if name is not None else value

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Self:
        """Read a block from a YAML file: a mapping of `type:`, the slug of the block type, and its fields.

        Args:
            path: The file.

        Returns:
            The block. Called on `Block` or on an abstract class, `type:` says which class it is; on any other class
            it may be left out.

        Raises:
            InvalidBlockFile: The file cannot be read or does not hold such a block. The message has one line per
                problem, each with file, line and field, and shows no value of a secret field.
        """
        from infrablocks.blocks.yaml_files import read_file  # noqa: PLC0415 - PyYAML costs import time

        return read_file(path, cls)

    def to_yaml(self, path: str | os.PathLike[str]) -> None:
        """Write the block to a YAML file: `type:`, and the fields that differ from their defaults.

        Secrets are masked as `********`, which `from_yaml` refuses. The file is replaced in one step.

        Args:
            path: The file.

        Raises:
            InvalidBlockFile: The file cannot be written, or the block has something that a file cannot hold, such as
                fields that its class does not have.
        """
        from infrablocks.blocks.yaml_files import write_file  # noqa: PLC0415 - PyYAML costs import time

        write_file(self, path)


_CLASS_ATTRIBUTES = tuple(name for name in Block.__class_vars__ if name.startswith("_"))


def is_interface(block_class: type[Block]) -> bool:
    """Say whether nobody can make a block of just this class: `Block` itself and abstract classes."""
    return block_class is Block or isabstract(block_class) or ABC in block_class.__bases__


def _with_memory_of(block: Block, copied: T) -> T:
    saved_as = getattr(block, "_saved_as", None)
    if saved_as is not None:
        object.__setattr__(copied, "_saved_as", saved_as)
    return copied


def _origin(block_class: type[Block]) -> type[Block]:
    """Give the class itself, for `Generic[int]` the class `Generic`."""
    origin: type[Block] | None = block_class.__pydantic_generic_metadata__["origin"]  # type: ignore[assignment]
    return origin or block_class


def _own_attribute(block_class: type[Block], name: str) -> str | None:
    """Look an attribute up in a class and its mixins, but not in other blocks: two blocks never share a slug."""
    own = _origin(block_class)
    for base in own.__mro__:
        if base is not own and issubclass(base, Block):
            break
        if name in vars(base):
            value: str | None = vars(base)[name]
            return value
    return None


def _restore_class_attributes(block_class: type[Block]) -> None:
    """Make class attributes of what pydantic took for private ones: `_block_type_name: str = "…"` in a subclass."""
    for name in _CLASS_ATTRIBUTES:
        private = block_class.__private_attributes__.pop(name, None)
        if private is not None:
            setattr(block_class, name, private.get_default())


def _call_block_initialization_last(block_class: type[Block]) -> None:
    """Let a `model_post_init` that the class has of its own, or that pydantic made, end in `block_initialization`."""
    owner = next(base for base in block_class.__mro__ if "model_post_init" in vars(base))
    if owner is not block_class and issubclass(owner, Block):
        return
    original = block_class.model_post_init

    @functools.wraps(original)
    def model_post_init(self: Block, context: Any, /) -> None:
        original(self, context)
        # Reached through `super()` from a subclass's method, it leaves the call to that one.
        if type(self).model_post_init is model_post_init:
            self.block_initialization()

    block_class.model_post_init = model_post_init  # type: ignore[method-assign]
