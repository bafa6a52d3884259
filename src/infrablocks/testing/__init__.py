"""The conformance kit: tests that tell the author of a back end which parts of the contract it breaks.

It needs pytest, and anyio's plugin for it, which comes with anyio. Nothing else of infrablocks imports this package.
"""

try:
    import pytest  # noqa: F401 (what is needed is told before a module of this package fails)
except ImportError as error:
    raise ImportError("infrablocks.testing needs pytest: install it with `pip install pytest`") from error

from infrablocks.testing._capability import Capability
from infrablocks.testing._conformance import InfrastructureConformance
from infrablocks.testing._kit import MakeBlock, RunningWorkloads

__all__ = ["Capability", "InfrastructureConformance", "MakeBlock", "RunningWorkloads"]
