"""The agent of `examples/` is as short as the documentation says."""

from __future__ import annotations

from pathlib import Path

AGENT = Path(__file__).parents[2] / "examples" / "agent.py"


def test_the_agent_has_200_lines() -> None:
    """It has no more than that."""
    assert len(AGENT.read_text().splitlines()) <= 200
