"""Errors as a person at a terminal wants them: one line on stderr, no traceback unless asked for, no secrets."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import typer
from pydantic import ValidationError

from infrablocks import InfrastructureError, InvalidBlockFile

if TYPE_CHECKING:
    from collections.abc import Sequence


class CommandFailed(Exception):
    """Ends a command with a certain exit code; the error that is reported is its cause.

    Attributes:
        exit_code: The exit code.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class WrongArguments(InfrastructureError):
    """Arguments that the parser accepts but that do not make sense together."""


def report(error: BaseException, *, debug: bool) -> None:
    """Say on stderr what went wrong. Where that cannot be written to, nothing more can be done.

    Args:
        error: What went wrong.
        debug: Show the traceback too.
    """
    with suppress(OSError):
        if debug:
            typer.echo("".join(traceback.format_exception(error)), err=True, nl=False)
        for line in message_lines(error):
            typer.echo(f"Error: {line}", err=True)


def message_lines(error: BaseException) -> Sequence[str]:
    """Give the message of an error: one line, but for a file, where each problem has its own."""
    match error:
        case InvalidBlockFile():
            return str(error).splitlines()
        case ValidationError():
            return [validation_message(error)]
        case InfrastructureError():
            return [_one_line(str(error))]
        case UnicodeEncodeError():
            return [f"stdout has the encoding {error.encoding}, which cannot show this; set PYTHONUTF8=1"]
        case OSError() if error.strerror:
            return [f"{error.filename}: {error.strerror}" if error.filename else error.strerror]
        case _:
            text = _one_line(f"{type(error).__name__}: {error}")
            return [f"{text} (this is a bug of infrablocks; --debug shows where it happened)"]


def validation_message(error: ValidationError, values: object = None) -> str:
    """Say in one line which fields are wrong, without their values.

    Args:
        error: What pydantic found.
        values: What it was given. Pydantic's own name of a place goes on below the value that is wrong, with the types
            that were tried; this tells where the value is.
    """
    problems = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        location = problem["loc"]
        if values is not None and problem["type"] != "missing":
            location = _existing_part(location, values)
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")
        text = problem["msg"].removeprefix("Value error, ")
        problems.append(_one_line(f"{place}: {text}" if place else text))
    return "; ".join(dict.fromkeys(problems))


def _existing_part(location: tuple[str | int, ...], values: object) -> tuple[str | int, ...]:
    for depth, part in enumerate(location):
        match values:
            case Mapping() if part in values:
                values = values[part]
            case list() if isinstance(part, int):
                values = values[part]
            case _:
                return location[: max(depth, 1)]
    return location


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))
