"""The arguments that say what to run, and the block that is made of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from pydantic import ValidationError

from infrablocks import Block, Infrastructure, Process
from infrablocks.cli.errors import WrongArguments, validation_message
from infrablocks.cli.overrides import environment_of, given_fields, set_fields

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

BlockT = TypeVar("BlockT", bound=Block)

_SAVED = re.compile(r"[a-z0-9-]+/[a-z0-9-]+")


@dataclass(frozen=True, kw_only=True)
class BlockArguments:
    """What was said about the block to run.

    Attributes:
        file: A YAML file or a saved block (`slug/name`), or None for a block of the arguments alone: a container, a
            Kubernetes Job, or a process.
        command: What to run; empty for the block's or the image's own.
        docker: The image of a container.
        kubernetes: The image of a Kubernetes Job.
        job: A file with the manifest of a Kubernetes Job.
        patch: A file with a JSON Patch for a Kubernetes Job, applied after the block's own customizations.
        env: `--env` as given.
        assignments: `--set` as given; the other options win over it.
        options: Fields that have an option of their own; None where it was not given.
    """

    file: str | None = None
    command: Sequence[str] = ()
    docker: str | None = None
    kubernetes: str | None = None
    job: str | None = None
    patch: str | None = None
    env: Sequence[str] = ()
    assignments: Sequence[str] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def block(self, base: type[BlockT]) -> BlockT:
        """Make the block.

        Args:
            base: What it must be of: `Infrastructure` where it is to be run, `Block` for any.

        Raises:
            InvalidBlockFile: The file does not hold such a block.
            BlockError: There is no such saved block, or it cannot be loaded.
            InvalidManifest: The file with a manifest or a patch does not hold one.
            WrongArguments: An option is for another kind of block, `--set` names a field that does not exist, or a
                value does not fit its field.
        """
        block_class, values = self._beginning(base)
        if (self.env or self.command) and not issubclass(block_class, Infrastructure):
            raise WrongArguments(f"a {block_class.get_block_type_slug()} has neither a command nor variables")
        set_fields(values, block_class, self.assignments)
        if self.env:
            values["env"] = {**(values.get("env") or {}), **environment_of(self.env)}
        if self.command:
            values["command"] = list(self.command)
        for name, value in self.options.items():
            if value is not None:
                self._check_field(name, block_class)
                values[name] = value
        self._add_files(values, block_class)
        try:
            block: Any = block_class.model_validate(values)
        except ValidationError as error:
            raise WrongArguments(validation_message(error, values)) from error
        made: BlockT = block
        return made

    def _beginning(self, base: type[BlockT]) -> tuple[type[Block], dict[str, Any]]:
        """Give the class, and the values of its fields before anything is changed."""
        if self.file is not None:
            original = base.load(self.file) if _names_saved_block(self.file) else base.from_yaml(self.file)
            return type(original), given_fields(original)
        if self.docker is not None:
            from infrablocks import DockerContainer  # noqa: PLC0415 (its import takes long)

            return DockerContainer, {"image": self.docker, "command": []}
        if self.kubernetes is not None or self.job is not None:
            from infrablocks import KubernetesJob  # noqa: PLC0415 (its import takes long)

            image = {} if self.kubernetes is None else {"image": self.kubernetes}
            return KubernetesJob, {**image, "command": []}
        return Process, {}

    def _add_files(self, values: dict[str, Any], block_class: type[Block]) -> None:
        if self.job is None and self.patch is None:
            return
        from infrablocks import KubernetesJob  # noqa: PLC0415 (its import takes long)

        if self.job is not None:
            values["job"] = KubernetesJob.job_from_file(self.job)
        if self.patch is not None:
            self._check_field("customizations", block_class, "--patch")
            before = block_class.model_validate(values).model_dump()["customizations"]
            values["customizations"] = [*before, *KubernetesJob.customize_from_file(self.patch)]

    @staticmethod
    def _check_field(name: str, block_class: type[Block], option: str | None = None) -> None:
        if name not in block_class.model_fields:
            option = option or f"--{name.replace('_', '-')}"
            raise WrongArguments(f"{option} is not for a {block_class.get_block_type_slug()}: give it a Kubernetes Job")


def file_and_command(
    first: str | None, others: Sequence[str] | None, after_dashes: int, place: Collection[str] = ()
) -> tuple[str | None, list[str]]:
    """Tell the block from the command.

    The parser drops the `--` between them and hands out all that is left in one row.

    Args:
        first: The first argument that is no option.
        others: Those behind it.
        after_dashes: How many of all these stood behind `--`.
        place: The options, without dashes, that say where it runs; they take the place of a block, and an image or a
            manifest may have a command of its own.

    Raises:
        BadParameter: There is nothing to run, or more than a block before `--`, or what to run is said twice.
    """
    words = ([] if first is None else [first]) + list(others or ())
    before = len(words) - after_dashes
    if before < 0:
        raise typer.BadParameter("write it before `--`", param_hint="NAME")
    files, command = words[:before], words[before:]
    if len(files) > 1 or (files and not _looks_like_file(files[0])):
        raise typer.BadParameter(f"write `--` before the command: -- {' '.join(words)}", param_hint="COMMAND")
    for option in place:
        if files:
            raise typer.BadParameter("a block says itself what it runs in: leave either out", param_hint=f"--{option}")
        if "docker" in place and option != "docker":
            raise typer.BadParameter("a container is no Kubernetes Job: leave --docker out", param_hint=f"--{option}")
    if not words and not place:
        raise typer.BadParameter("give a YAML file, a saved block, or `--` and a command", param_hint="COMMAND")
    return (files[0] if files else None), command


def _names_saved_block(word: str) -> bool:
    """Say whether this is `slug/name`; a file of that name, where there is one, is meant rather."""
    return _SAVED.fullmatch(word) is not None and not Path(word).is_file()


def _looks_like_file(word: str) -> bool:
    return Path(word).exists() or Path(word).suffix in {".yaml", ".yml"} or "/" in word
