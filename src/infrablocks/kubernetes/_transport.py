"""Requests over the SDK's pool of connections, by which a thread that waits for an answer can be told to stop.

Imported only when a cluster is needed, because this imports the SDK.
"""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import suppress
from functools import cache
from queue import LifoQueue
from typing import TYPE_CHECKING, Any, TypeVar

import urllib3.exceptions
from kubernetes.client.rest import RESTClientObject
from urllib3 import HTTPHeaderDict
from urllib3.util import Timeout

from infrablocks.exceptions import InfrastructureNotAvailable
from infrablocks.kubernetes._errors import unreachable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from kubernetes.client import Configuration
    from urllib3 import PoolManager

    Headers = Sequence[tuple[str, str]]

T = TypeVar("T")

CONNECT_SECONDS = 10.0

# A peer that is gone without a word is noticed after about a minute, also where nothing is sent for long.
_KEEP_ALIVE = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), seconds)
        for name, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]

TRANSPORT_ERRORS = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)
"""What a connection may raise."""


def pool_manager(configuration: Configuration, context: ssl.SSLContext | None, headers: Headers = ()) -> PoolManager:
    """Make a pool of connections as the SDK does, with its proxies.

    Args:
        configuration: The SDK's configuration, without certificates.
        context: What TLS connections are made with.
        headers: What is sent with every request; a name may be there several times.

    Raises:
        InfrastructureNotAvailable: There is no such proxy.
    """
    configuration.connection_pool_maxsize = 1  # see `_watched`
    configuration.socket_options = _KEEP_ALIVE
    manager: Any = proxy_checked(lambda: RESTClientObject(configuration)).pool_manager
    if context is not None:
        manager.connection_pool_kw["ssl_context"] = context
        # Without a certificate in the configuration, older SDKs add all public authorities, once per connection.
        manager.connection_pool_kw.pop("ca_certs", None)
    manager.pool_classes_by_scheme = {name: _watched(pool) for name, pool in manager.pool_classes_by_scheme.items()}
    add_headers(manager, headers)
    return manager  # type: ignore[no-any-return]


def proxy_checked(make: Callable[[], T]) -> T:
    """Have the SDK make what connects to a cluster, and raise an error of ours where it cannot use the proxy.

    Raises:
        InfrastructureNotAvailable: There is no such proxy.
    """
    try:
        return make()
    except (urllib3.exceptions.HTTPError, ValueError, ImportError) as error:
        problem = type(error).__name__
    # Not while that one is handled: it may show the proxy's password.
    raise InfrastructureNotAvailable(
        f"The proxy for the Kubernetes cluster cannot be used ({problem}). Check HTTPS_PROXY, and proxy-url in the "
        "kubeconfig."
    )


def add_headers(manager: PoolManager, headers: Headers) -> None:
    """Have headers sent with every request of a pool, of which none of these names may have others.

    Args:
        manager: The connections.
        headers: Names and values. Of a name that is there several times, each value is a line of its own.
    """
    if headers:
        classes: dict[str, Any] = manager.pool_classes_by_scheme
        manager.pool_classes_by_scheme = {name: _with_headers(pool, headers) for name, pool in classes.items()}


def _with_headers(pool_class: Any, fixed: Headers) -> Any:
    """Derive from a class of urllib3 one that adds headers: a pool of pools would join those of the same name."""

    class PoolWithHeaders(pool_class):  # type: ignore[misc]
        def urlopen(self, method: str, url: str, body: Any = None, headers: Any = None, *args: Any, **more: Any) -> Any:
            sent = HTTPHeaderDict(self.headers if headers is None else headers)
            for name, _ in fixed:
                sent.discard(name)
            for name, value in fixed:
                sent.add(name, value)
            return super().urlopen(method, url, body, sent, *args, **more)

    return PoolWithHeaders


def send(
    manager: PoolManager,
    method: str,
    url: str,
    *,
    address: str,
    headers: Mapping[str, str],
    body: bytes | None,
    read_seconds: float | None,
    on_connection: Callable[[Any], None] | None = None,
) -> urllib3.BaseHTTPResponse:
    """Send a request and give the answer; with `on_connection`, once its headers are there.

    Args:
        manager: The connections.
        method: Of HTTP.
        url: The whole of it.
        address: The cluster's, for messages.
        headers: All of them.
        body: What to send.
        read_seconds: How long nothing may come; None: any time.
        on_connection: Gets the connection before the answer is waited for. No other request uses it afterwards, unless
            its `is_used_up` is set to False.

    Raises:
        ClusterUnreachable: No answer came.
    """
    attempt = _Attempt(on_connection)
    _thread.attempt = attempt
    try:
        while True:
            with suppress(urllib3.exceptions.ClosedPoolError):  # by `close_idle`, before anything was sent
                return manager.urlopen(
                    method,
                    url,
                    body=body,
                    headers=dict(headers),
                    timeout=Timeout(connect=CONNECT_SECONDS, read=read_seconds),
                    retries=False,
                    redirect=False,
                    preload_content=on_connection is None,
                )
    except TRANSPORT_ERRORS as error:
        raise unreachable(address, error, sent=not attempt.connecting) from error
    finally:
        _thread.attempt = None


def close_idle(manager: PoolManager) -> None:
    """Close the connections that no request uses just now.

    The pool's own `clear` leaves them open as long as an answer is being read that came from the same pool.
    """
    pools: Any = [manager.pools.get(key) for key in manager.pools.keys()]  # noqa: SIM118 - it cannot be iterated over
    manager.clear()
    for pool in filter(None, pools):
        pool.close()


class _Attempt:
    """What happens to the one request that a thread sends.

    Attributes:
        connecting: Whether its connection was being made when something happened: the server has not got it.
        on_connection: See `send`.
    """

    def __init__(self, on_connection: Callable[[Any], None] | None) -> None:
        self.connecting = False
        self.on_connection = on_connection


class _Thread(threading.local):
    attempt: _Attempt | None = None


_thread = _Thread()


@cache
def _watched(pool_class: Any) -> Any:
    """Derive from a class of urllib3 one whose connections tell the thread's attempt what they do."""

    class WatchedConnection(pool_class.ConnectionCls):  # type: ignore[misc]
        is_used_up = False

        def connect(self) -> None:
            attempt = _thread.attempt
            if attempt is not None:
                attempt.connecting = True
            super().connect()
            if attempt is not None:
                attempt.connecting = False

        def getresponse(self, *args: Any, **kwargs: Any) -> Any:
            attempt = _thread.attempt
            if attempt is not None and attempt.on_connection is not None:
                self.is_used_up = True
                attempt.on_connection(self)
            return super().getresponse(*args, **kwargs)

    class WatchedPool(pool_class):  # type: ignore[misc]
        ConnectionCls = WatchedConnection

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            # It keeps any number of connections, where otherwise it would warn of some that it cannot keep; `Cluster`
            # closes idle ones. A pool that has a limit is filled with a place for each, which takes longer than a call.
            self.pool: LifoQueue[Any] = LifoQueue()

        def _put_conn(self, conn: Any) -> None:
            # Whoever has its socket may shut that down at any time, and would hit another request.
            if conn is not None and conn.is_used_up:
                conn.close()
                conn = None
            super()._put_conn(conn)

    return WatchedPool
