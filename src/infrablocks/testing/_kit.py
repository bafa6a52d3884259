"""What a test class of a back end supplies, and what the checks have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import pytest

from infrablocks.base import Infrastructure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infrablocks.testing._capability import Capability

MakeBlock: TypeAlias = Callable[..., Infrastructure]
"""Makes a block with the given fields."""

RunningWorkloads: TypeAlias = Callable[[], Collection[str]]
"""Gives the identifiers of the workloads that run now."""


class Kit:
    """The hooks of the conformance kit; `make_block` is the only one that has to be overridden.

    Attributes:
        lacks: What the back end does not have; the checks of that are skipped.
        unknown_identifier: An identifier that no workload has.
        time_limit_seconds: A `timeout_seconds` that is long enough for a workload to start.
        grace_seconds: A grace period that the back end can keep to.
        seconds_per_check: How long one check may take.
        slack_seconds: How much later than asked for things may happen.
        longest_stall_seconds: How much longer than a bare ticker in another process the event loop may be kept from its
            other tasks.
    """

    lacks: ClassVar[Collection[Capability]] = ()
    unknown_identifier: ClassVar[str] = "no-such-workload"
    time_limit_seconds: ClassVar[float] = 1.0
    grace_seconds: ClassVar[float] = 0.5
    seconds_per_check: ClassVar[float] = 60.0
    slack_seconds: ClassVar[float] = 5.0
    longest_stall_seconds: ClassVar[float] = 0.1

    @pytest.fixture
    def make_block(self) -> MakeBlock:
        """Give what makes a block with the fields it is called with, such as `command` and `env`."""
        return pytest.fail(
            f"{type(self).__name__} needs a fixture `make_block` that returns what makes a block, such as its class",
            pytrace=False,
        )

    @pytest.fixture
    def running_workloads(self) -> RunningWorkloads | None:
        """Give what asks the engine, not the back end, which workloads of this test run; None: nothing can.

        It is called in a worker thread.
        """
        return None

    @pytest.fixture(params=["asyncio", "trio"] if find_spec("trio") else ["asyncio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        """Run each asynchronous check on both event loops, if trio is installed."""
        return str(request.param)

    def shell_command(self, script: str, *arguments: str) -> list[str]:
        """Give the command that runs a script of a POSIX shell where the workload is.

        Args:
            script: Uses `sleep`, `printf` and `cat` besides the shell itself.
            arguments: Its `$1`, `$2` and so on.
        """
        return ["sh", "-c", script, "sh", *arguments]

    def has(self, capability: Capability) -> bool:
        """Say whether the back end has a capability."""
        return capability not in self.lacks

    def skip_without(self, needs: Iterable[Capability]) -> None:
        """Skip the check that runs if the back end lacks what it is about."""
        lacking = [capability for capability in needs if not self.has(capability)]
        if lacking:
            pytest.skip(f"{type(self).__name__} lacks: {', '.join(capability.value for capability in lacking)}")

    def block(self, make_block: MakeBlock, script: str, *arguments: str, **fields: Any) -> Infrastructure:
        """Make a block that runs a shell script."""
        return make_block(command=self.shell_command(script, *arguments), **fields)
