"""`infrablocks run` and `infrablocks preview`."""

from __future__ import annotations

import inspect
from typing import Annotated

import anyio
import typer

from infrablocks import Infrastructure, InfrastructureResult, Process, UnsupportedOperation, WorkloadCreationError
from infrablocks.cli import exit_codes
from infrablocks.cli.block_options import takes_block
from infrablocks.cli.command import command
from infrablocks.cli.errors import CommandFailed
from infrablocks.cli.stopping import watch_until_stopped


@command(failure=exit_codes.NOT_RUN)
@takes_block
def run(block: Infrastructure) -> None:
    """Run a command, or the block in a YAML file or in the store.

    Without a block the command runs as a process of this machine, in a temporary folder (--set working_dir=. for this
    one); with --docker in a container, which is kept (--set auto_remove=true removes it); with --kubernetes as a Job,
    which is kept, too (--set finished_job_ttl=60 removes it). Its output goes to stdout and stderr unchanged, and its
    exit code is the one of infrablocks. Ctrl-C stops it and all that it has started; pressed again, it does so at once.
    """
    if block.on_cancel is None:
        block = block.model_copy(update={"on_cancel": "kill"})
    raise typer.Exit(_run(block))


def _run(block: Infrastructure) -> int:
    try:
        outcome = anyio.run(watch_until_stopped, block, block.run)
    except WorkloadCreationError as error:
        raise CommandFailed(exit_codes.of_failed_creation(error, block.command)) from error
    return exit_codes.of_result(outcome) if isinstance(outcome, InfrastructureResult) else outcome


@command(failure=exit_codes.NOT_RUN)
@takes_block
def preview(
    block: Infrastructure,
    *,
    as_command: Annotated[
        bool, typer.Option("--as-command", help="Show a command for a shell, for a container `docker run`.")
    ] = False,
    server: Annotated[
        bool, typer.Option("--server", help="Have the cluster check a Kubernetes Job and fill in its defaults.")
    ] = False,
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="Show secrets in place of ********.")] = False,
) -> None:
    """Show what `run` would run, without running it. No engine is needed.

    A process is shown as a command for a shell, a container as the JSON that its engine would get, a Kubernetes Job as
    its manifest.
    """
    # The preview of a process is a command anyway.
    as_command = as_command and not isinstance(block, Process)
    typer.echo(_preview(block, show_secrets=show_secrets, as_command=as_command, server=server).removesuffix("\n"))


def _preview(block: Infrastructure, **options: bool) -> str:
    wanted = {name: True for name, value in options.items() if value}
    known = inspect.signature(block.preview).parameters
    for name in wanted:
        if name not in known:
            raise UnsupportedOperation(
                f"A preview of {block.get_block_type_slug()} does not have --{name.replace('_', '-')}."
            )
    return block.preview(**wanted)
