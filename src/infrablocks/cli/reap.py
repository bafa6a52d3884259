"""`infrablocks reap`: workloads that no agent watches any more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from infrablocks.cli import exit_codes
from infrablocks.cli.command import command
from infrablocks.cli.workloads import Assignments, BlockType, Namespace, block_of_type

if TYPE_CHECKING:
    from datetime import timedelta

    from infrablocks import ReapedWorkload

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


@command()
def reap(
    *,
    block_type: BlockType = "process",
    namespace: Namespace = None,
    assignments: Assignments = None,
    kill: Annotated[bool, typer.Option("--kill", help="End what still runs, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    other_hosts: Annotated[
        bool,
        typer.Option(
            "--other-hosts",
            help="Also what was made from other machines or by other users, though an agent there may watch it.",
        ),
    ] = False,
    grace_seconds: Annotated[
        float, typer.Option("--grace-seconds", min=0, metavar="SECONDS", help="How long --kill lets it end by itself.")
    ] = 30.0,
) -> None:
    """Remove workloads that runs have made and no agent watches any more.

    Theirs were killed, or left them. What has ended, or was never started, is removed; what still runs goes on unless
    --kill is given. Nothing is touched that a run of this user on this machine watches, or that was not made by
    infrablocks. Prints a line for each: its identifier, how it stands, how old it is, and what was done.
    """
    block = block_of_type(block_type, namespace, assignments or ())
    failed = False
    for one in block.reap(kill=kill, dry_run=dry_run, other_hosts=other_hosts, grace_seconds=grace_seconds):
        typer.echo(_line(one))
        failed = failed or one.action == "failed"
    if failed:
        raise typer.Exit(exit_codes.FAILED)


def _line(one: ReapedWorkload) -> str:
    age = "of unknown age" if one.age is None else f"{_in_words(one.age)} old"
    done = f"{one.action}: {one.problem}" if one.problem else one.action
    return f"{one.identifier}\t{one.status.value}, {age}\t{done}"


def _in_words(age: timedelta) -> str:
    seconds = max(0, math.floor(age.total_seconds()))
    name, size = next((unit for unit in _UNITS if seconds >= unit[1]), _UNITS[-1])
    return f"{seconds // size} {name}"
