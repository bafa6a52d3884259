"""`infrablocks status`, `infrablocks kill` and `infrablocks logs`: workloads that some run has made."""

from __future__ import annotations

from typing import Annotated

import typer

from infrablocks import Infrastructure, Process, UnsupportedOperation, get_block_class
from infrablocks.cli.command import command

Identifier = Annotated[
    str,
    typer.Argument(
        metavar="IDENTIFIER", help="Of a process: its pid, or host:pid. Of a container: its id, short id or name."
    ),
]
BlockType = Annotated[
    str, typer.Option("--type", "-t", metavar="TYPE", help="What kind of workload it is: process, docker-container, …")
]


@command()
def status(identifier: Identifier, block_type: BlockType = "process") -> None:
    """Say where a workload stands.

    Prints one word: Pending, Running, Succeeded, Failed or Unknown. It is an error when there is no such workload (any
    more): no process that a run on this machine has started, no container on the engine in use.
    """
    typer.echo(_block_class(block_type).model_validate({}).status(identifier).value)


@command()
def kill(
    identifier: Identifier,
    block_type: BlockType = "process",
    grace_seconds: Annotated[
        float, typer.Option("--grace-seconds", min=0, metavar="SECONDS", help="How long it may take to end by itself.")
    ] = 30.0,
) -> None:
    """End a workload and all that it has started.

    It gets SIGTERM, and after the grace period SIGKILL. Returns when it has ended. Ctrl-C ends the grace period.
    """
    _block_class(block_type).model_validate({}).kill(identifier, grace_seconds)


@command()
def logs(identifier: Identifier, block_type: BlockType = "process") -> None:
    """Print what a container has printed so far.

    Its stdout goes to stdout, its stderr to stderr. Ends there, also when the container still runs. The output of a
    process is not kept.
    """
    from infrablocks import DockerContainer  # noqa: PLC0415 (the import of Docker's part takes long)
    from infrablocks.cli.kept_output import print_container_log  # noqa: PLC0415

    block_class = _block_class(block_type)
    if issubclass(block_class, DockerContainer):
        print_container_log(identifier)
    elif issubclass(block_class, Process):
        raise UnsupportedOperation(
            "The output of a process is not kept: only its own run prints it. For a container: --type docker-container."
        )
    else:
        raise UnsupportedOperation(f"The output of a {block_type} cannot be read again.")


def _block_class(block_type: str) -> type[Infrastructure]:
    """Find the class of a type, for what belongs to its workloads and not to the fields of a block."""
    block_class = get_block_class(block_type)
    if not issubclass(block_class, Infrastructure):
        raise UnsupportedOperation(f"A block of the type {block_type!r} does not run anything.")
    return block_class
