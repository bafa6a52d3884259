"""What a container is made with. Pure: every outside fact is an argument."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr

from infrablocks import _environment
from infrablocks.docker import _options
from infrablocks.docker._api_url import (
    HOST_GATEWAY_NAME,
    is_host_gateway,
    is_local,
    reachable_from_container,
    without_user,
)
from infrablocks.docker._ports import port_bindings
from infrablocks.docker._reference import ImageReference, parse_reference
from infrablocks.docker._registry_address import registry_key
from infrablocks.docker._volumes import parse_volumes
from infrablocks.docker.image_pull_policy import ImagePullPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infrablocks._environment import EnvironmentVariables
    from infrablocks.docker.container import DockerContainer

_API_URL = "PREFECT_API_URL"


@dataclass(frozen=True)
class RegistryCredentials:
    """What the pull of one image logs in with.

    Attributes:
        username: Who logs in.
        password: The password, or a token.
        registry_url: The registry by the key that Docker knows it by: host and port, or `https://index.docker.io/v1/`.
    """

    username: str
    password: SecretStr
    registry_url: str


@dataclass(frozen=True)
class Facts:
    """What the settings of a container depend on besides the block.

    Attributes:
        base_environment: The Prefect settings in force.
        platform: `sys.platform`.
        prefect_version: Version of the installed Prefect, None where there is none.
        version: Version of this library, None where it is not installed.
        folder: What sources of volumes are relative to.
        home: What `~` stands for in sources of volumes.
    """

    base_environment: Mapping[str, str]
    platform: str
    prefect_version: str | None
    version: str | None
    folder: str
    home: str


@dataclass(frozen=True)
class ContainerSettings:
    """What `preview` shows and `run` sends.

    Attributes:
        image: The image, parsed.
        image_pull_policy: When to pull it; never None.
        credentials: For the pull; None: those of the Docker configuration.
        environment: Variables of the container; secrets are `SecretStr`.
        removed_variables: Names of variables that `env` takes away. Docker takes away the image's own too when it gets
            a name alone (in the SDK None as its value); Podman must not get it, as it fills in its service's own value.
        create: The other keyword arguments of the SDK's `containers.create`, plain data, with the image's name,
            `name` (the wished one, or None) and `network` (the first of the networks, or None) among them; without
            `environment` and `auto_remove`. `extra_hosts` has `host.docker.internal: host-gateway` where it is wanted;
            an engine that cannot do that gets it taken out when the container is made.
        networks: Further networks, connected in this order between creation and start.
        auto_remove: Whether the container is removed when its exit code is known (never by the engine).
        stream_output: Whether anybody reads what it prints.
        notes: What is told when the container is made: choices that were made for the user.
        warnings: What is likely a mistake.
    """

    image: ImageReference
    image_pull_policy: ImagePullPolicy
    credentials: RegistryCredentials | None
    environment: Mapping[str, str | SecretStr]
    create: Mapping[str, Any]
    networks: tuple[str, ...]
    auto_remove: bool
    stream_output: bool
    removed_variables: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def variables(self, *, show_secrets: bool) -> dict[str, str]:
        """Give the variables of the container as they may be shown."""
        return _environment.revealed(self.environment) if show_secrets else _environment.masked(self.environment)

    def as_json(self, *, show_secrets: bool) -> str:
        """Write the settings as the keyword arguments of the SDK's `containers.create`."""
        variables = self.variables(show_secrets=show_secrets)
        first = ("image", "network", "network_mode", "command")
        arguments = {
            **{name: self.create[name] for name in first},
            "environment": {**variables, **dict.fromkeys(self.removed_variables)},
            "auto_remove": self.auto_remove,
            **{name: value for name, value in self.create.items() if name not in first},
        }
        if self.networks:
            arguments["networks"] = [self.create["network"], *self.networks]
        return json.dumps(arguments, indent=2)


class _Choice(NamedTuple):
    """Something that was chosen for the user, and what to say of it."""

    value: Any
    note: str | None = None
    warning: str | None = None


def container_settings(block: DockerContainer, facts: Facts) -> ContainerSettings:
    """Build the settings of a container.

    Args:
        block: The block to run, with fields that validation has passed.
        facts: What the settings depend on besides.

    Raises:
        ValueError: A field that validation would have refused.
    """
    reference = parse_reference(block.image)
    env = _environment.checked_environment(block.env)
    base_environment = _environment.portable_settings(facts.base_environment)
    network_mode = _network_mode(block, _api_url(env, base_environment), facts.platform)
    credentials = _credentials(block, reference)
    choices = (network_mode, credentials)
    return ContainerSettings(
        image=reference,
        image_pull_policy=block.image_pull_policy or _default_pull_policy(reference),
        credentials=credentials.value,
        environment=_variables(env, base_environment, network_mode.value),
        removed_variables=tuple(name for name, value in env.items() if value is None),
        create={
            "image": str(reference),
            "network": block.networks[0] if block.networks else None,
            "network_mode": network_mode.value,
            "command": list(block.command) or None,
            "labels": {**_version_labels(facts), **_options.docker_labels(block.labels)},
            "extra_hosts": _extra_hosts(block, env, network_mode.value, facts.platform) or None,
            "name": _options.container_name(block.name),
            "volumes": [volume.bind(facts.folder, facts.home) for volume in parse_volumes(block.volumes)],
            **_options_that_are_set(block),
        },
        networks=tuple(block.networks[1:]),
        auto_remove=block.auto_remove,
        stream_output=block.stream_output,
        notes=tuple(choice.note for choice in choices if choice.note),
        warnings=tuple(choice.warning for choice in choices if choice.warning),
    )


