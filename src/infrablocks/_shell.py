"""Command lines that a POSIX shell reads back as exactly what they say."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_ASSIGNABLE_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
# Bash refuses to assign these.
_READ_ONLY_NAMES = {"BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"}
# As the first word these run no program: reserved words, and builtins of sh, dash and bash that are not programs too.
_SHELL_WORDS = frozenset(
    "! . : [[ alias bg bind break builtin caller case cd command compgen complete continue coproc "  # noqa: SIM905
    "declare dirs disown do done elif else enable esac eval exec exit export fc fg fi for function "
    "getopts hash help history if in jobs let local logout mapfile popd pushd read readarray "
    "readonly return select set shift shopt source suspend then time times trap type typeset ulimit "
    "umask unalias unset until wait while { }".split()
)
# Builtins that do what the program does, but for options and backslashes.
_SIMILAR_BUILTINS = frozenset({"[", "echo", "false", "kill", "printf", "pwd", "test", "true"})


def command_line(set_variables: Mapping[str, str], removed_variables: Iterable[str], command: Sequence[str]) -> str:
    """Write a command with its variables, one a line, so that pasting it into a shell runs exactly this.

    Args:
        set_variables: Variables with their values.
        removed_variables: Names of variables that the command does not inherit.
        command: The program and its arguments; not empty.
    """
    assignments, through_env = [], []
    for name, value in set_variables.items():
        if _ASSIGNABLE_NAME.fullmatch(name) and name not in _READ_ONLY_NAMES:
            assignments.append(f"{name}={shlex.quote(value) if value else ''}")
        else:
            through_env.append(f"env {'-- ' if name.startswith('-') else ''}{_quote(f'{name}={value}')}")
    through_env += [f"env -u {shlex.quote(name)}" for name in removed_variables]
    if not through_env and _means_something_else(command):
        through_env = ["env"]
    words = " ".join([_quote(command[0]), *map(shlex.quote, command[1:])])
    return " \\\n".join([*assignments, *through_env, words])


def _quote(word: str) -> str:
    # shlex leaves `A=B` as it is, which as the first word would be an assignment.
    return shlex.quote(word) if "=" not in word else "'" + word.replace("'", "'\"'\"'") + "'"


def _means_something_else(command: Sequence[str]) -> bool:
    """Say whether a shell would not run the program of this name."""
    program, *arguments = command
    if program in _SIMILAR_BUILTINS:
        return any(argument.startswith("-") or "\\" in argument for argument in arguments)
    return program in _SHELL_WORDS
