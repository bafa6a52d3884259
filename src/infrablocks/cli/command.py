"""What all commands have in common: three options, the log on stderr, errors in one line."""

from __future__ import annotations

import functools
import inspect
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infrablocks.cli import exit_codes
from infrablocks.cli.errors import CommandFailed, report
from infrablocks.cli.logs import logs_on_stderr
from infrablocks.cli.progress import progress_on_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Verbose = Annotated[
    int,
    typer.Option(
        "--verbose", "-v", count=True, help="Show what the library does; twice: in detail.", show_default=False
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no log lines, only why a command failed.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@dataclass(frozen=True)
class Invocation:
    """How the program was called; every command finds it in its context.

    Attributes:
        arguments: All arguments of the program.
    """

    arguments: list[str]

    @property
    def after_dashes(self) -> int:
        """How many arguments stand behind the first `--`, which the parser takes away."""
        try:
            return len(self.arguments) - self.arguments.index("--") - 1
        except ValueError:
            return 0


def command(failure: int = exit_codes.FAILED) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a command of a function: add the common options and report its errors.

    Args:
        failure: The exit code after an error.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def call(*, verbose: int, quiet: bool, debug: bool, **arguments: Any) -> None:
            if quiet and verbose:
                raise typer.BadParameter("--quiet and --verbose exclude each other")
            code = _run(functools.partial(function, **arguments), _level(verbose, quiet=quiet), failure, debug=debug)
            if code:
                raise typer.Exit(code)

        _add_options(call, function)
        return call

    return decorate


def _run(function: Callable[[], None], level: int, failure: int, *, debug: bool) -> int:
    try:
        # With -v the log tells it, with -q nobody wants to know.
        with logs_on_stderr(level, tracebacks=debug), progress_on_terminal(wanted=level == logging.WARNING):
            function()
    except (KeyboardInterrupt, typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except BrokenPipeError:
        return exit_codes.BROKEN_PIPE  # as if the signal had ended us, which Python ignores
    except CommandFailed as error:
        report(error.__cause__ or error, debug=debug)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 (whatever it is: one line, and a failure)
        report(error, debug=debug)
        return failure
    return 0


def _level(verbose: int, *, quiet: bool) -> int:
    if quiet:
        return logging.CRITICAL
    return {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)


def _add_options(call: Callable[..., None], function: Callable[..., None]) -> None:
    """Tell typer of the common options, as if the function had them."""
    own = inspect.signature(function, eval_str=True)
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, default, annotation in (("verbose", 0, Verbose), ("quiet", False, Quiet), ("debug", False, Debug))
    ]
    set_parameters(call, [*own.parameters.values(), *common])


def set_parameters(call: Callable[..., None], parameters: Sequence[inspect.Parameter]) -> None:
    """Have typer make these parameters into the options of a command."""
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
