"""The `infrablocks` command (extra `cli`). Nothing else of the library imports this package."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED = 130
_BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What stands behind the program's name; None: this process's own arguments.

    Returns:
        The exit code.
    """
    try:
        code = _main(sys.argv[1:] if arguments is None else list(arguments))
        return _flush_stdout() or code
    except KeyboardInterrupt:
        # Whoever presses Ctrl-C again does not want to see how the interpreter is interrupted in its own end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return _INTERRUPTED


def _main(arguments: list[str]) -> int:
    try:
        import rich  # noqa: F401, PLC0415 (the extra may be missing)
        import typer  # noqa: F401, PLC0415
    except ImportError as error:
        hint = "The command line needs more packages: pip install 'infrablocks[cli]'"
        print(f"Error: {hint} ({error})", file=sys.stderr)  # noqa: T201
        return 1
    from infrablocks.cli.app import run_app  # noqa: PLC0415

    return run_app(arguments)


def _flush_stdout() -> int:
    """Do what the interpreter would do at its end, where an error could only be complained about.

    Returns:
        The exit code if it fails, otherwise 0.
    """
    if sys.stdout is None:
        return 0
    try:
        sys.stdout.flush()
    except OSError as error:
        _abandon_stdout()
        if isinstance(error, BrokenPipeError):
            return _BROKEN_PIPE
        print(f"Error: stdout cannot be written to: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _abandon_stdout() -> None:
    """Let what Python still holds for stdout vanish at the interpreter's end, where it would fail once more."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
