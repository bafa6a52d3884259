"""Back ends whose preview, run or result is wrong in one point each."""

# mypy: disable-error-code="override"
# They have whatever arguments the base has, and pass them on.

from __future__ import annotations

import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from infrablocks import (
    Process,
    Reason,
    WorkloadCreationError,
)
from infrablocks.process._watch import StartedProcess
from tests.conformance.broken_workloads import Fields, WithFields, WithWorkload, breaks, ending

if TYPE_CHECKING:
    from infrablocks import Workload

# Previews


@breaks("test_preview_needs_no_engine", "('127.0.0.1', 9)")
class AsksAnEngine(Process):
    def preview(self, **_options: Any) -> str:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", 9)).close()
        return super().preview()


@breaks("test_preview_is_the_same_each_time", "What `preview` says the second time")
class PreviewsAtRandom(Process):
    def preview(self, **_options: Any) -> str:
        return f"{super().preview()} # {uuid.uuid4()}"


@breaks("test_preview_shows_what_is_run", "kit-script, kit-argument, KIT_NAME, kit-value")
class PreviewsNothing(Process):
    def preview(self, **_options: Any) -> str:
        return "a process"


@breaks("test_secrets_are_masked", "preview() shows the secret")
class PreviewsSecrets(Process):
    def preview(self, **_options: Any) -> str:
        return super().preview(show_secrets=True)


# Runs


@breaks("test_run_from_a_script", "and no result")
class OnlyInALoop(Process):
    def run(self, *arguments: Any, **named: Any) -> Any:
        async def run() -> Any:
            return await super(OnlyInALoop, self).run(*arguments, **named)

        return run()


@breaks("test_run_in_a_loop_and_in_its_worker_threads", "In the event loop `run` has returned ProcessResult")
class OnlyInAScript(Process):
    def run(self, *arguments: Any, **named: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(super().run, *arguments, **named).result()


@breaks("test_started_gets_the_identifier", "['1']")
class ReportsAnotherIdentifier(WithWorkload):
    class _started(StartedProcess):  # noqa: N801
        reported_identifier = 1


@breaks("test_started_comes_while_the_workload_runs", "`started` is not called although the workload runs")
class ReportsAtTheEnd(Process):
    async def run(self, task_status: Any = None, **named: Any) -> Any:
        result = await super().run(**named)
        if task_status is not None:
            task_status.started(int(result.identifier))
        return result


@breaks("test_many_runs_of_one_block", "The block after its runs")
class CountsItsRuns(Process):
    def _create(self, settings: Any) -> Workload:
        self.labels["runs"] = str(int(self.labels.get("runs", "0")) + 1)
        return super()._create(settings)


@breaks("test_variables", "'<two  blanks")
class TrimsVariables(WithFields):
    def _changed(self) -> Fields:
        return {"env": {name: value.strip() if isinstance(value, str) else value for name, value in self.env.items()}}


@breaks("test_prefect_settings", "'setting own setting")
class KeepsVariables(WithFields):
    def _changed(self) -> Fields:
        return {"env": {name: value for name, value in self.env.items() if value is not None}}


@breaks("test_arguments", "'<two>")
class SplitsArguments(WithFields):
    def _changed(self) -> Fields:
        return {"command": [*self.command[:3], *" ".join(self.command[3:]).split()]}


@breaks("test_nothing_on_stdin", "'typed")
class TypesForTheWorkload(WithFields):
    def _changed(self) -> Fields:
        return {"command": ["sh", "-c", 'echo typed | "$@"', "sh", *self.command]}


@breaks("test_names_and_labels", "is no name")
class WantsPlainNames(Process):
    def _create(self, settings: Any) -> Workload:
        if self.name is not None and not self.name.isalnum():
            raise WorkloadCreationError(f"{self.name!r} is no name")
        return super()._create(settings)


@breaks("test_secrets_are_not_told", "The log holds the secret")
class LogsVariables(Process):
    def _create(self, settings: Any) -> Workload:
        self.logger.debug("starting with %s", settings.environment({}))
        return super()._create(settings)


# Results


@breaks("test_status_codes", "{0: 0, 1: 1, 3: 1, 137: 1}")
class KnowsTwoCodes(WithWorkload):
    _started = ending(lambda result: {"status_code": min(result.status_code, 1)})


@breaks("test_reasons", "{0: <Reason.UNKNOWN: 'Unknown'>, 3:")
class KnowsNoReason(WithWorkload):
    _started = ending(lambda _result: {"reason": Reason.UNKNOWN})


@breaks("test_messages", "The message does not say 3: 'It has ended.'")
class SaysNoCode(WithWorkload):
    _started = ending(lambda _result: {"message": "It has ended."})


@breaks("test_times", "They are not in order")
class EndsBeforeItStarts(WithWorkload):
    _started = ending(lambda result: {"started_at": result.finished_at, "finished_at": result.started_at})


@breaks("test_results_are_data", "The identifier is empty")
class HasNoIdentifier(WithWorkload):
    _started = ending(lambda _result: {"identifier": ""})
