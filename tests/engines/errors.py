"""The one error of the engine tooling."""

from pathlib import Path

_LINES_OF_LOG = 15


class EngineError(Exception):
    """An engine could not be installed, built, started or stopped; the text says what to look at."""


def tail(log: Path) -> str:
    """Return the last lines of a log, to go into an error's text."""
    if not log.exists():
        return f"{log} was never written"
    lines = log.read_text(errors="replace").splitlines()[-_LINES_OF_LOG:]
    return "\n".join([f"the end of {log}:", *(f"    {line}" for line in lines)])
