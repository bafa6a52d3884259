"""One stream of events per engine tells all waiting runs when their containers have ended."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from infrablocks._news import News
from infrablocks._pauses import GIVE_UP_SECONDS, Pauses
from infrablocks.docker._errors import EngineRefusal
from infrablocks.docker._streams import close_stream, json_lines, shut_down, stream_socket
from infrablocks.exceptions import InfrastructureNotAvailable

if TYPE_CHECKING:
    from requests import Response

    from infrablocks.docker._client import Engine
    from infrablocks.exceptions import InfrastructureError

logger = logging.getLogger("infrablocks.docker-container")

RUN_LABEL = "io.infrablocks.run-id"
"""The label of every container that a run makes; its value is the run's own."""

HOST_LABEL = "io.infrablocks.agent-host"
"""The label that says where something can be known of the agents that watch a container."""

# Docker: die and destroy; Podman: died and remove, of which its service for Docker makes die in some versions.
_ENDS = ("die", "died", "destroy", "remove")

# Whatever the stream keeps from us (a message that the engine dropped, a connection that is half open), the list of
# running containers tells after this time: soon after the first connection, then whenever nothing has come for long.
_FIRST_CHECK_SECONDS = 3.0
_CHECK_SECONDS = 20.0

_POLL_SECONDS = 1.0


class Subscription:
    """What one run hears of its container. `bind`, `wait` and `close` are for the run.

    Attributes:
        exit_code: The one that the engine told when the container ended; None: it has told none.
        error: Set when the engine cannot be reached any more.
    """

    def __init__(self, events: EventStream) -> None:
        self._events = events
        self._losses = events.losses
        self._news = News()
        self.container_id: str | None = None
        self.exit_code: int | None = None
        self.error: InfrastructureError | None = None

    @property
    def engine_was_lost(self) -> bool:
        """Whether the connection to the engine was cut meanwhile, and with it perhaps others of the same run."""
        return self._events.losses != self._losses

    def bind(self, container_id: str) -> None:
        """Say which container it is; to be called before the container starts."""
        self._events.bind(self, container_id)

    def notify(self, exit_code: int | None = None) -> None:
        """Have the run look at its container."""
        if exit_code is not None:
            self.exit_code = exit_code
        self._news.notify()

    async def wait(self) -> None:
        """Wait until there is something to look at; what came before this call counts."""
        await self._news.wait()

    def close(self) -> None:
        """Hear no more. Safe to call twice."""
        self._events.unsubscribe(self)


class EventStream:
    """The events of one engine, read by one thread as long as anybody is subscribed.

    Attributes:
        losses: How often the connection was cut so far.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.losses = 0
        self._lock = threading.Lock()
        self._subscriptions: set[Subscription] = set()
        self._by_container: dict[str, set[Subscription]] = {}
        self._reader: _Reader | None = None

    def subscribe(self) -> Subscription:
        """Begin to listen. The reading starts at once, so that it is under way when the container is there."""
        subscription = Subscription(self)
        with self._lock:
            self._subscriptions.add(subscription)
            if self._reader is None:
                self._reader = _Reader(self._engine, self)
                self._reader.start()
        return subscription

    def wait_until_connected(self) -> None:
        """Wait until the events of a container that is started now will be heard, or the list will tell them."""
        with self._lock:
            reader = self._reader
        if reader is not None:
            reader.connected.wait(_FIRST_CHECK_SECONDS)

    def bind(self, subscription: Subscription, container_id: str) -> None:
        """Called by `Subscription.bind`."""
        with self._lock:
            subscription.container_id = container_id
            self._by_container.setdefault(container_id, set()).add(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Called by `Subscription.close`; the last one ends the thread."""
        with self._lock:
            self._subscriptions.discard(subscription)
            if (container_id := subscription.container_id) is not None and container_id in self._by_container:
                self._by_container[container_id].discard(subscription)
                if not self._by_container[container_id]:
                    del self._by_container[container_id]
            reader = None
            if not self._subscriptions:
                reader, self._reader = self._reader, None
        if reader is not None:
            reader.stop()

    def take(self, event: dict[str, Any]) -> None:
        """Pass an event on to the runs that watch the container it is about."""
        action = event.get("Action") or event.get("status")
        if action not in _ENDS:
            return
        actor = event.get("Actor") or {}
        with self._lock:
            subscriptions = list(self._by_container.get(str(actor.get("ID") or event.get("id")), ()))
        for subscription in subscriptions:
            subscription.notify(_exit_code(actor.get("Attributes") or {}) if action in {"die", "died"} else None)

    def waiting(self) -> list[tuple[str, Subscription]]:
        """Give the containers that runs wait for."""
        with self._lock:
            return [(name, each) for name, several in self._by_container.items() for each in several]

    def fail(self, error: InfrastructureError) -> None:
        """Tell all runs that their engine is lost."""
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.error = error
            subscription.notify()


