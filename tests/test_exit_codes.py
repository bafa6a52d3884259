"""What exit codes say to a person."""

from __future__ import annotations

import signal

import pytest

from infrablocks._exit_codes import hint, signal_of


@pytest.mark.parametrize(
    ("status_code", "expected"),
    [
        (0, ""),
        (1, ""),
        (3, ""),
        (125, ""),
        (126, "the command was found but is not executable"),
        (127, "the command was not found"),
        (128, ""),
        (130, "SIGINT: it was interrupted"),
        (-2, "SIGINT: it was interrupted"),
        (137, "SIGKILL: it was killed, perhaps because memory ran out"),
        (-9, "SIGKILL: it was killed, perhaps because memory ran out"),
        (143, "SIGTERM: it was terminated from outside"),
        (-15, "SIGTERM: it was terminated from outside"),
        (139, "SIGSEGV"),
        (-11, "SIGSEGV"),
        (255, ""),
        (-255, ""),
        (2**31, ""),
    ],
)
def test_hints(status_code: int, expected: str) -> None:
    """Well-known codes have a hint, the same for a process (negated) and a container (128 more); others have none."""
    assert hint(status_code) == expected


def test_every_signal_is_known_in_both_forms() -> None:
    """A signal is found again from its negated number and from 128 plus its number."""
    for number in signal.valid_signals():
        try:
            named = signal.Signals(number)
        except ValueError:  # a real-time signal without a name
            assert signal_of(-number) is signal_of(128 + number) is None
        else:
            assert signal_of(-number) is signal_of(128 + number) is named


@pytest.mark.parametrize("status_code", range(128))
def test_codes_of_programs_are_no_signals(status_code: int) -> None:
    """Codes from 0 to 127 are a program's own."""
    assert signal_of(status_code) is None
