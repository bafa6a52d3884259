"""Kubeconfig files: reading, merging, and what one of their contexts says."""

from __future__ import annotations

import base64
import os
import re
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infrablocks._home import expand_home
from infrablocks.exceptions import InfrastructureNotAvailable, InvalidSettings
from infrablocks.kubernetes._user import check_user

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_DEFAULT_PATH = "~/.kube/config"

# Which fields of a cluster or a user name a file, and the field that holds the same in the kubeconfig itself.
_FILES = {
    "clusters": {"certificate-authority": "certificate-authority-data"},
    "users": {
        "client-certificate": "client-certificate-data",
        "client-key": "client-key-data",
        "tokenFile": "token",
    },
}
_ENTRIES = {"clusters": "cluster", "contexts": "context", "users": "user"}


class InvalidEntry(ValueError):
    """The cluster or the user of a context has a value that cannot be used. The message names the field, no value."""


@dataclass(frozen=True)
class ContextEntries:
    """What a kubeconfig says about one of its contexts.

    Attributes:
        name: The context's name.
        cluster: Its cluster: `server`, `certificate-authority-data`, …
        user: Its user: `token`, `client-certificate-data`, `exec`, …; holds secrets.
        namespace: The namespace of the context, if it has one.
    """

    name: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any] = field(repr=False)
    namespace: str | None


