"""Making a container: pull, create, connect, attach, start. What fails on the way leaves nothing behind."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from infrablocks import _environment
from infrablocks._pauses import Pauses
from infrablocks._threads import cancellation_requested
from infrablocks._watch_records import WatchRecord
from infrablocks.docker._calls import inspect_container, remove_container
from infrablocks.docker._client import acquire_engine, release_engine
from infrablocks.docker._create_request import send_create
from infrablocks.docker._errors import NOT_FOUND, EngineRefusal
from infrablocks.docker._events import HOST_LABEL, RUN_LABEL
from infrablocks.docker._host_gateway import is_refused_for_host_gateway, uses_host_gateway, without_host_gateway
from infrablocks.docker._logs import OutputReader, attach
from infrablocks.docker._lost_answers import LOOK_SECONDS, after_internal_error, nothing_was_sent, until_known
from infrablocks.docker._names import ATTEMPTS, NAMES, name_is_taken
from infrablocks.docker._pull import pull
from infrablocks.docker._result import not_started_result
from infrablocks.docker._watch import Container, EndedContainer
from infrablocks.docker.image_pull_policy import ImagePullPolicy
from infrablocks.exceptions import ImagePullError, InfrastructureNotAvailable, WorkloadCreationError

if TYPE_CHECKING:
    import logging

    from infrablocks._workload import Workload
    from infrablocks.docker._client import Engine
    from infrablocks.docker._events import Subscription
    from infrablocks.docker._result import ContainerState
    from infrablocks.docker._settings import ContainerSettings

_COMMAND_MISSING = re.compile(
    r"executable file not found|no such file or directory|command that was not found", re.IGNORECASE
)
_NOT_EXECUTABLE = re.compile(r"permission denied", re.IGNORECASE)
# runc and crun name the command after `exec:`; other messages may be about a volume or a working directory.
_ABOUT_COMMAND = re.compile(r"exec: |executable file", re.IGNORECASE)


def create_container(settings: ContainerSettings, logger: logging.Logger) -> Workload:
    """Make a container and start it. Blocks; for a worker thread.

    Args:
        settings: What it is made with.
        logger: Gets what is told about it.

    Raises:
        ImagePullError: Its image could not be had.
        WorkloadCreationError: It could not be made or started; nothing is left behind.
        InfrastructureNotAvailable: The engine is out of reach.
    """
    engine = acquire_engine()
    try:
        return _Creation(engine, settings, logger).run()
    except EngineRefusal as error:
        release_engine(engine)
        raise WorkloadCreationError(f"Docker container could not be made. {error}") from error
    except BaseException:
        release_engine(engine)
        raise


class _Creation:
    """The making of one container."""

    def __init__(self, engine: Engine, settings: ContainerSettings, logger: logging.Logger) -> None:
        self._engine = engine
        self._settings = settings
        self._logger = logger
        self._run_id = uuid.uuid4().hex
        self._watch_record = WatchRecord(self._run_id)
        self._name = ""
        self._arguments: dict[str, Any] = {}

    def run(self) -> Workload:
        try:
            if self._settings.image_pull_policy is ImagePullPolicy.ALWAYS:
                self._pull()
            self._arguments = self._complete_arguments()
            workload = self._make()
        except BaseException:
            self._watch_record.remove()
            raise
        workload.watch_record = self._watch_record
        return workload

    def _make(self) -> Workload:
        """Make the container, and again without the name of the machine if the engine refuses it for that."""
        try:
            return self._subscribe_and_make()
        except EngineRefusal as error:
            if not is_refused_for_host_gateway(self._arguments, error):
                raise
            self._arguments = without_host_gateway(self._arguments, self._engine.facts, error, self._logger)
        return self._subscribe_and_make()

    def _subscribe_and_make(self) -> Workload:
        subscription = self._engine.events.subscribe()
        try:
            container_id = self._create()
            subscription.bind(container_id)
            return self._connect_and_start(container_id, subscription)
        except BaseException:
            subscription.close()
            raise

    def _pull(self) -> None:
        platform = self._settings.create.get("platform")
        pull(self._engine, self._settings.image, self._settings.credentials, platform=platform, logger=self._logger)

    def _create(self) -> str:
        """Make the container, and pull its image first where the engine says that it does not have it."""
        try:
            return self._create_with_free_name(self._arguments)
        except EngineRefusal as error:
            if not self._is_missing_image(error):
                raise
            if self._settings.image_pull_policy is not ImagePullPolicy.IF_NOT_PRESENT:
                raise ImagePullError(
                    f"Image {str(self._settings.image)!r} is not on the Docker engine at {self._engine.address}, and "
                    f"image_pull_policy {self._settings.image_pull_policy.value} pulls none. Pull it, or choose "
                    "another policy."
                ) from error
        self._pull()
        return self._create_with_free_name(self._arguments)

    def _is_missing_image(self, error: EngineRefusal) -> bool:
        if error.status != NOT_FOUND or error.image_missing:
            return error.image_missing
        return "image not known" in error.answer or "no such image" in error.answer.lower()

    def _create_with_free_name(self, arguments: dict[str, Any]) -> str:
        wished = self._settings.create.get("name")
        if not wished:
            return self._send(arguments)
        attempt = 0
        while True:
            with NAMES.reserved(self._engine, wished, attempt) as self._name:
                try:
                    return self._send({**arguments, "name": self._name})
                except EngineRefusal as error:
                    attempt += 1
                    if not name_is_taken(error) or attempt >= ATTEMPTS:
                        raise

    def _send(self, arguments: dict[str, Any]) -> str:
        self._check_cancelled()
        try:
            return self._engine.call(lambda session: send_create(session, arguments))
        except InfrastructureNotAvailable as error:
            if nothing_was_sent(error):
                raise
            # The answer is lost, the container perhaps not.
            return self._found(until_known(self._find_by_label, error))
        except EngineRefusal as error:
            # A proxy may say so when the engine has long made it.
            found = None if name_is_taken(error) else after_internal_error(self._find_by_label, error)
            if found is None:
                raise
            return self._found(found)

    def _found(self, container_id: str) -> str:
        self._logger.info("The answer of the engine was lost, container %s was found by its label.", container_id)
        return container_id

    def _find_by_label(self) -> str | None:
        containers = self._engine.containers({"label": f"{RUN_LABEL}={self._run_id}"}, also_ended=True)
        return str(containers[0]["Id"]) if containers else None

    def _complete_arguments(self) -> dict[str, Any]:
        arguments = dict(self._settings.create)
        arguments["labels"] = {
            **(arguments.get("labels") or {}),
            RUN_LABEL: self._run_id,
            HOST_LABEL: self._watch_record.agent_host or "",
        }
        arguments["environment"] = self._variables()
        if uses_host_gateway(arguments) and not self._engine.facts.has_host_gateway():
            return without_host_gateway(arguments, self._engine.facts, None, self._logger)
        return arguments

    def _variables(self) -> dict[str, str | None]:
        variables: dict[str, str | None] = {**_environment.revealed(self._settings.environment)}
        if not self._engine.facts.is_podman:  # which would give them the values that its own service has
            variables |= dict.fromkeys(self._settings.removed_variables)
        return variables

    def _connect_and_start(self, container_id: str, subscription: Subscription) -> Workload:
        reader: OutputReader | None = None
        try:
            for network in self._settings.networks:
                self._connect(container_id, network)
            if self._settings.stream_output:
                reader = self._attach(container_id)
            self._engine.events.wait_until_connected()
            self._check_cancelled()
            self._start(container_id)
            self._check_cancelled()
        except BaseException as error:
            if reader is not None:
                reader.close()
            remove_container(self._engine, container_id, self._logger)
            if isinstance(error, EngineRefusal) and not is_refused_for_host_gateway(self._arguments, error):
                return self._not_started(container_id, subscription, error)
            raise
        return Container(
            self._engine, container_id, self._name, subscription, reader, auto_remove=self._settings.auto_remove
        )

    def _attach(self, container_id: str) -> OutputReader:
        tty = bool(self._settings.create.get("tty"))
        return OutputReader(self._engine, container_id, tty=tty, attached=attach(self._engine, container_id))

    def _connect(self, container_id: str, network: str) -> None:
        self._check_cancelled()
        try:
            self._engine.call(lambda session: session.connect_container_to_network(container_id, network))
        except EngineRefusal as error:
            raise WorkloadCreationError(
                f"Docker container could not be connected to the network {network!r}: {error.answer}. "
                "`docker network ls` lists those there are."
            ) from error

    def _start(self, container_id: str) -> None:
        """Start a container. Never twice: a command that has run and ended would run again."""

        def inspected() -> ContainerState | None:
            return inspect_container(self._engine, container_id)

        pauses, deadline = Pauses(), time.monotonic() + LOOK_SECONDS
        while True:
            try:
                return self._engine.call(lambda session: session.start(container_id))
            except InfrastructureNotAvailable as error:
                state = until_known(inspected, error)
                if state.started_at is not None or cancellation_requested():
                    return None
                if time.monotonic() > deadline:
                    raise
                time.sleep(pauses.next())
            except EngineRefusal as error:
                after_all = after_internal_error(inspected, error)
                if after_all is None or after_all.started_at is None:
                    raise
                return None

    def _not_started(self, container_id: str, subscription: Subscription, error: EngineRefusal) -> Workload:
        """Make the result of a container, removed by now, whose command cannot run. Anything else is an error."""
        code = _code_of_command(error.answer)
        if code is None:
            raise WorkloadCreationError(f"Docker container could not be started: {error.answer}") from error
        subscription.close()
        return EndedContainer(self._engine, not_started_result(container_id, self._name, code, error.answer))

    def _check_cancelled(self) -> None:
        if cancellation_requested():
            raise WorkloadCreationError("The run was cancelled before its container was started.")


def _code_of_command(answer: str) -> int | None:
    """Give what a shell would say about a command that cannot run; Docker has it in its state, Podman in words only."""
    if not _ABOUT_COMMAND.search(answer):
        return None
    if _COMMAND_MISSING.search(answer):
        return 127
    return 126 if _NOT_EXECUTABLE.search(answer) else None