class _Reader(threading.Thread):
    """Reads the events until it is stopped, whatever becomes of the connection. A daemon: nobody's end waits for it."""

    def __init__(self, engine: Engine, events: EventStream) -> None:
        super().__init__(name="infrablocks-docker-events", daemon=True)
        self._engine = engine
        self._events = events
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._response: Response | None = None
        self._since: str | None = None
        self._next_check = 0.0
        self._lost_since: float | None = None
        self.connected = threading.Event()

    def stop(self) -> None:
        """Let it end; does not wait for it."""
        self._stopped.set()
        with self._lock:
            if self._response is not None:
                shut_down(stream_socket(self._response))

    def run(self) -> None:
        pauses = Pauses()
        while not self._stopped.is_set():
            try:
                if self._read():
                    pauses = Pauses()
                    continue
            except InfrastructureNotAvailable as error:
                self._note_loss(error)
            except EngineRefusal as error:
                # An engine without events (Podman's logger may be "none"): the list of containers has to do.
                logger.debug("The events of the Docker engine cannot be read: %s", error)
                self.connected.set()
                self._poll()
            except Exception:  # the thread goes on whatever the engine says
                logger.debug("The events of the Docker engine are not understood", exc_info=True)
            finally:
                self.connected.set()
            self._stopped.wait(pauses.next())

    def _read(self) -> bool:
        """Read one connection to its end. True: it lasted, so that the next one may follow at once."""
        first = not self.connected.is_set()
        seconds = _FIRST_CHECK_SECONDS if first else _CHECK_SECONDS
        response = self._open(seconds)
        started = time.monotonic()
        self._next_check = started + seconds
        try:
            if not self._keep(response):
                return True
            self._lost_since = None
            self.connected.set()
            if not first:
                self._check()
            for event in json_lines(response):
                self._take(event)
            self._note_cut()
        except OSError as error:  # of requests as well: nothing came for long, or the connection was cut
            if not _is_silence(error):
                self._note_cut()
            logger.debug("The stream of Docker's events is opened again: %s", error)
        finally:
            self._drop(response)
        return time.monotonic() - started >= _FIRST_CHECK_SECONDS

    def _open(self, read_seconds: float) -> Response:
        filters = {"type": ["container"], "event": list(_ENDS)}
        if not self._engine.facts.is_podman:  # whose events have no labels before version 4.4
            filters["label"] = [RUN_LABEL]
        parameters = {"filters": json.dumps(filters)}
        if self._since is not None:
            parameters["since"] = self._since
        return self._engine.open_stream("GET", "/events", parameters, read_seconds=read_seconds)

    def _keep(self, response: Response) -> bool:
        with self._lock:
            self._response = response
            return not self._stopped.is_set()

    def _drop(self, response: Response) -> None:
        with self._lock:
            self._response = None
        close_stream(response)

    def _take(self, event: dict[str, Any]) -> None:
        nanoseconds = event.get("timeNano")
        if isinstance(nanoseconds, int):  # the engine's own clock, which may differ from ours
            self._since = f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09}"
        self._events.take(event)
        if time.monotonic() >= self._next_check:
            self._next_check = time.monotonic() + _CHECK_SECONDS
            self._check()

    def _note_cut(self) -> None:
        if not self._stopped.is_set():  # then it was cut here
            self._events.losses += 1

    def _check(self) -> None:
        """Compare what runs wait for with what runs in the engine."""
        waiting = self._events.waiting()
        if not waiting:
            return
        running = {container["Id"] for container in self._engine.containers({"label": RUN_LABEL})}
        for container_id, subscription in waiting:
            if container_id not in running:
                subscription.notify()

    def _poll(self) -> None:
        """Compare for some time, in place of listening."""
        deadline = time.monotonic() + _CHECK_SECONDS
        while time.monotonic() < deadline and not self._stopped.wait(_POLL_SECONDS):
            try:
                self._check()
            except InfrastructureNotAvailable as error:
                self._note_loss(error)
            except Exception:  # the thread goes on whatever the engine says
                logger.debug("The containers of the Docker engine cannot be listed", exc_info=True)
            else:
                self._lost_since = None

    def _note_loss(self, error: InfrastructureNotAvailable) -> None:
        now = time.monotonic()
        self._lost_since = self._lost_since or now
        if now - self._lost_since >= GIVE_UP_SECONDS:
            self._events.fail(error)


def _is_silence(error: OSError) -> bool:
    """Tell whether nothing came for long, which does not mean that the connection was cut."""
    from urllib3.exceptions import ReadTimeoutError  # noqa: PLC0415 - the SDK has loaded it

    return any(isinstance(cause, ReadTimeoutError) for cause in error.args)


def _exit_code(attributes: dict[str, Any]) -> int | None:
    try:
        return int(attributes.get("exitCode") or attributes["containerExitCode"])
    except (KeyError, ValueError):
        return None