def kubeconfig_paths(path: str | os.PathLike[str] | None = None) -> list[Path]:
    """Give the files that make up the kubeconfig: the one given, those of KUBECONFIG, or the usual one."""
    if path is not None:
        return [Path(expand_home(os.fspath(path)))]
    named = [Path(expand_home(name)) for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    return named or [Path(expand_home(_DEFAULT_PATH))]


def read_kubeconfig(paths: Sequence[Path]) -> dict[str, Any]:
    """Read files and merge them as kubectl does: what the first one says stays.

    Files that are not there are left out. Paths in the files are made absolute.

    https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/#merging-kubeconfig-files

    Raises:
        InfrastructureNotAvailable: There is none of the files, or one cannot be read or is not a kubeconfig.
    """
    found = [path for path in paths if path.exists()]
    if not found:
        raise InfrastructureNotAvailable(f"There is no kubeconfig: {', '.join(map(str, paths))} does not exist.")
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", **{name: [] for name in _ENTRIES}}
    for path in found:
        config = _absolute(_read_one(path), path.resolve().parent)
        for name in _ENTRIES:
            known = {entry["name"] for entry in merged[name]}
            merged[name] += [entry for entry in config.get(name) or [] if entry["name"] not in known]
        if config.get("current-context") and "current-context" not in merged:
            merged["current-context"] = config["current-context"]
    return merged


def _read_one(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InfrastructureNotAvailable(f"The kubeconfig {path} cannot be read: {error.strerror}.") from error
    text = content.decode(errors="replace")
    if text.encode() != content:  # not by an error of decoding, which would show what is in it
        raise InfrastructureNotAvailable(f"The kubeconfig {path} cannot be read: it is not UTF-8.")
    try:
        return parse_kubeconfig(text)
    except ValueError as error:
        raise InfrastructureNotAvailable(f"The kubeconfig {path} is not valid: {error}") from error


def parse_kubeconfig(text: str) -> dict[str, Any]:
    """Read the YAML of a kubeconfig.

    Raises:
        ValueError: It is none; the message holds nothing of its content but the names of entries.
    """
    from infrablocks.blocks.yaml_nodes import LOAD_ERRORS  # noqa: PLC0415 - costs import time

    try:
        loaded = deepcopy(_loaded(text))
    except LOAD_ERRORS as error:
        problem = _yaml_problem(error)
    else:
        return checked_kubeconfig({} if loaded is None else loaded)
    # Not while that one is handled: it may quote a token.
    raise ValueError(f"it is not YAML{problem}.")


def _yaml_problem(error: Exception) -> str:
    """Say what is wrong, and where, without the text around it."""
    import yaml  # noqa: PLC0415 - costs import time

    if not isinstance(error, yaml.MarkedYAMLError):
        return ""
    line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
    # What is in quotes is of the text: an alias or a tag may be a token that begins with `*` or `!`.
    problem = re.sub(r"""(['"]).*""", "…", error.problem or "no reason given", flags=re.DOTALL)
    return f"{line} ({problem})"


@lru_cache(maxsize=4)
def _loaded(text: str) -> Any:
    """Load YAML; kept, as every run reads the kubeconfig again and it rarely changes."""
    import yaml  # noqa: PLC0415 - costs import time

    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe ones


def checked_kubeconfig(config: Any) -> dict[str, Any]:
    """Give back a kubeconfig whose shape is right, so that its entries can be looked up.

    Raises:
        ValueError: It is not; the message holds nothing of its content but the names of entries.
    """
    if not isinstance(config, dict):
        raise ValueError("a kubeconfig is a mapping with clusters, contexts and users.")  # noqa: TRY004
    for name, inner in _ENTRIES.items():
        entries = config.get(name) or []
        if not isinstance(entries, list):
            raise ValueError(f"{name} is not a list.")  # noqa: TRY004
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                raise ValueError(f"{name}[{number}] is not a mapping with a name.")  # noqa: TRY004
            if not isinstance(entry.get(inner) or {}, dict):
                raise ValueError(f"{inner} of {name}[{number}], {entry['name']!r}, is not a mapping.")  # noqa: TRY004
    return config


def context_entries(config: Mapping[str, Any], context_name: str | None) -> ContextEntries:
    """Look a context up with its cluster and its user.

    Args:
        config: A kubeconfig.
        context_name: Which context; None: the current one.

    Raises:
        InvalidEntry: Its server has no address, or the credentials of its user cannot be sent.
        ValueError: There is no such context, or its cluster or user is missing; the message says what there is.
    """
    name = context_name or config.get("current-context")
    names = context_names(config)
    there_are = f"Specify one of: {', '.join(names)}." if names else "There are no contexts."
    if not name:
        raise ValueError(f"No current context is set. {there_are}")
    context = _entry(config, "contexts", str(name))
    if context is None:
        raise ValueError(f"Context {name!r} not found. {there_are}")
    cluster = _entry(config, "clusters", str(context.get("cluster") or ""))
    if cluster is None or not cluster.get("server"):
        raise ValueError(f"Context {name!r} names cluster {context.get('cluster')!r}, of which there is no server.")
    if not _is_address(cluster["server"]):
        raise InvalidEntry(f"server of cluster {context['cluster']!r} is not an address such as https://HOST:6443.")
    user_name = context.get("user")
    user = _entry(config, "users", str(user_name)) if user_name else {}
    if user is None:
        raise ValueError(f"Context {name!r} names user {user_name!r}, which is not there.")
    try:
        check_user(user)
    except ValueError as error:
        raise InvalidEntry(f"user {user_name!r} of context {name!r}: {error}.") from None
    return ContextEntries(str(name), cluster, user, context.get("namespace"))


def _is_address(server: object) -> bool:
    """Say whether this is an address: without a check, an error of urllib3 may quote a password that stands in it."""
    if not isinstance(server, str):
        return False
    try:
        parts = urlsplit(server if "//" in server else f"//{server}")
        _ = parts.port  # raises for one that is no number
    except ValueError:
        return False
    return bool(parts.hostname) and parts.scheme in {"", "http", "https"}


def context_names(config: Mapping[str, Any]) -> list[str]:
    """Give the names of all contexts, sorted."""
    return sorted(entry["name"] for entry in config.get("contexts") or [])


def self_contained(config: Mapping[str, Any], context_name: str) -> dict[str, Any]:
    """Give a copy that holds what is in the files it names: certificates, keys and tokens.

    Args:
        config: A kubeconfig whose paths are absolute.
        context_name: The context whose files must be there; of others, what is not there stays a path.

    Raises:
        InvalidSettings: A file cannot be read.
    """
    copy = deepcopy(dict(config))
    context = _entry(copy, "contexts", context_name) or {}
    needed = {"clusters": context.get("cluster"), "users": context.get("user")}
    for section, fields in _FILES.items():
        for entry in copy.get(section) or []:
            try:
                _take_files_in(entry.get(_ENTRIES[section]) or {}, fields)
            except OSError as error:
                if entry["name"] == needed[section]:
                    raise InvalidSettings(
                        f"{error.filename}, which {section}/{entry['name']} names, cannot be read: {error.strerror}."
                    ) from error
    return copy


def _take_files_in(values: dict[str, Any], fields: Mapping[str, str]) -> None:
    for named, held in fields.items():
        if not values.get(named):
            continue
        if not values.get(held):
            content = Path(values[named]).read_bytes()
            # An error of decoding would show what is in the file; what is no token is refused when it is used.
            text = content.decode(errors="replace").strip()
            values[held] = text if held == "token" else base64.b64encode(content).decode()
        del values[named]


def _entry(config: Mapping[str, Any], section: str, name: str) -> dict[str, Any] | None:
    entries: Iterable[dict[str, Any]] = config.get(section) or []
    return next((entry.get(_ENTRIES[section]) or {} for entry in entries if entry["name"] == name), None)


def _absolute(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the paths in a file that was just read absolute: they are seen from its folder."""
    for section, fields in _FILES.items():
        for entry in config.get(section) or []:
            values = entry.get(_ENTRIES[section]) or {}
            for named in fields:
                if values.get(named):
                    values[named] = str(folder / str(values[named]))
            plugin = values.get("exec")
            if isinstance(plugin, dict) and os.sep in str(
                plugin.get("command", "")
            ):  # a bare name is looked up in PATH
                plugin["command"] = str(folder / str(plugin["command"]))
    return config
