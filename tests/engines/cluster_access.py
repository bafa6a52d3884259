"""Who may talk to a cluster: the users of its token file, and kubeconfig files for them and for others."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# By user name, the groups. There is no other way in for those that start before anything is in the cluster.
ADMIN, FAKE_NODES, STRANGER = "admin", "fake-nodes", "stranger"
CONTROLLER_MANAGER, SCHEDULER = "system:kube-controller-manager", "system:kube-scheduler"
_GROUPS = {
    ADMIN: "system:masters",
    FAKE_NODES: "system:masters",
    STRANGER: "",
    CONTROLLER_MANAGER: "",
    SCHEDULER: "",
}


@dataclass(frozen=True)
class Account:
    """A service account of a namespace, with the rights that it was made with.

    Args:
        name: Its name.
        namespace: Where it is.
        token: A token of it, valid for a day.
        kubeconfig: A file with that token, and the namespace as the default.
    """

    name: str
    namespace: str
    token: str
    kubeconfig: Path


@dataclass(frozen=True)
class Users:
    """The users of the API server's token file.

    Args:
        file: The file.
    """

    file: Path

    def create(self, more: Mapping[str, str]) -> None:
        """Write the file with new tokens.

        Args:
            more: Users that only this cluster has, each with a group.
        """
        lines = [f'{secrets.token_hex(16)},{name},{name},"{group}"' for name, group in {**_GROUPS, **more}.items()]
        self.file.touch(mode=0o600)
        self.file.write_text("\n".join(lines) + "\n")

    def token(self, name: str) -> str:
        """Return a user's token.

        Raises:
            KeyError: There is no such user.
        """
        rows = (line.split(",") for line in self.file.read_text().splitlines())
        return {user: token for token, user, *_ in rows}[name]


def write_kubeconfig(
    path: Path, *, server: str, ca_file: Path, user: Mapping[str, Any], namespace: str = "default"
) -> None:
    """Write a kubeconfig file with one context, called ``tests``, for the owner's eyes only.

    Args:
        path: The file.
        server: The cluster's URL.
        ca_file: The certificate of its authority, which the file names by its path.
        user: The entry of the user, such as ``{"token": "…"}``.
        namespace: The context's namespace.
    """
    content = {  # JSON is YAML, too
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": {"server": server, "certificate-authority": str(ca_file)}}],
        "users": [{"name": "tests", "user": dict(user)}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests", "namespace": namespace}}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1) + "\n")
