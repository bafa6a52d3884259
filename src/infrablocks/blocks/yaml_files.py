"""Blocks as YAML: files and text, read and written."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from infrablocks.blocks.plain_data import masked_fields
from infrablocks.blocks.yaml_nodes import NodeError, compose
from infrablocks.blocks.yaml_reading import BlockReader, Problem
from infrablocks.exceptions import InvalidBlockFile

if TYPE_CHECKING:
    from infrablocks.blocks.block import Block
    from infrablocks.exceptions import InvalidManifest

BlockT = TypeVar("BlockT", bound="Block")

_LARGEST_FILE = 1024 * 1024


def read_file(path: str | os.PathLike[str], block_class: type[BlockT]) -> BlockT:
    """Read a block from a file; see `Block.from_yaml`.

    Args:
        path: The file.
        block_class: The class that the block must be of; `Block` for any.

    Raises:
        InvalidBlockFile: The file cannot be read or does not hold such a block.
    """
    name = os.fspath(path)
    text = text_in_file(name, InvalidBlockFile, too_large="which no block is")
    return read_text(text, block_class, source=name)


def text_in_file(name: str, refusal: type[InvalidBlockFile | InvalidManifest], *, too_large: str) -> str:
    """Read a file that people have written, of 1 MiB at most.

    Args:
        name: The file.
        refusal: What is raised when it cannot be read.
        too_large: What is said of a file that is larger.

    Raises:
        InvalidBlockFile: Or what was given: there is no such file, or it is not UTF-8 text.
    """
    try:
        with open(name, "rb") as file:  # noqa: PTH123 - a path is shown as it was given
            content = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise refusal(f"{name}: cannot be read: {reason or error}") from error
    if len(content) > _LARGEST_FILE:
        raise refusal(f"{name}: is larger than {_LARGEST_FILE} bytes, {too_large}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise refusal(f"{name}:{line}: is not UTF-8 text") from None


def read_text(text: str, block_class: type[BlockT], *, source: str = "<text>") -> BlockT:
    """Read a block from YAML text; see `Block.from_yaml`.

    Args:
        text: The text.
        block_class: The class that the block must be of; `Block` for any.
        source: What the messages call the text, usually the name of its file.

    Raises:
        InvalidBlockFile: The text does not hold such a block.
    """
    reader = BlockReader()
    block: Any = None
    try:
        node = compose(text)
    except NodeError as error:
        reader.problems.append(Problem(error.line, "", error.problem))
    else:
        if node is None:
            reader.problems.append(Problem(1, "", "is empty; a block is a mapping of fields, such as `type: process`"))
        else:
            block = reader.read(node, block_class)
    if reader.problems:
        raise InvalidBlockFile("\n".join(_line(source, problem) for problem in sorted(reader.problems)))
    result: BlockT = block
    return result


def write_text(block: Block) -> str:
    """Write a block as YAML text; see `Block.to_yaml`.

    Args:
        block: The block.

    Raises:
        InvalidBlockFile: The block has something that YAML cannot hold.
    """
    slug = block.get_block_type_slug()
    if block.model_extra:
        names = ", ".join(sorted(block.model_extra))
        raise InvalidBlockFile(f'the block cannot be written: "{slug}" has no such fields: {names}')
    try:
        return plain_yaml({"type": slug, **masked_fields(block)})
    except UnicodeEncodeError:
        raise InvalidBlockFile("the block cannot be written: a text in it has half of a surrogate pair") from None
    except ValueError as error:  # pydantic's, for what is no plain data, and for a list that contains itself
        raise InvalidBlockFile(f"the block cannot be written: {error}") from error


def plain_yaml(data: object) -> str:
    """Write plain data as YAML text for people: in its own order, without aliases, text of several lines as such.

    Args:
        data: Mappings, lists, text, numbers.
    """
    text: str = yaml.dump(
        data, Dumper=_Dumper, default_flow_style=False, sort_keys=False, allow_unicode=True, width=2**31 - 1
    )
    return text


def write_file(block: Block, path: str | os.PathLike[str]) -> None:
    """Write a block to a file, which is replaced in one step; see `Block.to_yaml`.

    Args:
        block: The block.
        path: The file.

    Raises:
        InvalidBlockFile: The file cannot be written, or the block has something that YAML cannot hold.
    """
    name = os.fspath(path)
    try:
        _replace(Path(name), write_text(block).encode())
    except OSError as error:
        raise InvalidBlockFile(f"{name}: cannot be written: {error.strerror}") from error


def _replace(path: Path, content: bytes) -> None:
    try:
        mode: int | None = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        # A folder is an error; a pipe or a terminal takes the text as it comes.
        path.write_bytes(content)
        return
    path = path.resolve()  # the file that a link leads to is replaced, not the link
    new = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with new.open("xb") as file:
            file.write(content)
        if mode is not None:
            new.chmod(stat.S_IMODE(mode))
        new.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        raise


def _line(source: str, problem: Problem) -> str:
    field = f" {problem.field}:" if problem.field else ""
    return f"{source}:{problem.line}:{field} {problem.text}"


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _represent_text(dumper: Any, text: str) -> yaml.Node:
    text.encode()  # PyYAML writes half of a surrogate pair, or not, depending on how it was built
    node: yaml.Node = dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)
    return node


_Dumper.add_representer(str, _represent_text)
