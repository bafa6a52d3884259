"""TLS of the connections to a cluster: whom they trust, and the certificate by which they are known."""

from __future__ import annotations

import base64
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infrablocks.exceptions import InfrastructureNotAvailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infrablocks.kubernetes._access import ClusterAccess
    from infrablocks.kubernetes._exec_plugin import PluginCredential

_PROTOCOLS = ["http/1.1"]


def tls_context(access: ClusterAccess, credential: PluginCredential | None) -> ssl.SSLContext | None:
    """Make what TLS connections to the cluster are made with; None where there is no TLS.

    It is made once and not by urllib3 for every connection: that would need the client's key in a file for as long as
    the program runs.
    """
    if not access.address.startswith("https:"):
        return None
    context = _TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(_PROTOCOLS)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if access.cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    trusted = authorities(access)
    try:
        if trusted:
            context.load_verify_locations(cadata=trusted.decode("ascii"))
        else:
            context.load_default_certs()
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise InfrastructureNotAvailable(
            f"certificate-authority(-data) of the cluster at {access.address} holds no certificate in PEM."
        ) from error
    certificate, key = _client_certificate(access, credential)
    if certificate:
        _load_client_certificate(context, certificate, key, access)
    return context


def authorities(access: ClusterAccess) -> bytes:
    """Give the certificate authorities that a cluster's configuration names, in PEM; empty: none.

    Raises:
        InfrastructureNotAvailable: They cannot be read.
    """
    return _held_or_read(access.cluster, "certificate-authority", access)


def _client_certificate(access: ClusterAccess, credential: PluginCredential | None) -> tuple[bytes, bytes]:
    if credential is not None and credential.certificate:
        return credential.certificate.encode(), (credential.key or "").encode()
    return _held_or_read(access.user, "client-certificate", access), _held_or_read(access.user, "client-key", access)


def _held_or_read(values: Any, name: str, access: ClusterAccess) -> bytes:
    """Give the content of a file that a kubeconfig names or holds; empty: neither."""
    where = f"{name} of the cluster at {access.address}"
    if values.get(f"{name}-data"):
        try:
            return base64.b64decode(values[f"{name}-data"])
        except (ValueError, TypeError) as error:
            raise InfrastructureNotAvailable(f"{where}: {name}-data is not base64.") from error
    if values.get(name):
        try:
            return Path(values[name]).read_bytes()
        except OSError as error:
            raise InfrastructureNotAvailable(f"{where}: {values[name]} cannot be read: {error.strerror}.") from error
    return b""


def _load_client_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes, access: ClusterAccess) -> None:
    def no_password() -> str:
        raise ValueError("it is encrypted")

    with tempfile.NamedTemporaryFile(prefix="infrablocks-") as file:  # Python loads them from files only
        file.write(certificate.rstrip() + b"\n" + key)
        file.flush()
        try:
            context.load_cert_chain(file.name, password=no_password)
        except (ssl.SSLError, ValueError) as error:
            raise InfrastructureNotAvailable(
                f"The client certificate for the cluster at {access.address} and its key do not fit, or are not in PEM "
                "without a password. Check client-certificate(-data) and client-key(-data) of the user."
            ) from error


class _TlsContext(ssl.SSLContext):
    """A context whose protocols are set once, by `tls_context`.

    urllib3 sets them for every connection, which frees those that another thread is just sending: that handshake fails
    or the process crashes (https://github.com/python/cpython/issues/141012).
    """

    _has_protocols = False

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        if not self._has_protocols:
            super().set_alpn_protocols(alpn_protocols)
            self._has_protocols = True
