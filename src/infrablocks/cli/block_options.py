"""The options that say what to run, shared by the commands that take a block."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infrablocks import Block, Infrastructure
from infrablocks.cli.block_arguments import BlockArguments, file_and_command
from infrablocks.cli.command import set_parameters

if TYPE_CHECKING:
    from collections.abc import Callable

_File = Annotated[
    str | None,
    typer.Argument(
        metavar="BLOCK", help="A YAML file that holds a block, or a saved block: TYPE/NAME.", show_default=False
    ),
]
_Command = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="COMMAND", help="After `--`: the command to run, in place of the block's own.", show_default=False
    ),
]


def _option(*names: str, metavar: str, help: str) -> Any:  # noqa: A002 - typer's own name for it
    return typer.Option(*names, metavar=metavar, help=help, show_default=False)


_PARAMETERS: dict[str, Any] = {
    "file": _File,
    "command": _Command,
    "docker": Annotated[
        str | None,
        _option(
            "--docker",
            metavar="IMAGE",
            help="Run the command in a container of this image; without a command, the image's own.",
        ),
    ],
    "kubernetes": Annotated[
        str | None,
        _option(
            "--kubernetes",
            metavar="IMAGE",
            help="Run the command as a Kubernetes Job with this image; without a command, the image's own.",
        ),
    ],
    "namespace": Annotated[
        str | None, _option("--namespace", "-n", metavar="NAME", help="The namespace of the Kubernetes Job.")
    ],
    "job": Annotated[
        str | None,
        _option("--job", metavar="FILE", help="A manifest that the Kubernetes Job is made of, in YAML or JSON."),
    ],
    "patch": Annotated[
        str | None,
        _option("--patch", metavar="FILE", help="A JSON Patch for the Kubernetes Job, in YAML or JSON."),
    ],
    "env": Annotated[
        list[str] | None,
        _option(
            "--env",
            "-e",
            metavar="NAME[=VALUE]",
            help="Set a variable of the command; without a value, pass this shell's on.",
        ),
    ],
    "name": Annotated[str | None, _option("--name", metavar="NAME", help="A name for people.")],
    "assignments": Annotated[
        list[str] | None,
        _option(
            "--set",
            "-s",
            metavar="FIELD=VALUE",
            help="Set any field of the block; the value is YAML. `infrablocks schema TYPE` lists the fields.",
        ),
    ],
    "grace_seconds": Annotated[
        float | None,
        _option(
            "--grace-seconds",
            metavar="SECONDS",
            help="How long a command that is stopped may take to end by itself (30).",
        ),
    ],
    "timeout_seconds": Annotated[
        float | None,
        _option("--timeout-seconds", metavar="SECONDS", help="Stop the command after this time (never)."),
    ],
}


def takes_block(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say what to run, and call it with the block that they describe."""
    return _takes(function, Infrastructure)


def takes_any_block(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the same options behind its own; it is called with a block that need not run anything."""
    return _takes(function, Block)


def _takes(function: Callable[..., None], base: type[Block]) -> Callable[..., None]:
    @functools.wraps(function)
    def call(*, ctx: typer.Context, **arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in _PARAMETERS}
        function(_block_arguments(given, ctx.obj.after_dashes).block(base), **arguments)

    _, *own = inspect.signature(function, eval_str=True).parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [inspect.Parameter(name, keyword, default=None, annotation=kind) for name, kind in _PARAMETERS.items()]
    ordered = [*own, *options] if base is Block else [*options, *own]
    set_parameters(call, [inspect.Parameter("ctx", keyword, annotation=typer.Context), *ordered])
    return call


def _block_arguments(given: dict[str, Any], after_dashes: int) -> BlockArguments:
    place = {name: given[name] for name in ("docker", "kubernetes", "job") if given[name] is not None}
    file, words = file_and_command(given["file"], given["command"], after_dashes, place)
    return BlockArguments(
        file=file,
        command=words,
        docker=given["docker"],
        kubernetes=given["kubernetes"],
        job=given["job"],
        patch=given["patch"],
        env=given["env"] or (),
        assignments=given["assignments"] or (),
        options={name: given[name] for name in ("name", "grace_seconds", "timeout_seconds", "namespace")},
    )
