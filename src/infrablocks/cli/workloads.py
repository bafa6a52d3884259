"""`infrablocks status`, `attach`, `logs` and `kill`: workloads that some run has made."""

from __future__ import annotations

import functools
import inspect
import time
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import typer
from pydantic import ValidationError

from infrablocks import Infrastructure, UnsupportedOperation, WorkloadStatus, get_block_class
from infrablocks.cli import exit_codes
from infrablocks.cli.command import command, set_parameters
from infrablocks.cli.errors import WrongArguments, validation_message
from infrablocks.cli.overrides import set_fields
from infrablocks.cli.stopping import watch_until_stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Identifier = Annotated[
    str,
    typer.Argument(
        metavar="IDENTIFIER",
        help="Of a process: its pid, or host:pid. Of a container: its id, short id or name. Of a Kubernetes Job: "
        "cluster:namespace:name:uid, namespace/name or its name.",
    ),
]
BlockType = Annotated[
    str,
    typer.Option(
        "--type",
        "-t",
        metavar="TYPE",
        help="What kind of workload it is: process, docker-container, kubernetes-job, …",
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAME", help="The namespace of a Kubernetes Job.", show_default=False),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="FIELD=VALUE",
        help="Set a field of the block, such as cluster_config.context_name; the value is YAML.",
        show_default=False,
    ),
]
_ENDED = {WorkloadStatus.SUCCEEDED, WorkloadStatus.FAILED}


def _of_workload(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which workload, and call it with a block of its kind and its identifier."""

    @functools.wraps(function)
    def call(
        *, identifier: str, block_type: str, namespace: str | None, assignments: list[str] | None, **own: Any
    ) -> None:
        function(block_of_type(block_type, namespace, assignments or ()), identifier, **own)

    _, _, *own = inspect.signature(function, eval_str=True).parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter("identifier", keyword, annotation=_Identifier),
        inspect.Parameter("block_type", keyword, default="process", annotation=BlockType),
        inspect.Parameter("namespace", keyword, default=None, annotation=Namespace),
        inspect.Parameter("assignments", keyword, default=None, annotation=Assignments),
    ]
    set_parameters(call, [*options, *own])
    return call


@command()
@_of_workload
def status(
    block: Infrastructure,
    identifier: str,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on, and print each change, until it has ended.")] = (
        False
    ),
    interval: Annotated[
        float, typer.Option("--interval", min=0.1, metavar="SECONDS", help="How often --watch looks.")
    ] = 1.0,
) -> None:
    """Say where a workload stands.

    Prints one word: Pending, Running, Succeeded, Failed or Unknown. It is an error when there is no such workload (any
    more): no process that a run on this machine has started, no container on the engine in use, no Job on the cluster.
    """
    shown = None
    while True:
        found = block.status(identifier)
        if found is not shown:
            typer.echo(found.value)
        shown = found
        if not watch or found in _ENDED:
            return
        time.sleep(interval)


@command()
@_of_workload
def kill(
    block: Infrastructure,
    identifier: str,
    *,
    grace_seconds: Annotated[
        float, typer.Option("--grace-seconds", min=0, metavar="SECONDS", help="How long it may take to end by itself.")
    ] = 30.0,
) -> None:
    """End a workload and all that it has started.

    It gets SIGTERM, and after the grace period SIGKILL. Returns when it has ended. Ctrl-C ends the grace period.
    """
    block.kill(identifier, grace_seconds)


@command(failure=exit_codes.NOT_RUN)
@_of_workload
def attach(
    block: Infrastructure,
    identifier: str,
    *,
    after: Annotated[
        str | None,
        typer.Option(
            "--after", metavar="CURSOR", help="Leave out what came before this cursor (JSON).", show_default=False
        ),
    ] = None,
) -> None:
    """Watch a workload that another run has made, to its end.

    Its output goes to stdout and stderr, from the beginning, and its exit code is the one of infrablocks. Ctrl-C ends
    the watching and leaves the workload alone (--set on_cancel=kill ends it).
    """
    attach = functools.partial(block.attach, identifier, after=after)
    outcome = anyio.run(watch_until_stopped, block, attach)
    raise typer.Exit(outcome if isinstance(outcome, int) else exit_codes.of_result(outcome))


@command()
@_of_workload
def logs(
    block: Infrastructure,
    identifier: str,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it has ended.")] = False,
) -> None:
    """Print what a workload has printed so far.

    Its stdout goes to stdout, its stderr to stderr. Ends there, also when it still runs, unless --follow is given. Of
    processes only those that are detached keep their output.
    """
    copy: Callable[..., Any] = block.attach if follow else block.logs
    outcome = anyio.run(watch_until_stopped, block, functools.partial(copy, identifier))
    if isinstance(outcome, int):
        raise typer.Exit(outcome)


def block_of_type(block_type: str, namespace: str | None, assignments: Sequence[str]) -> Infrastructure:
    """Make a block of a type, for what belongs to its workloads."""
    block_class = get_block_class(block_type)
    if not issubclass(block_class, Infrastructure):
        raise UnsupportedOperation(f"A block of the type {block_type!r} does not run anything.")
    values: dict[str, Any] = {}
    set_fields(values, block_class, assignments)
    if namespace is not None:
        if "namespace" not in block_class.model_fields:
            raise WrongArguments(f"--namespace is not for a {block_type}: give it --type kubernetes-job")
        values["namespace"] = namespace
    try:
        return block_class.model_validate(values)
    except ValidationError as error:
        raise WrongArguments(validation_message(error, values)) from error
