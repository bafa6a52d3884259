"""The settings of a container as the command that makes the same one: `docker run`, for people to paste."""

from __future__ import annotations

import shlex
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from infrablocks.docker._command_options import further_options
from infrablocks.docker._ports import published
from infrablocks.docker.image_pull_policy import ImagePullPolicy
from infrablocks.exceptions import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infrablocks.docker._settings import ContainerSettings

_PULL = {ImagePullPolicy.ALWAYS: "always", ImagePullPolicy.IF_NOT_PRESENT: "missing", ImagePullPolicy.NEVER: "never"}

# Options whose text is that of the argument.
_PLAIN = {
    "name": "--name",
    "network": "--network",
    "network_mode": "--network",
    "mem_limit": "--memory",
    "memswap_limit": "--memory-swap",
    "shm_size": "--shm-size",
    "user": "--user",
    "working_dir": "--workdir",
    "platform": "--platform",
}
_HANDLED = frozenset(
    {"image", "command", "labels", "extra_hosts", "volumes", "ports", "nano_cpus", "privileged", "init", "entrypoint"}
)


def docker_command(settings: ContainerSettings, *, show_secrets: bool) -> str:
    """Write the command, quoted for a POSIX shell, one option a line.

    With one network it is one `docker run`. Engines before 25 take only one network at the creation, so that with
    several it is `docker create`, then `docker network connect` and `docker start`, as `run` does it too.

    Raises:
        InvalidSettings: The command line has no option for something in the settings.
    """
    if not settings.networks:
        return " \\\n".join(_words("run", settings, show_secrets=show_secrets))
    create = " \\\n".join(_words("create", settings, show_secrets=show_secrets))
    connects = (f'docker network connect {shlex.quote(network)} "$container"' for network in settings.networks)
    return " &&\n".join([f"container=$({create})", *connects, 'docker start --attach "$container"'])


def _words(verb: str, settings: ContainerSettings, *, show_secrets: bool) -> list[str]:
    variables = settings.variables(show_secrets=show_secrets)
    # An option `--env NAME` takes the value from the shell, or removes the variable where the shell has none.
    program = [f"env -u {shlex.quote(name)}" for name in settings.removed_variables]
    options = [
        ("--pull", _PULL[settings.image_pull_policy]),
        *([("--rm", None)] if settings.auto_remove else []),
        *_options(settings.create),
        *(("--env", f"{name}={value}") for name, value in variables.items()),
        *(("--env", name) for name in settings.removed_variables),
    ]
    entrypoint, arguments = _entrypoint(settings.create)
    command = [*arguments, *(settings.create["command"] or [])]
    return [
        *program,
        f"docker {verb}",
        *(f"  {option}" if value is None else f"  {option} {shlex.quote(value)}" for option, value in options),
        *entrypoint,
        f"  {shlex.quote(settings.create['image'])}",
        *([f"  {shlex.join(command)}"] if command else []),
    ]


def _options(create: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    for name, option in _PLAIN.items():
        if create.get(name) is not None:
            yield option, str(create[name])
    yield from _structured_options(create)
    yield from further_options({name: value for name, value in create.items() if name not in _HANDLED | _PLAIN.keys()})


def _structured_options(create: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    if "nano_cpus" in create:
        yield "--cpus", f"{(Decimal(create['nano_cpus']) / 10**9).normalize():f}"
    if create.get("privileged"):
        yield "--privileged", None
    if "init" in create:
        yield "--init" if create["init"] else "--init=false", None
    for key, value in create["labels"].items():
        if "=" in key:
            raise InvalidSettings(
                f"preview(as_command=True): `docker run` cannot set the label {key!r}, as it has '='."
            )
        yield "--label", f"{key}={value}"
    for host, address in (create["extra_hosts"] or {}).items():
        yield "--add-host", f"{host}:{address}"
    for volume in create["volumes"]:
        yield "--volume", volume
    for port in published(create.get("ports", {})):
        yield "--publish", port


def _entrypoint(create: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Give the option for an entrypoint, and those of its words that the command line takes as arguments only."""
    entrypoint = create.get("entrypoint")
    if entrypoint is None:
        return [], []
    first, *others = shlex.split(entrypoint) if isinstance(entrypoint, str) else entrypoint or [""]
    return [f"  --entrypoint {shlex.quote(first)}"], others
