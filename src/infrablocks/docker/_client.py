"""One client per engine and process, shared by all runs: made by the first, its connections closed by the last."""

from __future__ import annotations

import os
import re
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from infrablocks._call_count import CallCount
from infrablocks.docker._engine_address import EngineAddress, engine_address
from infrablocks.docker._errors import EngineRefusal, translated
from infrablocks.docker._events import EventStream
from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from requests import Response

    from infrablocks.docker._session import Session
    from infrablocks.docker._settings import RegistryCredentials

T = TypeVar("T")

_LIST_ATTEMPTS = 3
# After so long without a run the engine is asked for its version again: it may have been updated.
_KNOWN_FOR_SECONDS = 60.0


@dataclass(frozen=True)
class EngineFacts:
    """What the engine says about itself."""

    version: str
    is_podman: bool

    @property
    def label(self) -> str:
        """Its name and version for people."""
        return f"{'Podman' if self.is_podman else 'Docker Engine'} v{self.version}"

    def has_host_gateway(self) -> bool:
        """Whether it turns `host-gateway` into an address: Docker from 20.10, Podman from 4.7 on."""
        numbers = tuple(int(number) for number in re.findall(r"\d+", self.version)[:2])
        return numbers >= ((4, 7) if self.is_podman else (20, 10))


class Engine:
    """An engine and the one client of this process for it. Every method may be called from any worker thread.

    Attributes:
        address: Where it is.
        events: What happens to the containers of our runs.
    """

    def __init__(self, address: EngineAddress) -> None:
        self.address = address
        self.users = 0
        self.unused_since = 0.0
        self.events = EventStream(self)
        self._lock = threading.Lock()
        self._connection: Future[tuple[Session, EngineFacts]] | None = None
        self._calls = CallCount(lambda: self.users > 0)

    @property
    def facts(self) -> EngineFacts:
        """What the engine said about itself when it was first connected to."""
        return self._connected()[1]

    def connect(self) -> None:
        """Make the client where there is none yet. Of calls at the same time one does it, the others wait for it.

        Raises:
            InfrastructureNotAvailable: The engine is out of reach.
        """
        with self._lock:
            future = self._connection
            if future is not None and future.done() and future.exception() is not None:
                future = None
            if first := future is None:
                future = self._connection = Future()
        if first:
            try:
                future.set_result(_connect(self.address))
            except BaseException as error:
                future.set_exception(error)
                raise
        try:
            future.result()
        except InfrastructureNotAvailable as error:  # one exception for many threads: each raises its own
            raise InfrastructureNotAvailable(str(error)) from error

    def call(self, function: Callable[[Session], T]) -> T:
        """Call the engine, and raise its errors as ours.

        Raises:
            EngineRefusal: It answered with an error.
            InfrastructureNotAvailable: It is out of reach; whether it has got the request is not known.
        """
        session, _ = self._connected()
        with self._calls.counted(session.close):
            try:
                return function(session)
            except Exception as error:
                ours = translated(error, self.address)
                if ours is error:
                    raise
                raise ours from error

    def containers(self, filters: Mapping[str, str], *, also_ended: bool = False) -> list[dict[str, Any]]:
        """List containers.

        An engine may refuse the list when one of them vanishes while it is written; it is asked again.

        Args:
            filters: Which ones, in the words of `docker ps --filter`.
            also_ended: Those that do not run, too.
        """
        attempts = _LIST_ATTEMPTS
        while True:
            attempts -= 1
            try:
                listed = self.call(lambda session: session.containers(all=also_ended, filters=dict(filters)))
                return list(listed)
            except EngineRefusal:
                if not attempts:
                    raise

    def open_stream(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        read_seconds: float,
    ) -> Response:
        """Send a request whose answer is read bit by bit. The caller closes the response.

        Raises:
            EngineRefusal: It answered with an error.
            InfrastructureNotAvailable: It is out of reach.
        """

        def send(session: Session) -> Response:
            timeout = (_connect_seconds(), read_seconds)
            response = session.request(
                method, session.url(path), params=dict(parameters), headers=headers, stream=True, timeout=timeout
            )
            if not response.ok:
                try:
                    _ = response.content  # the engine's words, before the connection is closed
                    response.raise_for_status()
                finally:
                    response.close()
            return response

        return self.call(send)

    def close(self) -> None:
        """Close the connections. The client stays, and opens new ones when it is used again."""
        future = self._connection
        if future is not None and future.done() and future.exception() is None:
            future.result()[0].close()

    def forget_connection(self) -> None:
        """Have the next `connect` make a new client."""
        self.close()
        self._connection = None

    def _connected(self) -> tuple[Session, EngineFacts]:
        if self._connection is None:
            raise RuntimeError("Engine.connect comes before any call")
        return self._connection.result()


