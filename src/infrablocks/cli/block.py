"""`infrablocks block`: saved blocks."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from infrablocks import Block, InvalidBlockFile
from infrablocks.blocks import get_block_class, list_block_types
from infrablocks.blocks.stores import BlockKey, current_store
from infrablocks.blocks.stores.names import key_of
from infrablocks.cli.block_options import takes_any_block
from infrablocks.cli.command import command

SavedBlock = Annotated[
    str, typer.Argument(metavar="TYPE/NAME", help="A saved block, for example docker-container/etl.")
]
SavedBlocks = Annotated[
    list[str], typer.Argument(metavar="TYPE/NAME…", help="Saved blocks, for example docker-container/etl.")
]
SaveAs = Annotated[
    str, typer.Argument(metavar="NAME", help="What to save it as: lower case letters, digits and dashes.")
]
BlockType = Annotated[
    str | None,
    typer.Argument(metavar="TYPE", help="Only blocks of this type, for example process.", show_default=False),
]


@command()
def ls(block_type: BlockType = None) -> None:
    """List the saved blocks, one TYPE/NAME a line."""
    keys = current_store().keys(block_type)
    if not keys and block_type is not None and block_type not in list_block_types():
        get_block_class(block_type)  # says what is wrong with it
    for key in keys:
        typer.echo(str(key))


@command()
def show(block: SavedBlock) -> None:
    """Print a saved block as YAML.

    Secrets are masked; a saved block inside of it is shown as its TYPE/NAME. Its type need not be known here.
    """
    key = key_of(Block, block)
    document = current_store().load(key, with_secrets=False)
    from infrablocks.blocks.yaml_files import plain_yaml  # noqa: PLC0415 (PyYAML takes long)

    fields: Any = _shown(document.data, (), document.references)
    try:
        typer.echo(plain_yaml({"type": key.type_slug, **fields}), nl=False)
    except UnicodeEncodeError as error:
        raise InvalidBlockFile(f"{key} cannot be shown: a text in it has half of a surrogate pair") from error


@command()
@takes_any_block
def save(
    block: Block,
    *,
    save_as: SaveAs,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Take the place of a block that is saved under this name.")
    ] = False,
) -> None:
    """Save a block under a name.

    The block is one in a YAML file, another saved one, or one of these options alone, as for `run`. Prints the
    TYPE/NAME under which `run`, `preview` and other programs find it.
    """
    block.save(save_as, overwrite=overwrite)
    typer.echo(str(BlockKey(block.get_block_type_slug(), save_as)))


@command()
def rm(blocks: SavedBlocks) -> None:
    """Remove saved blocks. Ends with the first that is not there."""
    for block in blocks:
        Block.delete(block)


def _shown(value: Any, path: tuple[str | int, ...], references: Any) -> Any:
    """Give plain data as it would stand in a YAML file."""
    if path in references:
        return str(references[path])
    if isinstance(value, dict):
        return {
            "type" if key == "block_type_slug" else key: _shown(inner, (*path, key), references)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_shown(inner, (*path, number), references) for number, inner in enumerate(value)]
    return value
