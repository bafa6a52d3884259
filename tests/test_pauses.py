"""How attempts are spaced."""

from __future__ import annotations

from infrablocks._pauses import Pauses


def test_pauses() -> None:
    """Each pause may be twice as long as the one before, up to a limit, and is at least half as long as it may be."""
    limits = [0.1, 0.2, 0.4, 0.8, 1.6, 3.0, 3.0, 3.0]
    for _ in range(50):
        pauses = Pauses()
        given = [pauses.next() for _ in limits]
        assert [pause for pause, limit in zip(given, limits, strict=True) if not limit / 2 <= pause <= limit] == []


def test_pauses_are_random() -> None:
    """Of many agents that begin at once, each comes back at another time, after every attempt."""
    agents = [Pauses(1.0, 4.0) for _ in range(50)]
    for limit in (1.0, 2.0, 4.0, 4.0):
        given = [pauses.next() for pauses in agents]
        assert len(set(given)) > 45
        assert max(given) - min(given) > limit / 8
