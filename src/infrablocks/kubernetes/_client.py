"""The client of a cluster: its calls and streams, and the watches that its runs share."""

from __future__ import annotations

import json
import math
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from infrablocks import _versions
from infrablocks._call_count import CallCount
from infrablocks._credentials import without_credentials
from infrablocks._pauses import Pauses
from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable
from infrablocks.kubernetes import _cluster_id, _configuration
from infrablocks.kubernetes._access import ClusterAccess, cluster_access
from infrablocks.kubernetes._answers import body_of, json_of, lacks_right, may_be_repeated, slept
from infrablocks.kubernetes._errors import UNAUTHORIZED, ApiRefusal, ClusterUnreachable, refusal
from infrablocks.kubernetes._job_watch import JobWatch
from infrablocks.kubernetes._streams import ApiStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infrablocks.kubernetes._configuration import Connection
    from infrablocks.kubernetes.cluster import KubernetesClusterConfig

# A burst of calls opens so many connections at most, which are closed after it but for one.
_CONNECTIONS = 64
_REPEAT_SECONDS = 20.0
# An API server that has just started forbids everybody everything until it has read who may do what.
_STARTING_SECONDS = 30.0
_USER_AGENT = f"infrablocks/{_versions.INFRABLOCKS or 'unknown'}"


