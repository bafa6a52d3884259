"""The environment variables of the container: those of the manifest, the block and Prefect, laid over each other."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from infrablocks import _environment
from infrablocks.kubernetes._expansion import literal, with_its_dollars
from infrablocks.kubernetes._settings import SECRET_NAME_PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from infrablocks._environment import EnvironmentVariables

# What clusters of version 1.32 and later take; older ones take less, and say so.
# https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/
_NAME = re.compile(r"[ -<>-~]+")

_SECRET_KEY = re.compile(r"(?!\.\.?\Z)(?!\.\.)[-._a-zA-Z0-9]{1,253}")


@dataclass(frozen=True)
class ContainerVariables:
    """The variables of the container.

    Attributes:
        entries: The container's `env`.
        secret_values: What goes into the Secret of the run, by its keys there.
    """

    entries: list[dict[str, Any]]
    secret_values: dict[str, SecretStr] = field(default_factory=dict)


def check_variables(environment: EnvironmentVariables) -> None:
    """Check that Kubernetes can set variables.

    Raises:
        ValueError: It cannot set one of them, which the message names.
    """
    for name, value in environment.items():
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is not the name of a variable in Kubernetes: it has printable ASCII only, and no '='"
            )
        text = value.get_secret_value() if isinstance(value, SecretStr) else value or ""
        if "\0" in text:
            raise ValueError(f"the value of {name!r} holds NUL, which no variable can")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(f"the value of {name!r} holds what is no text: half of a surrogate pair") from None


def container_variables(
    env: EnvironmentVariables,
    of_the_manifest: Iterable[Mapping[str, Any]],
    base_environment: Mapping[str, str],
    inline: Callable[[SecretStr], str] | None,
) -> ContainerVariables:
    """Lay the variables over each other: those of the block over those of the manifest over those of Prefect.

    Args:
        env: The block's own; None takes a variable away.
        of_the_manifest: The manifest's `env`, in which a value may also be taken from elsewhere.
        base_environment: The Prefect settings in force.
        inline: Writes a secret into the manifest; None: it goes into the Secret of the run.
    """
    # A value may refer to the variables before it, so that the manifest's own order is kept.
    entries: dict[str, Mapping[str, Any] | str | SecretStr | None] = {
        **base_environment,
        **{entry["name"]: _as_secret_where_it_is_one(entry) for entry in of_the_manifest},
    }
    entries.update(env)
    result: list[dict[str, Any]] = []
    secret_values: dict[str, SecretStr] = {}
    for name, value in entries.items():
        if value is None:
            continue
        if isinstance(value, str | SecretStr):
            checked = _environment.merged({name: value})[name]
            if isinstance(checked, SecretStr) and inline is None:
                secret_values[_secret_key(name)] = checked
            result.append(_entry(name, checked, inline))
        else:
            result.append(dict(value))
    return ContainerVariables(result, secret_values)


def masked_variables(value: Any) -> Any:
    """Copy plain JSON, with the values masked of those variables that are Prefect settings which hold credentials."""
    if isinstance(value, list):
        return [masked_variables(below) for below in value]
    if not isinstance(value, dict):
        return value
    result = {name: masked_variables(below) for name, below in value.items()}
    name = value.get("name")
    if isinstance(name, str) and _environment.is_secret_name(name) and isinstance(value.get("value"), str):
        result["value"] = _environment.MASK
    return result


def _as_secret_where_it_is_one(entry: Mapping[str, Any]) -> Mapping[str, Any] | SecretStr:
    value = entry.get("value")
    if isinstance(value, str) and _environment.is_secret_name(entry["name"]):
        return SecretStr(value)
    return entry


def _entry(name: str, value: str | SecretStr, inline: Callable[[SecretStr], str] | None) -> dict[str, Any]:
    if not isinstance(value, SecretStr):
        return {"name": name, "value": with_its_dollars(value)}
    if inline is not None:
        # In a Secret, nothing is put in place of anything.
        return {"name": name, "value": literal(inline(value))}
    reference = {"name": SECRET_NAME_PLACEHOLDER, "key": _secret_key(name)}
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}


def _secret_key(name: str) -> str:
    """Give the key of a variable in the Secret: its name, or a hash of it where keys cannot have its characters."""
    if _SECRET_KEY.fullmatch(name):
        return name
    return f"variable-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
