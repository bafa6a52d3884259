"""How often a server is asked at most."""

from __future__ import annotations

import pytest

from infrablocks.kubernetes import _request_rate
from infrablocks.kubernetes._request_rate import RequestRate
from tests.kubernetes_client.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the rate."""
    clock = Clock()
    monkeypatch.setattr(_request_rate, "time", clock)
    return clock


@pytest.mark.usefixtures("clock")
def test_some_at_once() -> None:
    """Four requests go at once, each one after them a while after the one before."""
    rate = RequestRate(2.0)
    assert [rate.delay() for _ in range(7)] == [0, 0, 0, 0, 2, 4, 6]


def test_those_who_wait_keep_the_rate(clock: Clock) -> None:
    """Who waits as told sends one request in each space of time, however long that goes on."""
    rate = RequestRate(2.0)
    sent = []
    for _ in range(100):
        clock.now += rate.delay()
        sent.append(clock.now - 1000)
    assert sent[:6] == pytest.approx([0, 0, 0, 0, 2, 4])
    assert sent[-1] == pytest.approx(2 * (100 - 4))


def test_after_a_rest(clock: Clock) -> None:
    """A rest gives requests back, but never more than there were at the beginning."""
    rate = RequestRate(2.0)
    for _ in range(4):
        rate.delay()
    clock.now += 2.0
    assert [rate.delay() for _ in range(2)] == pytest.approx([0, 2])
    clock.now += 1000.0
    assert [rate.delay() for _ in range(5)] == pytest.approx([0, 0, 0, 0, 2])
