"""What a process is started with. Pure: every outside fact is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infrablocks import _environment
from infrablocks._shell import command_line
from infrablocks.exceptions import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import SecretStr

    from infrablocks.process.block import Process


@dataclass(frozen=True)
class ProcessSettings:
    """What `preview` shows and `run` starts.

    Attributes:
        command: The program and its arguments.
        variables: Set on top of the inherited ones.
        removed_variables: Not inherited.
        working_dir: None for a temporary folder.
        stream_output: Whether anybody reads what it prints.
        output_limit: How many bytes of its output are kept where it is detached.
    """

    command: tuple[str, ...]
    variables: Mapping[str, str | SecretStr]
    removed_variables: tuple[str, ...]
    working_dir: Path | None
    stream_output: bool
    output_limit: int

    def environment(self, inherited: Mapping[str, str]) -> Mapping[str, str]:
        """Give the whole environment of the process, with its secrets; `inherited` itself where nothing changes it."""
        if not self.variables and not self.removed_variables:
            return inherited
        kept = {name: value for name, value in inherited.items() if name not in self.removed_variables}
        return {**kept, **_environment.revealed(self.variables)}

    def as_command(self, *, show_secrets: bool) -> str:
        """Write the settings as a command line for a shell."""
        variables = _environment.revealed(self.variables) if show_secrets else _environment.masked(self.variables)
        return command_line(variables, self.removed_variables, self.command)


def process_settings(block: Process, base_environment: Mapping[str, str]) -> ProcessSettings:
    """Build the settings of a process.

    Args:
        block: The block to run.
        base_environment: The Prefect settings in force.

    Raises:
        InvalidSettings: The command is empty, or a copy of the block was given a bad environment.
    """
    if not block.command:
        raise InvalidSettings("Process cannot be run with empty command: give `command` at least the program to run.")
    env = _environment.checked_environment(block.env)
    return ProcessSettings(
        command=tuple(block.command),
        variables=_environment.merged(base_environment, env),
        removed_variables=tuple(name for name, value in env.items() if value is None),
        working_dir=block.working_dir,
        stream_output=block.stream_output,
        output_limit=block.output_limit,
    )
