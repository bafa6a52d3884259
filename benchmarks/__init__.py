"""Figures of this library beside those of `prefect==2.20.25`, measured in one run: `python -m benchmarks`."""
