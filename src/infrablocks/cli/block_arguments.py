"""The arguments that say what to run, and the block that is made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from infrablocks import Infrastructure, Process
from infrablocks.cli.errors import WrongArguments, validation_message
from infrablocks.cli.overrides import environment_of, given_fields, set_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

File = Annotated[str | None, typer.Argument(metavar="FILE", help="A YAML file that holds a block.", show_default=False)]
Command = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="COMMAND", help="After `--`: the command to run, in place of the file's own.", show_default=False
    ),
]
Image = Annotated[
    str | None,
    typer.Option(
        "--docker",
        metavar="IMAGE",
        help="Run the command in a container of this image; without a command, the image's own.",
        show_default=False,
    ),
]
Env = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        "-e",
        metavar="NAME[=VALUE]",
        help="Set a variable of the command; without a value, pass this shell's on.",
        show_default=False,
    ),
]
Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="A name for people.", show_default=False)]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="FIELD=VALUE",
        help="Set any field of the block; the value is YAML. `infrablocks schema TYPE` lists the fields.",
        show_default=False,
    ),
]
GraceSeconds = Annotated[
    float | None,
    typer.Option(
        "--grace-seconds",
        metavar="SECONDS",
        help="How long a command that is stopped may take to end by itself (30).",
        show_default=False,
    ),
]
TimeoutSeconds = Annotated[
    float | None,
    typer.Option(
        "--timeout-seconds", metavar="SECONDS", help="Stop the command after this time (never).", show_default=False
    ),
]


@dataclass(frozen=True)
class BlockArguments:
    """What was said about the block to run.

    Attributes:
        file: A YAML file, or None for a block of the arguments alone: a container with an image, otherwise a process.
        command: What to run; empty for the file's or the image's own.
        env: `--env` as given.
        assignments: `--set` as given; the other options win over it.
        options: Fields that have an option of their own; None where it was not given.
        image: The image of the container.
    """

    file: str | None
    command: Sequence[str]
    env: Sequence[str] = ()
    assignments: Sequence[str] = ()
    options: dict[str, Any] = field(default_factory=dict)
    image: str | None = None

    def block(self) -> Infrastructure:
        """Make the block.

        Raises:
            InvalidBlockFile: The file does not hold a block that can be run.
            WrongArguments: `--set` names a field that does not exist, or a value does not fit its field.
        """
        block_class, values = self._beginning()
        set_fields(values, block_class, self.assignments)
        if self.env:
            values["env"] = {**(values.get("env") or {}), **environment_of(self.env)}
        if self.command:
            values["command"] = list(self.command)
        values.update({name: value for name, value in self.options.items() if value is not None})
        try:
            return block_class.model_validate(values)
        except ValidationError as error:
            raise WrongArguments(validation_message(error, values)) from error

    def _beginning(self) -> tuple[type[Infrastructure], dict[str, Any]]:
        """Give the class, and the values of its fields before anything is changed."""
        if self.file is not None:
            original = Infrastructure.from_yaml(self.file)
            return type(original), given_fields(original)
        if self.image is not None:
            from infrablocks import DockerContainer  # noqa: PLC0415 (its import takes long)

            return DockerContainer, {"image": self.image, "command": []}
        return Process, {}


def file_and_command(
    first: str | None, others: Sequence[str] | None, after_dashes: int, image: str | None = None
) -> tuple[str | None, list[str]]:
    """Tell the file from the command.

    The parser drops the `--` between them and hands out all that is left in one row.

    Args:
        first: The first argument that is no option.
        others: Those behind it.
        after_dashes: How many of all these stood behind `--`.
        image: The image of a container, which takes the place of a file, and may have a command of its own.

    Raises:
        BadParameter: There is nothing to run, or more than a file before `--`, or both a file and an image.
    """
    words = ([] if first is None else [first]) + list(others or ())
    before = len(words) - after_dashes
    files, command = words[:before], words[before:]
    if len(files) > 1 or (files and not _looks_like_file(files[0])):
        raise typer.BadParameter(f"write `--` before the command: -- {' '.join(words)}", param_hint="COMMAND")
    if files and image is not None:
        raise typer.BadParameter("a file says itself what it runs in: leave either out", param_hint="--docker")
    if not words and image is None:
        raise typer.BadParameter("give a YAML file, or `--` and a command", param_hint="COMMAND")
    return (files[0] if files else None), command


def _looks_like_file(word: str) -> bool:
    return Path(word).exists() or Path(word).suffix in {".yaml", ".yml"} or "/" in word
