"""What exit codes say to a person, the same on every back end."""

from __future__ import annotations

import signal

_HINTS = {
    126: "the command was found but is not executable",
    127: "the command was not found",
}
_SIGNAL_HINTS = {
    signal.SIGKILL: "it was killed, perhaps because memory ran out",
    signal.SIGTERM: "it was terminated from outside",
    signal.SIGINT: "it was interrupted",
}


def signal_of(status_code: int) -> signal.Signals | None:
    """Give the signal that an exit code stands for.

    A process that a signal ended has the signal's number negated (`subprocess`); a shell or a container tells it as 128
    plus the number (https://tldp.org/LDP/abs/html/exitcodes.html).
    """
    number = -status_code if status_code < 0 else status_code - 128
    try:
        return signal.Signals(number)
    except ValueError:
        return None


def hint(status_code: int) -> str:
    """Say what a well-known exit code means, as half a sentence; empty for all others."""
    signal_ = signal_of(status_code)
    if signal_ is None:
        return _HINTS.get(status_code, "")
    meaning = _SIGNAL_HINTS.get(signal_)
    return f"{signal_.name}: {meaning}" if meaning else signal_.name
