"""The SDK's client, made to fit: imported only when an engine is needed, because this imports the SDK."""

from __future__ import annotations

import socket
from queue import LifoQueue
from typing import TYPE_CHECKING, Any

import docker
import docker.auth
import docker.constants
import docker.errors
import docker.models.containers
import docker.tls
from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool
from docker.utils.utils import compare_version
from requests.adapters import HTTPAdapter
from requests.utils import check_header_validity, get_environ_proxies
from urllib3.exceptions import LocationParseError
from urllib3.util import Timeout, parse_url

from infrablocks.exceptions import InfrastructureNotAvailable

if TYPE_CHECKING:
    from requests import Response

    from infrablocks.docker._engine_address import EngineAddress, TLSFiles

CONNECT_SECONDS = 4.8
"""How long an engine may take to be connected to, and for its first answer: within five a run says that it hangs."""

READ_SECONDS = 60
"""How long an engine may take to answer a call that has no limit of its own."""

# The pool warns in its log when it cannot keep a connection. `Engine` closes idle ones itself.
_POOL_SIZE = 2000
_OLDEST_API = "1.41"  # Docker 20.10


class _UnixConnection(UnixHTTPConnection):
    """A connection that closes its socket when it cannot connect: the SDK leaves it to the garbage collector."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(self.unix_socket)
        except BaseException:
            self.close()
            raise


class _UnixPool(UnixHTTPConnectionPool):
    """Keeps any number of idle connections, and begins empty.

    A pool of urllib3 is filled with a place for each connection that it may keep, and the SDK makes a pool for each
    URL: with thousands of places that took longer than the request.
    """

    def __init__(self, base_url: str, socket_path: str, timeout: int) -> None:
        super().__init__(base_url, socket_path, timeout, maxsize=1)
        self.pool = LifoQueue()

    def _new_conn(self) -> Any:
        timeout: Any = self.timeout
        return _UnixConnection(self.base_url, self.socket_path, timeout)


class _UnixAdapter(UnixHTTPAdapter):
    """Makes connections of ours."""

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:  # noqa: ARG002 - of requests
        with self.pools.lock:
            pool = self.pools.get(url)
            if pool is None:
                pool = self.pools[url] = _UnixPool(str(url), self.socket_path, self.timeout)
            return pool


class Session(docker.APIClient):
    """The low-level client of the SDK for one engine. It has a time limit on every call, also on those without."""

    def __init__(self, address: EngineAddress, version: str) -> None:
        tls = False if address.tls is None else _tls_config(address.tls)
        super().__init__(address.url, version=version, timeout=READ_SECONDS, tls=tls, max_pool_size=_POOL_SIZE)
        configuration: dict[str, Any] = getattr(self, "_general_configs")  # noqa: B009 - the stubs lack it
        _check_headers(configuration.get("HttpHeaders") or {})
        if address.url.startswith("unix://"):
            self._custom_adapter = _UnixAdapter(f"http+{address.url}", READ_SECONDS)
            self.mount("http+docker://", self._custom_adapter)
        # Otherwise REQUESTS_CA_BUNDLE replaces the authority of DOCKER_CERT_PATH, and ~/.netrc is read at every call
        # (https://github.com/psf/requests/issues/3829).
        self.trust_env = False
        if self.base_url.startswith(("http://", "https://")):
            self.proxies = _checked_proxies(get_environ_proxies(self.base_url))
            self.mount(self.base_url, HTTPAdapter(pool_maxsize=_POOL_SIZE))

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> Response:
        """Send a request; the place that every call of the SDK comes through."""
        if not isinstance(kwargs.get("timeout"), tuple | Timeout):
            kwargs["timeout"] = (CONNECT_SECONDS, kwargs.get("timeout") or READ_SECONDS)
        return super().request(method, url, *args, **kwargs)

    def url(self, path: str) -> str:
        """Give the whole URL of a path of the API."""
        return f"{self.base_url}/v{self.api_version}{path}"


def _check_headers(headers: object) -> None:
    """Refuse headers of the Docker configuration that cannot be sent: the SDK's own error would show the value.

    Raises:
        InfrastructureNotAvailable: One cannot be sent; the message has its name.
    """
    if not isinstance(headers, dict):
        raise InfrastructureNotAvailable("HttpHeaders of Docker's config.json is not a mapping of names to texts.")
    for name, value in headers.items():
        try:
            check_header_validity((name, value))
            value.encode("latin-1")
            can_be_sent = "\n" not in name + value  # older versions of requests miss one at the end
        except ValueError:
            can_be_sent = False
        if not can_be_sent:
            raise InfrastructureNotAvailable(
                f"HttpHeaders of Docker's config.json: {name!r} cannot be sent. It must be text without line breaks "
                "and without characters that Latin-1 does not have."
            )


def _checked_proxies(proxies: dict[str, str]) -> dict[str, str]:
    """Refuse addresses of proxies that are none: requests quotes them, with the password that may stand in them.

    Raises:
        InfrastructureNotAvailable: One is none; the message says for which protocol.
    """
    wrong = [name for name, url in proxies.items() if name != "no" and not _is_address(url)]
    if wrong:
        raise InfrastructureNotAvailable(
            f"The proxy of this environment for {wrong[0]!r} is not an address such as http://proxy:3128. Check "
            f"{wrong[0].upper()}_PROXY."
        )
    return proxies


def _is_address(url: str) -> bool:
    try:
        return bool(parse_url(url).host)
    except LocationParseError:
        return False


def connect(address: EngineAddress) -> tuple[Session, dict[str, Any]]:
    """Make a session in the newest version of the API that engine and SDK both know, and give the engine's versions."""
    first = Session(address, _OLDEST_API)
    try:
        response = first.get(f"{first.base_url}/version", timeout=Timeout(total=CONNECT_SECONDS))  # type: ignore[arg-type]
        response.raise_for_status()
        versions: dict[str, Any] = response.json()
        return Session(address, _common_version(versions)), versions
    finally:
        first.close()


def _common_version(versions: dict[str, Any]) -> str:
    """Choose as the docker command does: an engine may be newer than the SDK, which then speaks as it was tested."""
    newest, oldest = str(versions["ApiVersion"]), str(versions.get("MinAPIVersion") or _OLDEST_API)
    ours = docker.constants.DEFAULT_DOCKER_API_VERSION
    common = ours if compare_version(ours, newest) > 0 else newest
    return oldest if compare_version(common, oldest) > 0 else common


def _tls_config(files: TLSFiles) -> docker.tls.TLSConfig:
    pair = (str(files.certificate), str(files.key)) if files.certificate and files.key else None
    authority = str(files.authority) if files.authority else None
    return docker.tls.TLSConfig(client_cert=pair, ca_cert=authority, verify=files.verify)
