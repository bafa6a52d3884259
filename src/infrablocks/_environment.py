"""Environment variables: what a block may set, what a program inherits, the Prefect settings; which are secret."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from infrablocks._home import expand_home
from infrablocks.exceptions import InvalidSettings

logger = logging.getLogger("infrablocks.environment")

MASK = "********"
"""What is shown in place of a secret."""

SECRET_KEY = "INFRABLOCKS_SECRET_KEY"  # noqa: S105 - the name of a variable
"""The variable that holds the key to the secrets of saved blocks."""

# The second one is for the path of a file with the key.
_KEPT_BACK = (SECRET_KEY, "INFRABLOCKS_SECRET_KEY_FILE")

EnvironmentVariables = Mapping[str, str | SecretStr | None]

# The settings of Prefect 2 and 3 that hold credentials: API keys, auth strings, connection URLs (with the password in
# them), headers, passwords, tokens.
_SECRET_SETTING = re.compile(
    r"PREFECT_\w*(KEY|AUTH_STRING|CONNECTION_URL|DOCKET_URL|CUSTOM_HEADERS|PASSWORD|TOKEN|SECRET)"
)

# Their value is a path of this machine, or they are the business of a server.
_LOCAL_SETTING = re.compile(r"PREFECT_(HOME|\w*_(PATH|FILE|DIRECTORY)|SERVER_\w*|API_DATABASE_\w*)")


def is_secret_name(name: str) -> bool:
    """Say whether a variable is the key to saved blocks or a Prefect setting with credentials, and is never shown."""
    return name == SECRET_KEY or _SECRET_SETTING.fullmatch(name) is not None


def inherited_environment() -> Mapping[str, str]:
    """Give what a program that this process starts inherits: `os.environ` without the key to saved blocks.

    With that key, whoever reads the environment of a command, or what it prints, could decrypt every saved secret.

    Returns:
        `os.environ` itself where there is no such key.
    """
    if not any(name in os.environ for name in _KEPT_BACK):
        return os.environ
    return {name: value for name, value in os.environ.items() if name not in _KEPT_BACK}


def emptied_variables() -> dict[str, str]:
    """Give the same for an SDK that can only set variables of a program that it starts: the key is empty then."""
    return {name: "" for name in _KEPT_BACK if name in os.environ}


def validated_environment(value: object) -> object:
    """Check the names of variables and turn plain YAML values (numbers, booleans, dates) into their YAML text.

    Anything else in the mapping is left to the field's own types.

    Raises:
        ValueError: A name that no operating system could set, because it is empty or holds "=" or NUL.
    """
    if not isinstance(value, Mapping):
        return value
    for name in value:
        if not isinstance(name, str):
            raise ValueError(f"{name!r} is not the name of a variable: quote it in YAML")  # noqa: TRY004 (pydantic's way)
        if not name or "=" in name or "\0" in name:
            raise ValueError(f"{name!r} is not the name of a variable: it must not be empty and not hold '=' or NUL")
    return {name: _yaml_text(item) for name, item in value.items()}


def _yaml_text(value: object) -> object:
    match value:
        case bool():
            return "true" if value else "false"
        case float() if math.isinf(value):
            return ".inf" if value > 0 else "-.inf"
        case float() if math.isnan(value):
            return ".nan"
        case int() | float():
            return str(value)
        case date():  # a datetime too
            return value.isoformat()
        case _:
            return value


def checked_environment(environment: EnvironmentVariables) -> EnvironmentVariables:
    """Check a block's environment once more when it is used: `model_copy(update=...)` passes validation by.

    Raises:
        InvalidSettings: A name or a value that cannot be set.
    """
    try:
        texts = validated_environment(environment)
    except ValueError as error:
        raise InvalidSettings(f"env: {error}") from error
    if not isinstance(texts, Mapping):
        raise InvalidSettings(f"env must be a mapping, not {type(environment).__name__}")
    for name, value in texts.items():
        if not isinstance(value, str | SecretStr | None):
            raise InvalidSettings(f"env: the value of {name!r} must be text or None, not {type(value).__name__}")
    return texts


def merged(*layers: EnvironmentVariables) -> dict[str, str | SecretStr]:
    """Lay environments over each other, the last one on top; None takes a variable away.

    From here on every secret is a `SecretStr`, those too that are known by their name only.
    """
    result: dict[str, str | SecretStr] = {}
    for layer in layers:
        for name, value in layer.items():
            if value is None:
                result.pop(name, None)
            else:
                result[name] = SecretStr(value) if isinstance(value, str) and is_secret_name(name) else value
    return result


def revealed(environment: Mapping[str, str | SecretStr]) -> dict[str, str]:
    """Give the real values, for the workload itself."""
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in environment.items()
    }


def masked(environment: Mapping[str, str | SecretStr]) -> dict[str, str]:
    """Give what may be shown: `MASK` in place of every secret."""
    return {name: MASK if isinstance(value, SecretStr) else value for name, value in environment.items()}


def prefect_settings(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Read the Prefect settings in force: the `PREFECT_*` variables of this process over the active profile's.

    The profile is the one that `PREFECT_PROFILE` names, otherwise the active one of `$PREFECT_HOME/profiles.toml`.
    Prefect itself is not needed. A file that cannot be used is warned of once, and the variables alone are given.
    """
    environ = os.environ if environ is None else environ
    variables = {name: environ[name] for name in environ if _is_setting(name)}
    return {**_profile_settings(environ), **variables}


