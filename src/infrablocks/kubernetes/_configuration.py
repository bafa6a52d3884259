"""The SDK's configuration of one cluster, and the connections made of it. Never the SDK's global one."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

from infrablocks._credentials import bearer_token
from infrablocks.exceptions import InfrastructureNotAvailable
from infrablocks.kubernetes._exec_plugin import PluginCredential, run_plugin
from infrablocks.kubernetes._tls import tls_context
from infrablocks.kubernetes._user import basic_credentials, impersonation_headers

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubernetes.client import Configuration
    from urllib3 import PoolManager

    from infrablocks.kubernetes._access import ClusterAccess

# A credential is replaced so long before it ends, or earlier where it lives for a short time only.
_EARLIER = timedelta(seconds=60)

# The SDK keeps the files that it writes in a list of its own, and is imported by one thread.
_sdk_lock = threading.Lock()


@dataclass(frozen=True)
class Connection:
    """What requests to one cluster are sent with.

    Attributes:
        pool: Its connections.
        authorization: Gives the value of the header, or None where a certificate says who we are.
            Raises InfrastructureNotAvailable for one that cannot be sent.
        renewed_at: When another connection is to be made, because its credential is about to end; None: never.
    """

    pool: PoolManager
    authorization: Callable[[], str | None] = field(repr=False)
    renewed_at: datetime | None

    @property
    def is_outdated(self) -> bool:
        """Whether its credential is about to end."""
        return self.renewed_at is not None and datetime.now(UTC) >= self.renewed_at

    def close_idle(self) -> None:
        """Close the connections that no request uses just now."""
        from infrablocks.kubernetes._transport import close_idle  # noqa: PLC0415 - loaded when this was made

        close_idle(self.pool)


def connect(access: ClusterAccess) -> Connection:
    """Make what requests are sent with: credentials are read or asked for, no connection is opened yet. Blocks.

    Raises:
        InfrastructureNotAvailable: A file or a plugin does not give what it should.
    """
    credential = _plugin_credential(access)
    asked_at = datetime.now(UTC)
    with _sdk_lock:
        from infrablocks.kubernetes._transport import pool_manager  # noqa: PLC0415 - loads the SDK, in one thread

        configuration = _configuration(access, credential, with_files=False)
    pool = pool_manager(configuration, tls_context(access, credential), impersonation_headers(access.user))
    return Connection(pool, _authorization(access, configuration), _renewal(credential, asked_at))


def sdk_configuration(access: ClusterAccess) -> Configuration:
    """Make a configuration for the SDK's own client. Blocks; for worker threads.

    Raises:
        InfrastructureNotAvailable: A file or a plugin does not give what it should.
    """
    asked_at = datetime.now(UTC)
    credential = _plugin_credential(access)
    with _sdk_lock:
        configuration = _configuration(access, credential, with_files=True)
    if credential is not None or _has_token_file(access):
        renewed_at = _renewal(credential, asked_at)

        def refresh(configuration: Configuration) -> None:
            nonlocal credential, renewed_at
            if renewed_at is not None and datetime.now(UTC) >= renewed_at:
                credential = _plugin_credential(access)
                renewed_at = _renewal(credential, datetime.now(UTC))
            for token in _token_of(access, credential).values():
                configuration.api_key.update(dict.fromkeys(configuration.api_key, f"Bearer {token}"))

        setattr(configuration, "refresh_api_key_hook", refresh)  # noqa: B010 - to mypy it is always None
    return configuration


def _configuration(access: ClusterAccess, credential: PluginCredential | None, *, with_files: bool) -> Configuration:
    """Have the SDK make a configuration.

    Args:
        access: The cluster.
        credential: What a plugin has given.
        with_files: Whether the SDK shall write certificates into files, as its own client needs them.
    """
    from kubernetes.client import Configuration  # noqa: PLC0415 - only where a cluster is needed
    from kubernetes.config import ConfigException, load_kube_config_from_dict  # noqa: PLC0415

    files = () if with_files else ("certificate-authority", "client-certificate", "client-key")
    left_out = {*files, *(f"{name}-data" for name in files), "exec", "token", "tokenFile", "username", "password"}
    cluster = {name: value for name, value in access.cluster.items() if name not in left_out}
    user = {name: value for name, value in access.user.items() if name not in left_out}
    user |= _token_of(access, credential)
    if with_files and credential is not None and credential.certificate:
        user["client-certificate-data"] = base64.b64encode(credential.certificate.encode()).decode()
        user["client-key-data"] = base64.b64encode((credential.key or "").encode()).decode()
    kubeconfig = {
        "current-context": "this",
        "contexts": [{"name": "this", "context": {"cluster": "this", "user": "this"}}],
        "clusters": [{"name": "this", "cluster": cluster}],
        "users": [{"name": "this", "user": user}],
    }
    configuration = Configuration()
    load: Any = load_kube_config_from_dict
    problem = None
    try:
        load(kubeconfig, client_configuration=configuration, persist_config=False)
    except (ConfigException, ValueError, KeyError, TypeError, AttributeError) as error:
        problem = type(error).__name__
    if problem is not None:  # raised not while that one is handled: it may quote what it was given
        raise InfrastructureNotAvailable(
            f"The kubeconfig's entries for the cluster at {access.address} are not understood ({problem}). "
            "Check them with `kubectl config view`."
        )
    for name, value in configuration.api_key.items():
        configuration.api_key[name] = _sendable(value, f"The token for the cluster at {access.address}")
    if not configuration.api_key and (basic := basic_credentials(access.user)):
        configuration.api_key["authorization"] = basic  # the SDK would encode it in Latin-1
    _add_what_older_versions_leave_out(configuration, access)
    return configuration


def _add_what_older_versions_leave_out(configuration: Configuration, access: ClusterAccess) -> None:
    """Set what not all versions of the SDK since 31 read; can go when the oldest that is allowed does."""
    if access.cluster.get("tls-server-name"):
        configuration.tls_server_name = str(access.cluster["tls-server-name"])
    proxies = getproxies()
    if access.cluster.get("proxy-url"):
        configuration.proxy = str(access.cluster["proxy-url"])
    elif configuration.proxy is None:
        configuration.proxy = proxies.get(access.address.partition(":")[0]) or proxies.get("all")
    if configuration.no_proxy is None:
        configuration.no_proxy = proxies.get("no")


def _token_of(access: ClusterAccess, credential: PluginCredential | None) -> dict[str, str]:
    if credential is not None and credential.token:
        return {"token": credential.token}
    if access.user.get("token"):
        return {"token": bearer_token(access.user["token"], "token")}  # checked before: its spaces are left out
    return {"token": _token_in_file(access)} if access.user.get("tokenFile") else {}


def _has_token_file(access: ClusterAccess) -> bool:
    return bool(access.user.get("tokenFile") and not access.user.get("token"))


def _authorization(access: ClusterAccess, configuration: Configuration) -> Callable[[], str | None]:
    if _has_token_file(access):
        return lambda: f"Bearer {_token_in_file(access)}"

    def authorization() -> str | None:
        with _sdk_lock:  # it may ask an identity provider for a new token
            names = ("BearerToken", "authorization")  # of SDK 37, and of those before
            found = next(filter(None, map(configuration.get_api_key_with_prefix, names)), None)
        return None if found is None else _sendable(found, f"The token for the cluster at {access.address}")

    return authorization


def _token_in_file(access: ClusterAccess) -> str:
    """Read the token, which is replaced from time to time: https://kubernetes.io/docs/concepts/storage/projected-volumes/."""
    path = Path(access.user["tokenFile"])
    try:
        content = path.read_text(encoding="utf-8", errors="replace")  # an error of decoding would show what is in it
    except OSError as error:
        raise InfrastructureNotAvailable(f"The token file {path} cannot be read: {error.strerror}.") from error
    return _sendable(content, f"The token file {path}")


def _sendable(token: str, name: str) -> str:
    try:
        return bearer_token(token, name)
    except ValueError as error:
        raise InfrastructureNotAvailable(f"{error}.") from None


def _renewal(credential: PluginCredential | None, asked_at: datetime) -> datetime | None:
    """Say when a credential is to be replaced, which is some time before it ends."""
    if credential is None or credential.expires is None:
        return None
    lifetime = max(credential.expires - asked_at, timedelta())
    return credential.expires - min(_EARLIER, lifetime / 4)


def _plugin_credential(access: ClusterAccess) -> PluginCredential | None:
    plugin = access.user.get("exec")
    if not plugin or access.user.get("token") or access.user.get("tokenFile"):
        return None
    return run_plugin(plugin, access.cluster)


def forget_lock() -> None:
    """Make a new lock, in a child process where no thread is left that could release the old one."""
    global _sdk_lock  # noqa: PLW0603 - the lock of another process
    _sdk_lock = threading.Lock()
