"""A back end of infrablocks on top of another one: a command without a network, which outlives its agent."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from infrablocks import Infrastructure, InvalidSettings, OutputPosition, Process, Workload
from infrablocks.base import LeftWorkload


class Offline(Infrastructure):
    """Run a command of this machine without a network."""

    _default_on_cancel: ClassVar[Literal["kill", "leave"]] = "leave"

    type: Literal["offline"] = "offline"

    def _process(self) -> Process:
        if not self.command:
            raise InvalidSettings("Offline cannot be run with an empty command: give `command` at least a program.")
        command = ["unshare", "--map-root-user", "--net", *self.command]
        return Process(command=command, env=self.env, name=self.name or self.command[0], detached=True)

    def preview(self) -> str:
        """Show the command; secrets are masked."""
        return self._process().preview()

    def _build(self) -> Any:
        return self._process()._build()

    def _create(self, settings: Any) -> Workload:
        return self._process()._create(settings)

    def _find(self, identifier: str) -> Workload:
        return Process()._find(identifier)

    def _reattach(self, identifier: str, after: OutputPosition | None) -> Workload:
        return Process()._reattach(identifier, after)

    def _find_left(self, *, other_hosts: bool) -> Sequence[LeftWorkload]:
        return Process()._find_left(other_hosts=other_hosts)
