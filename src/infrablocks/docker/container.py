"""The block: its fields, and how the base's parts are made of the modules beside it."""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from infrablocks import _environment
from infrablocks._home import home_directory
from infrablocks._prefect_image import get_prefect_image_name
from infrablocks.base import Infrastructure
from infrablocks.docker import _options
from infrablocks.docker._command import docker_command
from infrablocks.docker._create_kwargs import check_create_kwargs
from infrablocks.docker._ports import port_bindings
from infrablocks.docker._reference import parse_reference
from infrablocks.docker._settings import ContainerSettings, Facts, container_settings
from infrablocks.docker._volumes import parse_volumes
from infrablocks.docker.image_pull_policy import ImagePullPolicy
from infrablocks.docker.registry import DockerRegistry
from infrablocks.exceptions import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from infrablocks._output import OutputPosition
    from infrablocks._workload import Workload
    from infrablocks.base import LeftWorkload

    T = TypeVar("T")


def _checked(check: Callable[[Any], object]) -> AfterValidator:
    """Refuse what a function refuses, and change nothing: conversions happen when the settings are built."""

    def validator(value: T) -> T:
        if value is not None:
            check(value)
        return value

    return AfterValidator(validator)


def _check_swap(value: str | int) -> None:
    _options.number_of_bytes(value, unlimited=True)


def _refuse_number(value: object) -> object:
    if isinstance(value, int):
        raise ValueError(f"{value!r} is no text: put ports into quotes, as YAML takes 2222:22 for a number")  # noqa: TRY004
    return value


