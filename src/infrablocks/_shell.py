"""Command lines that a POSIX shell reads back as exactly what they say."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_ASSIGNABLE_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
# Bash or dash refuses to assign these, keeps them from the command, gives it another value or acts on them itself.
_NAMES_OF_THE_SHELL = frozenset(
    "_ BASHOPTS BASH_ARGC BASH_ARGV BASH_LINENO BASH_SOURCE BASH_VERSINFO EUID EXECIGNORE FUNCNAME "  # noqa: SIM905
    "GROUPS OPTIND PPID SHELLOPTS SHLVL UID".split()
)
# As the first word these do not run the program of their name: reserved words of dash and bash, and builtins that no
# program equals.
_SHELL_WORDS = frozenset(
    "! . : [ [[ alias bg bind break builtin caller case cd chdir command compgen complete compopt "  # noqa: SIM905
    "continue coproc declare dirs disown do done elif else enable esac eval exec exit export fc fg fi for "
    "function getopts hash help history if in jobs let local logout mapfile popd printf pushd pwd read "
    "readarray readonly return select set shift shopt source suspend test then time times trap type typeset "
    "ulimit umask unalias unset until wait while { }".split()
)
# Builtins that do what the program does, but for options and backslashes.
_SIMILAR_BUILTINS = frozenset({"echo", "false", "kill", "true"})


def command_line(set_variables: Mapping[str, str], removed_variables: Iterable[str], command: Sequence[str]) -> str:
    """Write a command with its variables, one a line, so that pasting it into a shell runs exactly this.

    Args:
        set_variables: Variables with their values.
        removed_variables: Names of variables that the command does not inherit.
        command: The program and its arguments; not empty.
    """
    assigned = {name: value for name, value in set_variables.items() if _can_be_assigned(name)}
    through_env = [_env_setting(name, value) for name, value in set_variables.items() if name not in assigned]
    # PATH last: each `env` is itself looked up on it.
    through_env += [f"env -u {shlex.quote(name)}" for name in sorted(removed_variables, key="PATH".__eq__)]
    if not through_env and _means_something_else(command):
        through_env = ["env"]
    if through_env and "PATH" in assigned:
        through_env.append(_env_setting("PATH", assigned.pop("PATH")))
    if through_env and (command[0].startswith("-") or "=" in command[0]):
        through_env.append("nice -n 0 --")  # `env` would take the program for an option or a variable
    assignments = [f"{name}={shlex.quote(value) if value else ''}" for name, value in assigned.items()]
    words = " ".join([_quote(command[0]), *map(shlex.quote, command[1:])])
    return " \\\n".join([*assignments, *through_env, words])


def _can_be_assigned(name: str) -> bool:
    return _ASSIGNABLE_NAME.fullmatch(name) is not None and name not in _NAMES_OF_THE_SHELL


def _env_setting(name: str, value: str) -> str:
    return f"env {'-- ' if name.startswith('-') else ''}{_quote(f'{name}={value}')}"


def _quote(word: str) -> str:
    # shlex leaves `A=B` as it is, which as the first word would be an assignment.
    return shlex.quote(word) if "=" not in word else "'" + word.replace("'", "'\"'\"'") + "'"


def _means_something_else(command: Sequence[str]) -> bool:
    """Say whether a shell would not run the program of this name."""
    program, *arguments = command
    if program in _SIMILAR_BUILTINS:
        return any(argument.startswith("-") or "\\" in argument for argument in arguments)
    return program in _SHELL_WORDS