def portable_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Leave out the Prefect settings that make no sense elsewhere: paths of this machine, and those of a server."""
    return {name: value for name, value in settings.items() if not _LOCAL_SETTING.fullmatch(name)}


def _is_setting(name: str) -> bool:
    # PREFECT__FLOW_RUN_ID and its like belong to one flow run; PREFECT_PROFILE chooses settings and is none.
    return name.startswith("PREFECT_") and not name.startswith("PREFECT__") and name != "PREFECT_PROFILE"


def profiles_path(environ: Mapping[str, str]) -> Path:
    """Give the path of the file with Prefect's profiles; it may begin with `~` and the name of another user."""
    home = environ.get("PREFECT_HOME") or "~/.prefect"
    return Path(expand_home(environ.get("PREFECT_PROFILES_PATH") or f"{home}/profiles.toml"))


def _profile_settings(environ: Mapping[str, str]) -> Mapping[str, str]:
    path = profiles_path(environ)
    try:
        path = path.expanduser()  # of another user, who may not be there
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, RuntimeError, ValueError) as error:
        _warn_once(str(path), str(error))
        return {}
    return _read_profile(path, status.st_mtime_ns, status.st_size, environ.get("PREFECT_PROFILE"))


@lru_cache(maxsize=8)
def _read_profile(path: Path, _mtime: int, _size: int, name: str | None) -> Mapping[str, str]:
    import tomllib  # noqa: PLC0415 (only where there is a file)

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return _settings_of_profile(document, name)
    except (OSError, ValueError) as error:
        _warn_once(str(path), str(error))
        return {}


def _settings_of_profile(document: dict[str, Any], name: str | None) -> dict[str, str]:
    name = name or document.get("active")
    if name is None:
        return {}
    profiles = document.get("profiles", {})
    profile = profiles.get(name) if isinstance(profiles, dict) and isinstance(name, str) else None
    if not isinstance(profile, dict):
        raise ValueError(f"it has no profile {name!r}")  # noqa: TRY004 (the file is wrong, not a type of ours)
    texts = {key: _yaml_text(value) for key, value in profile.items() if _is_setting(key)}
    return {key: text for key, text in texts.items() if isinstance(text, str)}


@lru_cache(maxsize=64)
def _warn_once(path: str, problem: str) -> None:
    logger.warning("Prefect's profiles in %s are not used: %s", path, problem)
