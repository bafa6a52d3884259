"""Credential plugins: programs that a kubeconfig names to get a token or a client certificate from.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infrablocks._credentials import bearer_token
from infrablocks._environment import inherited_environment
from infrablocks._threads import cancellation_requested
from infrablocks.exceptions import InfrastructureNotAvailable

if TYPE_CHECKING:
    from collections.abc import Mapping

PLUGIN_SECONDS = 30.0
"""How long a plugin may take."""

_POLL_SECONDS = 0.2
_LONGEST_COMPLAINT = 500


@dataclass(frozen=True)
class PluginCredential:
    """What a plugin has printed.

    Attributes:
        token: A bearer token; None: there is none.
        certificate: A client certificate in PEM, with `key`; None: there is none.
        key: The certificate's key in PEM.
        expires: When all this ends; None: never.
    """

    token: str | None = field(repr=False)
    certificate: str | None = field(repr=False)
    key: str | None = field(repr=False)
    expires: datetime | None


def run_plugin(plugin: Mapping[str, Any], cluster: Mapping[str, Any]) -> PluginCredential:
    """Run a plugin, without a terminal. Blocks; for worker threads.

    Args:
        plugin: `exec` of a user in a kubeconfig.
        cluster: The cluster, which some plugins want to know.

    Raises:
        InfrastructureNotAvailable: It cannot be run, fails, takes too long or prints something else.
    """
    command = [str(plugin.get("command") or ""), *map(str, plugin.get("args") or [])]
    shown = f"The credential plugin {command[0]!r} of the kubeconfig"
    if not command[0] or not plugin.get("apiVersion"):
        raise InfrastructureNotAvailable(f"{shown} has no command or no apiVersion.")
    if plugin.get("interactiveMode") == "Always":
        raise InfrastructureNotAvailable(f"{shown} needs a terminal (interactiveMode: Always), which runs do not have.")
    try:
        child = _start(command, plugin, cluster)
    except OSError as error:
        hint = " ".join(str(plugin.get("installHint") or "Install it, or name another user.").split())
        raise InfrastructureNotAvailable(f"{shown} cannot be started: {error.strerror}. {hint}") from error
    printed, complaint = _communicate(child, shown)
    if child.returncode != 0:
        words = " ".join(complaint.decode(errors="replace").split())[-_LONGEST_COMPLAINT:]
        raise InfrastructureNotAvailable(
            f"{shown} failed with exit code {child.returncode}: {words or 'no reason given'}"
        )
    return _credential(printed, shown)


def _start(command: list[str], plugin: Mapping[str, Any], cluster: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    given = {str(item["name"]): str(item["value"]) for item in plugin.get("env") or []}
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = _cluster_info(cluster)
    info = {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": spec}
    return subprocess.Popen(  # noqa: S603 - what the user's own kubeconfig says
        command,
        env={**inherited_environment(), **given, "KUBERNETES_EXEC_INFO": json.dumps(info)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _cluster_info(cluster: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        "server": "server",
        "tls-server-name": "tls-server-name",
        "insecure-skip-tls-verify": "insecure-skip-tls-verify",
        "certificate-authority-data": "certificate-authority-data",
        "proxy-url": "proxy-url",
    }
    info = {name: cluster[field] for name, field in known.items() if field in cluster}
    for extension in cluster.get("extensions") or []:
        if extension.get("name") == "client.authentication.k8s.io/exec":
            info["config"] = extension.get("extension")
    return info


def _communicate(child: subprocess.Popen[bytes], shown: str) -> tuple[bytes, bytes]:
    deadline = time.monotonic() + PLUGIN_SECONDS
    while True:
        try:
            return child.communicate(timeout=_POLL_SECONDS)
        except subprocess.TimeoutExpired as error:
            if time.monotonic() < deadline and not cancellation_requested():
                continue
            _end(child)
            raise InfrastructureNotAvailable(
                f"{shown} printed no credential within {PLUGIN_SECONDS:g} seconds. Run it by hand to see what it wants."
            ) from error


def _end(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def _credential(printed: bytes, shown: str) -> PluginCredential:
    try:
        answer = json.loads(printed)
        status = answer["status"]
        token, certificate = status.get("token"), status.get("clientCertificateData")
        expires = _time(status.get("expirationTimestamp"))
        key = status.get("clientKeyData")
    except (ValueError, KeyError, TypeError, AttributeError):
        token = certificate = key = expires = None
    values = [each for each in (token, certificate, key) if each]
    if not all(isinstance(each, str) for each in values) or (not token and not (certificate and key)):
        # Without what it has printed, which may be the secret.
        raise InfrastructureNotAvailable(
            f"{shown} did not print an ExecCredential with a status that holds a token or a certificate with its key."
        )
    try:
        token = bearer_token(token, "its token") if token else None
    except ValueError as error:
        raise InfrastructureNotAvailable(f"{shown} did not print a token that can be sent: {error}.") from None
    return PluginCredential(token, certificate, key, expires)


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
