"""`infrablocks status` and `infrablocks kill`: workloads that some run has made."""

from __future__ import annotations

from typing import Annotated

import typer

from infrablocks import Infrastructure, UnsupportedOperation, get_block_class
from infrablocks.cli.command import command

Identifier = Annotated[str, typer.Argument(metavar="IDENTIFIER", help="Of a process: its pid, or host:pid.")]
BlockType = Annotated[str, typer.Option("--type", "-t", metavar="TYPE", help="What kind of workload it is.")]


@command()
def status(identifier: Identifier, block_type: BlockType = "process") -> None:
    """Say where a workload stands.

    Prints one word: Pending, Running, Succeeded, Failed or Unknown. It is an error when no run on this machine has such
    a workload (any more).
    """
    typer.echo(_block_of(block_type).status(identifier).value)


@command()
def kill(
    identifier: Identifier,
    block_type: BlockType = "process",
    grace_seconds: Annotated[
        float, typer.Option("--grace-seconds", min=0, metavar="SECONDS", help="How long it may take to end by itself.")
    ] = 30.0,
) -> None:
    """End a workload and all that it has started.

    It gets SIGTERM, and after the grace period SIGKILL. Returns when it is gone. Ctrl-C ends the grace period.
    """
    _block_of(block_type).kill(identifier, grace_seconds)


def _block_of(block_type: str) -> Infrastructure:
    """Make a block of a type, to call what belongs to its workloads and not to its fields."""
    block_class = get_block_class(block_type)
    if not issubclass(block_class, Infrastructure):
        raise UnsupportedOperation(f"A block of the type {block_type!r} does not run anything.")
    return block_class.model_validate({})
