"""The commands and their order; what `infrablocks --help` shows."""

from __future__ import annotations

import importlib.metadata
from typing import Annotated

import typer

from infrablocks.cli import block
from infrablocks.cli.command import Invocation
from infrablocks.cli.doctor import doctor
from infrablocks.cli.reap import reap
from infrablocks.cli.run import preview, run
from infrablocks.cli.schema import schema
from infrablocks.cli.workloads import attach, kill, logs, status

PROGRAM = "infrablocks"


def run_app(arguments: list[str]) -> int:
    """Parse the arguments and run the command they name.

    Args:
        arguments: What stands behind the program's name.

    Returns:
        The exit code.
    """
    try:
        app(args=arguments, prog_name=PROGRAM, obj=Invocation(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        version = importlib.metadata.version("infrablocks")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        version = "(not installed)"
    typer.echo(f"infrablocks {version}")
    raise typer.Exit


def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Run a command somewhere, watch it to the end and say how it went."""


def _examples(*lines: str) -> str:
    # The first character keeps the lines as they are.
    return "\n".join(["\b", "Examples:", *(f"  {PROGRAM} {line}" for line in lines)])


app = typer.Typer(
    callback=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.callback(
    epilog=_examples(
        "run -- echo hello",
        "run --docker busybox:1.36 -- date",
        "run --kubernetes busybox:1.36 -- date",
        "run job.yaml --env STAGE=test",
        "doctor",
        "run --help",
    ),
)(_main)
app.command(
    "run",
    epilog=_examples(
        "run -- echo hello",
        "run --env STAGE=test --timeout-seconds 60 -- make all",
        "run --set working_dir=. --set stream_output=false -- ./build",
        "run --docker busybox:1.36 --set mem_limit=64m -- echo hello",
        "run --kubernetes busybox:1.36 --namespace batch -- echo hello",
        "run --job manifest.yaml --patch patch.yaml",
        "run job.yaml",
        "run docker-container/etl",
        "run job.yaml --env STAGE=test -- python other.py",
    ),
)(run)
app.command(
    "preview",
    epilog=_examples(
        "preview --env A=1 -- echo hello",
        "preview job.yaml --show-secrets",
        "preview --docker busybox:1.36 --as-command -- echo hello",
    ),
)(preview)
app.command(
    "status",
    epilog=_examples(
        "status 4711",
        "status worker-3:4711",
        "status etl-1 --type docker-container --watch",
        "status etl-x7k2p --type kubernetes-job --namespace batch",
    ),
)(status)
app.command(
    "attach",
    epilog=_examples("attach 4711", "attach etl-1 --type docker-container", "attach batch/etl-x7k2p -t kubernetes-job"),
)(attach)
app.command(
    "logs", epilog=_examples("logs etl-1 --type docker-container", "logs -f batch/etl-x7k2p -t kubernetes-job")
)(logs)
app.command("kill", epilog=_examples("kill 4711", "kill 4711 --grace-seconds 5", "kill etl-1 --type docker-container"))(
    kill
)
app.command(
    "reap",
    epilog=_examples(
        "reap --dry-run",
        "reap --kill --grace-seconds 5",
        "reap --type docker-container",
        "reap --type kubernetes-job --namespace batch --kill",
    ),
)(reap)
blocks = typer.Typer(
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Save blocks under a name, list, show and remove them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
blocks.command("ls", epilog=_examples("block ls", "block ls docker-container"))(block.ls)
blocks.command("show", epilog=_examples("block show docker-container/etl"))(block.show)
blocks.command(
    "save",
    epilog=_examples(
        "block save hello -- echo hello",
        "block save etl job.yaml --env STAGE=test",
        "block save etl --docker busybox:1.36 --overwrite -- date",
        "block save etl-large docker-container/etl --set mem_limit=4g",
    ),
)(block.save)
blocks.command("rm", epilog=_examples("block rm docker-container/etl process/hello"))(block.rm)
app.add_typer(blocks, name="block", epilog=_examples("block ls", "block save hello -- echo hello", "block save --help"))
app.command("schema", epilog=_examples("schema", "schema process"))(schema)
app.command("doctor", epilog=_examples("doctor"))(doctor)
