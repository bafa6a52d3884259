"""`infrablocks schema`: what a block of a type is made of."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from infrablocks import get_block_class
from infrablocks.blocks import list_block_types
from infrablocks.cli.command import command


@command()
def schema(
    block_type: Annotated[
        str | None, typer.Argument(metavar="TYPE", help="A block type, for example process.", show_default=False)
    ] = None,
) -> None:
    """Print the JSON schema of a block type, or list the types."""
    if block_type is None:
        typer.echo("\n".join(list_block_types()))
    else:
        typer.echo(json.dumps(get_block_class(block_type).model_json_schema(), indent=2))
