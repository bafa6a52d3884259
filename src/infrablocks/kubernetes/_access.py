"""Which cluster a block means, and as whom: its own configuration, that of the pod it is in, or a kubeconfig."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infrablocks.exceptions import InfrastructureNotAvailable, InvalidSettings
from infrablocks.kubernetes._kubeconfig import (
    InvalidEntry,
    checked_kubeconfig,
    context_entries,
    kubeconfig_paths,
    parse_kubeconfig,
    read_kubeconfig,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infrablocks.kubernetes.cluster import KubernetesClusterConfig

_USER_IN_ADDRESS = re.compile(r"((?:\w[\w+.-]*:)?//)?[^/?#]*@")

SERVICE_ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token, the cluster's certificates and its namespace.

https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
"""


@dataclass(frozen=True)
class ClusterAccess:
    """A cluster, and who asks it.

    Attributes:
        cluster: As in a kubeconfig: `server`, `certificate-authority`, …; all paths are absolute.
        user: As in a kubeconfig: `token`, `tokenFile`, `exec`, …; holds secrets.
        namespace: The namespace of the context or the pod.
        context_name: Name of the context; None inside of a pod.
    """

    cluster: Mapping[str, Any]
    user: Mapping[str, Any] = field(repr=False)
    namespace: str | None
    context_name: str | None

    @property
    def address(self) -> str:
        """The address of the API server, without a user and a password that may stand in it."""
        return _user_left_out(str(self.cluster["server"])).rstrip("/")

    @property
    def key(self) -> str:
        """The same for two that may share connections."""
        values = [self.cluster, self.user, self.namespace]
        return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def _user_left_out(server: str) -> str:
    found = _USER_IN_ADDRESS.match(server)
    return (found[1] or "") + server[found.end() :] if found else server


def cluster_access(config: KubernetesClusterConfig | None) -> ClusterAccess:
    """Find out which cluster is meant: that of the block, of the pod this process is in, or of the kubeconfig.

    Reads files; for worker threads.

    Raises:
        InfrastructureNotAvailable: No cluster is configured, or the kubeconfig does not say which.
        InvalidSettings: A copy of the block was given values that validation refuses.
    """
    if config is not None:
        return _access_of_block(config.config, config.context_name)
    return _access_of_pod() or _access_of_kubeconfig()


def is_configured() -> bool:
    """Say whether the environment names a cluster, or seems to."""
    return _access_of_pod() is not None or any(path.exists() for path in kubeconfig_paths())


def _access_of_block(config: Any, context_name: str) -> ClusterAccess:
    try:
        mapping = parse_kubeconfig(config) if isinstance(config, str) else checked_kubeconfig(config)
        entries = context_entries(mapping, context_name)
    except ValueError as error:
        raise InvalidSettings(f"cluster_config: {error}") from error
    return ClusterAccess(entries.cluster, entries.user, entries.namespace, entries.name)


def _access_of_pod() -> ClusterAccess | None:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    token = SERVICE_ACCOUNT_FOLDER / "token"
    if not host or not port or not token.exists():  # a pod need not have a token
        return None
    host = f"[{host}]" if ":" in host else host
    cluster = {"server": f"https://{host}:{port}", "certificate-authority": str(SERVICE_ACCOUNT_FOLDER / "ca.crt")}
    try:
        namespace = (SERVICE_ACCOUNT_FOLDER / "namespace").read_text(encoding="utf-8").strip()
    except OSError:
        namespace = None
    return ClusterAccess(cluster, {"tokenFile": str(token)}, namespace or None, None)


def _access_of_kubeconfig() -> ClusterAccess:
    paths = kubeconfig_paths()
    shown = ", ".join(map(str, paths))
    if not any(path.exists() for path in paths):
        raise InfrastructureNotAvailable(
            "No Kubernetes cluster is configured: there is no cluster_config, this process is in no pod with a service "
            f"account, and there is no kubeconfig ({shown}). Set one of them; KUBECONFIG names the kubeconfig."
        )
    try:
        entries = context_entries(read_kubeconfig(paths), None)
    except InvalidEntry as error:
        raise InfrastructureNotAvailable(f"The kubeconfig ({shown}) cannot be used: {error}") from None
    except ValueError as error:
        raise InfrastructureNotAvailable(
            f"The kubeconfig ({shown}) does not say which cluster is meant: {error} "
            "`kubectl config use-context NAME` sets the current one; a cluster_config may name any."
        ) from error
    return ClusterAccess(entries.cluster, entries.user, entries.namespace, entries.name)