class Cluster:
    """A cluster, and the one client of this process for it. Every method may be called from any worker thread.

    Attributes:
        address: Where its API server is.
        default_namespace: That of the kubeconfig's context or of the pod this process is in; None: there is none.
        cluster_id: Tells it from other clusters; made of its address and its certificate authorities.
    """

    def __init__(self, access: ClusterAccess, config: KubernetesClusterConfig | None) -> None:
        self.address = access.address
        self.default_namespace = access.namespace
        self.cluster_id = _cluster_id.cluster_id(access)
        self.users = 0
        self.unused_since = 0.0
        self._access = access
        self._config = config
        self._lock = threading.Lock()
        self._connection: Future[Connection] | None = None
        self._watches: dict[str, JobWatch] = {}
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        self._calls = CallCount(lambda: self.users > 0)
        self._unreachable_at = -math.inf

    def connect(self) -> None:
        """Get the credentials ready, where they are not yet. Of calls at the same time one does it, the others wait.

        Raises:
            InfrastructureNotAvailable: There are none.
        """
        self._connected()

    def may_have_id(self, cluster_id: str) -> bool:
        """Say whether an identifier with this id may be of this cluster, whose authorities may have changed since."""
        return cluster_id == self.cluster_id or _cluster_id.may_have_id(self._access, cluster_id)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        read_seconds: float = 60.0,
        repeat: bool = True,
    ) -> dict[str, Any]:
        """Send one request and give its answer.

        It is sent again where that is safe and may help: for some seconds when the server is too busy to take it,
        and, when it only reads, when it fails or the connection breaks; once, with new credentials, when the server
        does not accept the old ones; when it forbids it and was out of reach just before.

        Args:
            method: Of HTTP.
            path: Of the API, such as `/api/v1/namespaces/default/pods`.
            query: What stands behind the question mark.
            body: What to send, as JSON.
            content_type: What the body is.
            read_seconds: How long the server may take.
            repeat: Whether it may be sent again.

        Raises:
            ApiRefusal: It answered with an error.
            ClusterUnreachable: No answer came; its `sent` says whether the server may have got the request.
            InfrastructureNotAvailable: There are no credentials to send it with.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json"} | ({} if data is None else {"Content-Type": content_type})
        pauses, deadline = Pauses(), time.monotonic() + _REPEAT_SECONDS
        while True:
            try:
                with self._free, self._calls.counted(self.close):
                    response = self._request(method, path, query, data=data, headers=headers, read_seconds=read_seconds)
                return json_of(response.data, path)
            except (ApiRefusal, ClusterUnreachable) as error:
                if not repeat or not may_be_repeated(method, error):
                    raise
                pause = max(pauses.next(), getattr(error, "retry_after", None) or 0.0)
                if time.monotonic() + pause > deadline:
                    raise
            if not slept(pause):
                raise InfrastructureNotAvailable(f"The call of the Kubernetes cluster at {self.address} was cancelled.")

    def stream(
        self, path: str, query: Mapping[str, Any], *, read_seconds: float | None, reads_ahead: bool = False
    ) -> ApiStream:
        """Give a stream that is still to be opened, so that another thread can end it while it is.

        Args:
            path: As for `call`.
            query: As for `call`.
            read_seconds: How long nothing may come; None: any time.
            reads_ahead: Whether the answer is all there, and may be short: no connection is opened only for it, then.
        """

        def send(on_connection: Callable[[Any], None]) -> Any:
            return self._request("GET", path, query, read_seconds=read_seconds, on_connection=on_connection)

        return ApiStream(self.address, send, counted=self._calls.counted(self.close) if reads_ahead else None)

    def open_stream(self, path: str, query: Mapping[str, Any], *, read_seconds: float | None) -> ApiStream:
        """Send a request whose answer is read bit by bit. The caller closes the stream.

        Raises:
            ApiRefusal: The API server answered with an error.
            ClusterUnreachable: It is out of reach.
        """
        stream = self.stream(path, query, read_seconds=read_seconds)
        try:
            stream.open()
        except BaseException:
            stream.close()
            raise
        return stream

    def job_watch(self, namespace: str) -> JobWatch:
        """Give what tells of the Jobs of our runs in one namespace, and of their pods."""
        with self._lock:
            return self._watches.setdefault(namespace, JobWatch(self, namespace))

    def close(self) -> None:
        """Close the connections that nobody uses. The client stays, and opens new ones when it is used again."""
        future = self._connection
        if future is not None and future.done() and future.exception() is None:
            future.result().close_idle()

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        read_seconds: float | None,
        on_connection: Callable[[Any], None] | None = None,
    ) -> Any:
        from infrablocks.kubernetes._transport import send  # noqa: PLC0415 - the SDK is loaded with the connection

        url = self.address + path + (f"?{urlencode(query, doseq=True, quote_via=quote)}" if query else "")
        connection, renewed, pauses = self._connected(), False, Pauses()
        while True:
            sent_headers = {"User-Agent": _USER_AGENT, **(headers or {})}
            if authorization := connection.authorization():
                sent_headers["Authorization"] = authorization
            try:
                response: Any = send(
                    connection.pool,
                    method,
                    url,
                    address=self.address,
                    headers=sent_headers,
                    body=data,
                    read_seconds=read_seconds,
                    on_connection=on_connection,
                )
            except ClusterUnreachable:
                self._unreachable_at = time.monotonic()
                raise
            if response.status < 300:  # noqa: PLR2004 - redirects are none of the API's
                return response
            credential = (authorization or "").partition(" ")[2]
            body = without_credentials(body_of(response).decode("latin-1"), [credential]).encode("latin-1")
            error = refusal(self.address, f"{method} {path}", response.status, body, response.headers)
            if error.status == UNAUTHORIZED and not renewed:
                connection, renewed = self._renewed(connection), True
            elif not lacks_right(error) or not self._may_be_starting() or not slept(pauses.next()):
                raise error

    def _may_be_starting(self) -> bool:
        return time.monotonic() - self._unreachable_at < _STARTING_SECONDS

    def _connected(self) -> Connection:
        with self._lock:
            future = self._connection
            if future is not None and future.done() and (future.exception() or future.result().is_outdated):
                self._drop(future)
                future = None
            if first := future is None:
                future = self._connection = Future()
        if first:
            try:
                future.set_result(_configuration.connect(self._access))
            except BaseException as error:
                future.set_exception(error)
                raise
        try:
            return future.result()
        except InfrastructureError as error:  # one exception for many threads: each raises its own
            raise InfrastructureNotAvailable(str(error)) from error

    def _renewed(self, refused: Connection) -> Connection:
        """Give a connection with new credentials in place of one whose credentials were not accepted."""
        with self._lock:
            future = self._connection
            if future is not None and future.done() and not future.exception() and future.result() is refused:
                self._drop(future)
                self._access = self._access_now()
        return self._connected()

    def _access_now(self) -> ClusterAccess:
        """Read the configuration again, if it still names the same cluster."""
        try:
            access = cluster_access(self._config)
        except InfrastructureError:
            return self._access
        same = access.cluster == self._access.cluster and access.context_name == self._access.context_name
        return access if same else self._access

    def _drop(self, future: Future[Connection]) -> None:
        self._connection = None
        if not future.exception():
            future.result().close_idle()