def _connect_seconds() -> float:
    from infrablocks.docker._session import CONNECT_SECONDS  # noqa: PLC0415 - loads the SDK

    return CONNECT_SECONDS


def _connect(address: EngineAddress) -> tuple[Session, EngineFacts]:
    with _sdk_lock:
        from infrablocks.docker import _session  # noqa: PLC0415 - loads the SDK, in one thread
    try:
        session, versions = _session.connect(address)
    except InfrastructureError:
        raise
    except Exception as error:
        raise translated(error, address) from error
    components = versions.get("Components") or [{}]
    is_podman = "podman" in str(components[0].get("Name", "")).lower()
    return session, EngineFacts(str(versions.get("Version", "")), is_podman)


_sdk_lock = threading.Lock()
_engines: dict[EngineAddress, Engine] = {}
_engines_lock = threading.Lock()


def acquire_engine() -> Engine:
    """Give the engine that the environment names, connected. Every call is to be followed by `release_engine`.

    Blocks; for worker threads.

    Raises:
        InfrastructureNotAvailable: It is out of reach.
    """
    address = engine_address()
    with _engines_lock:
        engine = _engines.setdefault(address, Engine(address))
        if engine.users == 0 and time.monotonic() - engine.unused_since > _KNOWN_FOR_SECONDS:
            engine.forget_connection()
        engine.users += 1
    try:
        engine.connect()
    except BaseException:
        release_engine(engine)
        raise
    return engine


def release_engine(engine: Engine) -> None:
    """Give an engine back; the last one to do so closes its connections."""
    with _engines_lock:
        engine.users -= 1
        if engine.users == 0:
            engine.unused_since = time.monotonic()
            engine.close()


@contextmanager
def borrowed_engine() -> Iterator[Engine]:
    """Acquire the engine for one call, and release it."""
    engine = acquire_engine()
    try:
        yield engine
    finally:
        release_engine(engine)


def login(credentials: RegistryCredentials) -> dict[str, Any]:
    """Have the engine try the credentials at the registry, and give its reply. Nothing is written to disk.

    Not by the SDK's `login`: for a user that it knows, it gives what it has stored, password included, unasked.

    Raises:
        InfrastructureNotAvailable: The engine is out of reach, or the registry refuses the credentials.
    """
    sent = {
        "username": credentials.username,
        "password": credentials.password.get_secret_value(),
        "serveraddress": credentials.registry_url,
    }

    def send(session: Session) -> dict[str, Any]:
        response = session.post(session.url("/auth"), json=sent)
        response.raise_for_status()
        reply: dict[str, Any] = response.json() if response.content else {}  # 204: it has nothing to say
        return reply

    with borrowed_engine() as engine:
        try:
            return engine.call(send)
        except InfrastructureError as error:
            raise InfrastructureNotAvailable(
                f"Could not log in to {credentials.registry_url} as {credentials.username!r}: {error}"
            ) from error


def _forget_engines() -> None:
    global _engines_lock, _sdk_lock
    _engines_lock, _sdk_lock = threading.Lock(), threading.Lock()
    _engines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_engines)