def _default_pull_policy(reference: ImageReference) -> ImagePullPolicy:
    return ImagePullPolicy.ALWAYS if reference.is_latest else ImagePullPolicy.IF_NOT_PRESENT


def _credentials(block: DockerContainer, reference: ImageReference) -> _Choice:
    if block.image_registry is None:
        return _Choice(None)
    credentials = block.image_registry.credentials()
    if credentials.registry_url == registry_key(reference.domain):
        return _Choice(credentials)
    # An engine sends the credentials of a pull to whatever registry the image names.
    what_and_why = (block.image_registry.registry_url, str(reference), reference.domain)
    warning = "image_registry is not used: it is for {!r}, and the image {!r} is pulled from {!r}."
    return _Choice(None, warning=warning.format(*what_and_why))


def _api_url(env: EnvironmentVariables, base_environment: Mapping[str, str]) -> str | None:
    value = env.get(_API_URL, base_environment.get(_API_URL))
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _network_mode(block: DockerContainer, api_url: str | None, platform: str) -> _Choice:
    mode = block.network_mode
    if mode is not None:
        unsupported = f"{mode!r} network mode is not supported on platform {platform!r} and may not work as intended."
        return _Choice(mode, warning=unsupported if mode == "host" and platform != "linux" else None)
    # The host's network takes neither further networks nor published ports.
    if block.networks or block.ports or not api_url:
        return _Choice(None)
    local = is_local(api_url)
    shown = _environment.MASK if isinstance(block.env.get(_API_URL), SecretStr) else without_user(api_url)
    if local is None:
        return _Choice(
            None, warning=f"PREFECT_API_URL {shown!r} is not a URL with a host. The network mode will not be inferred."
        )
    if not local or platform != "linux":
        return _Choice(None)
    return _Choice(
        "host",
        note=f"The container gets network mode 'host', since the Prefect API is on this machine ({shown}); set "
        "`network_mode` to choose another.",
    )


def _variables(
    env: EnvironmentVariables, base_environment: Mapping[str, str], network_mode: str | None
) -> dict[str, str | SecretStr]:
    base = dict(base_environment)
    if network_mode != "host" and _API_URL in base:
        base[_API_URL] = reachable_from_container(base[_API_URL])
    return _environment.merged(base, env)


def _version_labels(facts: Facts) -> dict[str, str]:
    labels = {"io.infrablocks.version": facts.version or "unknown"}
    return {"io.prefect.version": facts.prefect_version, **labels} if facts.prefect_version else labels


def _extra_hosts(
    block: DockerContainer, env: EnvironmentVariables, network_mode: str | None, platform: str
) -> dict[str, str]:
    given: dict[str, str] = dict(block.create_kwargs.get("extra_hosts") or {})
    # A container that shares another one's network has its hosts too; engines refuse further ones.
    if platform != "linux" or (network_mode or "").startswith("container:"):
        return given
    api_url = _api_url(env, {})
    if api_url is None or is_local(api_url) or is_host_gateway(api_url):
        return {HOST_GATEWAY_NAME: "host-gateway", **given}
    return given


def _options_that_are_set(block: DockerContainer) -> dict[str, Any]:
    options: dict[str, Any] = {
        "mem_limit": None if block.mem_limit is None else _options.number_of_bytes(block.mem_limit),
        "memswap_limit": None
        if block.memswap_limit is None
        else _options.number_of_bytes(block.memswap_limit, unlimited=True),
        "nano_cpus": None if block.cpus is None else _options.nano_cpus(block.cpus),
        "device_requests": None if block.gpus is None else _options.device_requests(block.gpus),
        "privileged": block.privileged or None,
        "user": None if block.user is None else str(block.user),
        "working_dir": block.working_dir,
        "platform": block.platform,
        "shm_size": None if block.shm_size is None else _options.number_of_bytes(block.shm_size),
        "init": block.init,
        "ports": port_bindings(block.ports) or None,
    }
    others = {name: deepcopy(value) for name, value in block.create_kwargs.items() if name != "extra_hosts"}
    return {name: value for name, value in {**options, **others}.items() if value is not None}
