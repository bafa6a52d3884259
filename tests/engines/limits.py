"""How long the tooling waits for engines."""

PATIENCE = 240.0
"""Seconds after which a program that does not start, end or answer is broken, also on a machine that is very busy."""