class DockerContainer(Infrastructure):
    """Run a command in a container of a Docker-compatible engine: Docker, or Podman's service.

    The engine is that of the environment (`DOCKER_HOST` and its like, or the Docker context). The container gets the
    Prefect settings in force that make sense there, and over these `env`. When the Prefect API runs on this machine,
    the container is set up to reach it.

    Attributes:
        image: The image, `[registry[:port]/]path[:tag][@digest]`; Prefect's own when it is not given.
        image_pull_policy: When to pull it. None: always, if it has neither a digest nor a tag other than `latest`;
            otherwise if it is not there.
        image_registry: Credentials for the pull. None: those of the Docker configuration.
        networks: Networks to connect it to, in this order.
        network_mode: Such as `bridge`, `host` or `none`. None: `host` on Linux when the API URL points at this machine
            and neither networks nor ports are given; otherwise the engine's default.
        auto_remove: Whether to remove it when it has ended and its exit code is known.
        volumes: `source:target[:mode]`; the source is the name of a volume or a path. `./x` is taken from the current
            folder when it is run, `~/x` from the home folder.
        stream_output: Whether to pass on what it prints.
        mem_limit: Limit of its memory, in bytes or as `512m`.
        memswap_limit: Limit of memory and swap together; -1 for no limit of swap.
        cpus: How many processors it may use.
        gpus: How many GPUs it gets, or "all".
        privileged: Whether it gets all rights on the engine's machine.
        user: Who runs the command, `name|uid[:group|gid]`.
        working_dir: The folder it runs in.
        platform: Such as `linux/arm64`.
        shm_size: Size of its `/dev/shm`, in bytes or as `64m`.
        init: Whether an init process stands above the command.
        ports: Ports to publish, `[host_ip:]host:container[/proto]`.
        create_kwargs: Further arguments of the Docker SDK's `containers.create`, for what has no field.

    Example:
        ```python
        from infrablocks.docker import DockerContainer

        block = DockerContainer(image="busybox:1.36", command=["echo", "hello"], mem_limit="64m")
        assert '"image": "busybox:1.36"' in block.preview()
        ```
    """

    _block_type_name: ClassVar[str | None] = "Docker Container"
    _block_type_slug: ClassVar[str | None] = "docker-container"

    type: Literal["docker-container"] = "docker-container"
    image: Annotated[str, _checked(parse_reference)] = Field(default_factory=get_prefect_image_name)
    image_pull_policy: ImagePullPolicy | None = None
    image_registry: DockerRegistry | None = None
    networks: Annotated[list[str], _checked(_options.check_networks)] = Field(default_factory=list)
    network_mode: Annotated[str | None, _checked(_options.check_network_mode)] = None
    auto_remove: bool = False
    volumes: Annotated[list[str], _checked(parse_volumes)] = Field(default_factory=list)
    stream_output: bool = True
    mem_limit: Annotated[str | StrictInt | None, _checked(_options.number_of_bytes)] = None
    memswap_limit: Annotated[str | StrictInt | None, _checked(_check_swap)] = None
    cpus: Annotated[float | None, _checked(_options.nano_cpus)] = None
    gpus: Annotated[StrictInt | Literal["all"] | None, _checked(_options.device_requests)] = None
    privileged: bool = False
    user: Annotated[str | StrictInt | None, _checked(_options.check_user)] = None
    working_dir: Annotated[str | None, _checked(_options.check_working_dir)] = None
    platform: Annotated[str | None, _checked(_options.check_platform)] = None
    shm_size: Annotated[str | StrictInt | None, _checked(_options.number_of_bytes)] = None
    init: bool | None = None
    ports: Annotated[list[Annotated[str, BeforeValidator(_refuse_number)]], _checked(port_bindings)] = Field(
        default_factory=list
    )
    create_kwargs: dict[str, Any] = Field(default_factory=dict)

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, value: dict[str, str]) -> dict[str, str]:
        _options.docker_labels(value)
        return value

    @field_validator("create_kwargs")
    @classmethod
    def _check_create_kwargs(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        check_create_kwargs(value, gpus=info.data.get("gpus") is not None)
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.networks and self.network_mode is not None:
            raise ValueError(
                f"networks={self.networks!r} and network_mode={self.network_mode!r} exclude each other: give only one"
            )
        if self.ports and not _options.can_publish(self.network_mode):
            raise ValueError(f"ports={self.ports!r} cannot be published with network_mode={self.network_mode!r}")
        _options.check_memory(self.mem_limit, self.memswap_limit)
        return self

    def preview(self, *, as_command: bool = False, show_secrets: bool = False) -> str:
        """Show what `run` would send to the engine, which is not needed for it; secrets are masked.

        Args:
            as_command: Show the `docker` command that makes the same container when it is pasted into a shell, in
                place of JSON with the arguments of the Docker SDK's `containers.create`.
            show_secrets: Show the secret values in place of `********`.

        Raises:
            InvalidSettings: A copy of the block was given values that validation refuses, or `docker run` has no
                option for one of the `create_kwargs`.
        """
        settings = self._build()
        if as_command:
            return docker_command(settings, show_secrets=show_secrets)
        return settings.as_json(show_secrets=show_secrets)

    def _build(self) -> ContainerSettings:
        settings = container_settings(self._validated(), self._facts())
        for text in settings.warnings:
            warnings.warn(text, stacklevel=3)
        return settings

    def _find_left(self, *, other_hosts: bool) -> Sequence[LeftWorkload]:
        from infrablocks.docker import _reap  # noqa: PLC0415 - it loads the SDK

        return _reap.find_left_containers(other_hosts=other_hosts)

    def _create(self, settings: ContainerSettings) -> Workload:
        from infrablocks.docker import _create  # noqa: PLC0415 - it loads the SDK

        for text in settings.notes:
            self.logger.info("%s", text)
        return _create.create_container(settings, self.logger)

    def _find(self, identifier: str) -> Workload:
        from infrablocks.docker import _watch  # noqa: PLC0415 - it loads the SDK

        return _watch.find_container(identifier)

    def _reattach(self, identifier: str, after: OutputPosition | None) -> Workload:  # noqa: ARG002 - its log begins at the beginning
        from infrablocks.docker import _watch  # noqa: PLC0415 - it loads the SDK

        return _watch.reattach_container(identifier, stream_output=self.stream_output, auto_remove=self.auto_remove)

    def _facts(self) -> Facts:
        from infrablocks import _versions  # noqa: PLC0415 - it costs import time

        return Facts(
            base_environment=self._base_environment(),
            platform=sys.platform,
            prefect_version=_versions.PREFECT,
            version=_versions.INFRABLOCKS,
            folder=os.getcwd(),  # noqa: PTH109 - as text, for an engine
            home=home_directory(),
        )

    def _validated(self) -> DockerContainer:
        """Validate the fields once more when they are used: `model_copy(update=...)` passes validation by.

        Raises:
            InvalidSettings: A field has a value that validation refuses.
        """
        _environment.checked_environment(self.env)
        fields = {name: getattr(self, name) for name in DockerContainer.model_fields if name != "type"}
        try:
            return DockerContainer(**fields)
        except ValidationError as error:
            raise InvalidSettings("; ".join(_problems(error))) from error


def _problems(error: ValidationError) -> list[str]:
    """Say of each field what is wrong with it; values are named but where they may be secret."""
    problems: dict[str, list[str]] = {}
    for one in error.errors(include_url=False):
        name = str(one["loc"][0]) if one["loc"] else ""
        # What else stands there are the types of a union, each of which has its own error.
        field = ".".join([name, *(str(part) for part in one["loc"][1:] if isinstance(part, int))])
        text = one["msg"].removeprefix("Value error, ")
        if one["type"] != "value_error" and name not in {"", "env", "image_registry"}:
            text += f", not {one['input']!r}"
        problems.setdefault(field, []).append(text)
    return [": ".join(filter(None, [field, " / ".join(texts)])) for field, texts in problems.items()]
