"""What a Job is called: a prefix, which the API makes a name of."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from pydantic import SecretStr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infrablocks._environment import EnvironmentVariables

# With the dash and the five characters that the API adds, it is well below the 63 that a label may have, which
# Kubernetes makes of it.
_LONGEST = 45
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


def generate_name(name: str | None, command: Sequence[str], env: EnvironmentVariables) -> str:
    """Give the `generateName` of a Job: a slug of its name, or the same hash for the same command and variables.

    https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names

    Args:
        name: The block's name, any text.
        command: What runs.
        env: The block's variables; the values of secret ones do not come in.
    """
    return f"{_slug(name or '') or f'prefect-job-{_stable_hash(command, env)}'}-"


def check_namespace(namespace: str) -> str:
    """Check the name of a namespace, which is a part of addresses.

    Raises:
        ValueError: It is not one.
    """
    if not _NAMESPACE.fullmatch(namespace):
        raise ValueError(
            f"{namespace!r} is not the name of a namespace: 1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'"
        )
    return namespace


def _slug(name: str) -> str:
    from slugify import slugify  # noqa: PLC0415 - it costs import time

    text = name.encode(errors="ignore").decode()
    slug: str = slugify(text, entities=False, decimal=False, hexadecimal=False, regex_pattern=r"[^a-z0-9-]+")
    return slug[:_LONGEST].strip("-")


def _stable_hash(command: Sequence[str], env: EnvironmentVariables) -> str:
    # A short secret could be found from its hash.
    values = {name: None if isinstance(value, SecretStr) else value for name, value in env.items()}
    text = json.dumps([list(command), sorted(values.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
