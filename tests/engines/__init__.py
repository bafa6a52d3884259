"""The real engines that integration tests talk to: install or build, start, look at and stop them.

On the command line: ``python -m tests.engines prepare|up|down|status [NAME ...]``, from the root of the checkout.
In a test: ``require("docker20")`` returns the engine, or skips with the command that brings it up.

One module for each engine, such as ``docker20`` and ``prefect_server``; ``catalogue`` lists them all.
"""

from tests.engines.availability import require
from tests.engines.catalogue import CONTAINER_ENGINES, ENGINES
from tests.engines.engine import ContainerEngine, Engine, Status
from tests.engines.errors import EngineError

__all__ = ["CONTAINER_ENGINES", "ENGINES", "ContainerEngine", "Engine", "EngineError", "Status", "require"]
