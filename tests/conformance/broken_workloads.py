"""Ways to make a `Process` that is wrong in one point, for the tests of the conformance kit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from infrablocks import Process
from infrablocks.process._watch import FoundProcess, StartedProcess

if TYPE_CHECKING:
    from infrablocks import Infrastructure, InfrastructureResult, Output, ProcessResult, Workload

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Broken:
    """A block class that is wrong, and what is said when that is found."""

    block_class: type[Infrastructure]
    found: str


BROKEN: dict[str, Broken] = {}
"""By the name of the check that has to find it."""


def breaks(check: str, found: str) -> Callable[[type[Infrastructure]], type[Infrastructure]]:
    """Note which check has to find what is wrong with a block class, and a part of what that says."""

    def noted(block_class: type[Infrastructure]) -> type[Infrastructure]:
        BROKEN[check] = Broken(block_class, found)
        return block_class

    return noted


class WithWorkload(Process):
    """A process whose workload is of the class `_started` or, found again, of the class `_found`."""

    _started: ClassVar[type[StartedProcess]] = StartedProcess
    _found: ClassVar[type[FoundProcess]] = FoundProcess

    def _create(self, settings: Any) -> Workload:
        return self._started(settings, self.name)

    def _find(self, identifier: str) -> Workload:
        return self._found(identifier)


class WithFields(Process):
    """A process that runs with other fields than it was given."""

    def _build(self) -> Any:
        return Process._build(self.model_copy(update=self._changed()))

    def _changed(self) -> Fields:
        raise NotImplementedError


def ending(change: Callable[[InfrastructureResult], Fields]) -> type[StartedProcess]:
    """Give a workload whose result is changed."""

    class Ending(StartedProcess):
        async def watch(self, output: Output) -> ProcessResult:
            result = await super().watch(output)
            return result.model_copy(update=dict(change(result)))

    return Ending


def printing(change: Callable[[str, bytes], tuple[str, bytes]]) -> type[StartedProcess]:
    """Give a workload whose output is changed, chunk by chunk."""

    class Printing(StartedProcess):
        async def watch(self, output: Output) -> ProcessResult:
            changed: Any = _ChangedOutput(output, change)
            return await super().watch(changed)

    return Printing


class _ChangedOutput:
    def __init__(self, output: Output, change: Callable[[str, bytes], tuple[str, bytes]]) -> None:
        self._output = output
        self._change = change

    async def write(self, stream: str, data: bytes) -> None:
        name, changed = self._change(stream, data)
        await self._output.write(name, changed)  # type: ignore[arg-type] # a name of a stream

    async def finish(self) -> None:
        await self._output.finish()
