"""The block: its fields, and how the base's parts are made of the modules beside it."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from jsonpatch import JsonPatch
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator, model_validator

from infrablocks import _environment
from infrablocks._life_cycle import TimeLimit
from infrablocks._prefect_image import get_prefect_image_name
from infrablocks._threads import ThreadLimit
from infrablocks.base import Infrastructure
from infrablocks.exceptions import InvalidManifest, InvalidSettings
from infrablocks.kubernetes import _files
from infrablocks.kubernetes._base_manifest import KubernetesManifest, base_job_manifest, check_base_manifest
from infrablocks.kubernetes._customizations import Customizations
from infrablocks.kubernetes._manifest import job_settings
from infrablocks.kubernetes._names import check_namespace
from infrablocks.kubernetes._plain_json import plain_json
from infrablocks.kubernetes._preview import answer_preview, job_preview
from infrablocks.kubernetes._quantities import Quantity, check_limit
from infrablocks.kubernetes._variables import check_variables, masked_variables
from infrablocks.kubernetes.cluster import KubernetesClusterConfig
from infrablocks.kubernetes.image_pull_policy import KubernetesImagePullPolicy

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from kubernetes.client import BatchV1Api, CoreV1Api

    from infrablocks._output import OutputPosition
    from infrablocks._workload import Workload
    from infrablocks.base import LeftWorkload
    from infrablocks.kubernetes._settings import JobSettings

_LARGEST_NUMBER = 2**31 - 1


def _plain_manifest(value: object) -> object:
    return plain_json(value) if isinstance(value, dict) else value


def _checked_manifest(value: KubernetesManifest) -> KubernetesManifest:
    check_base_manifest(value)
    return value


class KubernetesJob(Infrastructure):
    """Run a command as a Job of a Kubernetes cluster.

    The Job is made in three steps: the manifest `job`; the other fields as shortcuts for what most Jobs need, each of
    which wins over the manifest when it is given; and `customizations`. The container that runs the command is the one
    called `prefect-job`, or the only one. In its command and variables, Kubernetes puts the value of a variable in
    place of `$(NAME)`, unless that is written as `$$(NAME)`.

    Attributes:
        image: The image of the container; Prefect's own when neither it nor the manifest's is given.
        namespace: Where the Job is made; "default" when neither it nor the manifest's is given.
        service_account_name: As whom the command may ask the cluster.
        image_pull_policy: When a node pulls the image. None: the cluster decides by the tag.
        cluster_config: Which cluster. None: the one this process runs in, otherwise the kubeconfig's.
        job: The manifest, with at least what `base_job_manifest` has.
        customizations: A JSON patch (RFC 6902) of the manifest, applied last; a list of operations, or JSON text.
        job_watch_timeout_seconds: Limit for the whole run in seconds, as `timeout_seconds`; the lower one counts.
        pod_watch_timeout_seconds: How long the pod may take to start, in seconds.
        finished_job_ttl: How long the cluster keeps the Job when it has ended, in seconds. None: for ever.
        cpu_request: How many processors a node must have left for the container, such as 0.5 or "500m".
        cpu_limit: How many processors it may use.
        memory_request: How much memory a node must have left for it, such as "512Mi".
        memory_limit: How much memory it may use.
        secrets: Where secret variables go: into a Secret that is the Job's and deleted with it, or "inline" into the
            manifest, where everybody who may read the Job sees them.
        stream_output: Whether to pass on what the container prints.

    Example:
        ```python
        from infrablocks.kubernetes import KubernetesJob

        block = KubernetesJob(image="busybox:1.36", command=["echo", "hello"], memory_limit="64Mi")
        assert "image: busybox:1.36" in block.preview()
        ```
    """

    _block_type_name: ClassVar[str | None] = "Kubernetes Job"
    _block_type_slug: ClassVar[str | None] = "kubernetes-job"
    # A Job is made in milliseconds; each thread may need a connection of its own for that.
    # More would be no faster, as they share one interpreter, and keep it from the event loop for longer.
    _creation_threads: ClassVar[ThreadLimit] = ThreadLimit(8)

    type: Literal["kubernetes-job"] = "kubernetes-job"
    image: str = Field(default_factory=get_prefect_image_name, min_length=1)
    namespace: Annotated[str, AfterValidator(check_namespace)] = "default"
    service_account_name: str | None = None
    image_pull_policy: KubernetesImagePullPolicy | None = None
    cluster_config: KubernetesClusterConfig | None = None
    job: Annotated[KubernetesManifest, BeforeValidator(_plain_manifest), AfterValidator(_checked_manifest)] = Field(
        default_factory=base_job_manifest
    )
    customizations: Customizations = Field(default_factory=lambda: JsonPatch([]))
    job_watch_timeout_seconds: int | None = Field(default=None, gt=0)
    pod_watch_timeout_seconds: int = Field(default=60, gt=0)
    finished_job_ttl: int | None = Field(default=None, ge=0, le=_LARGEST_NUMBER)
    cpu_request: Quantity | None = None
    cpu_limit: Quantity | None = None
    memory_request: Quantity | None = None
    memory_limit: Quantity | None = None
    secrets: Literal["secret", "inline"] = "secret"
    stream_output: bool = True

    @classmethod
    def _default_gives_way(cls, name: str) -> bool:
        """Say that the manifest's own stays unless these were given."""
        return name in {"image", "namespace", "command"}

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Give the fields for `repr` and `str`, the secrets masked, and the patch as its operations."""
        for name, value in super().__repr_args__():
            shown = value.patch if isinstance(value, JsonPatch) else value
            yield name, masked_variables(shown) if name in {"job", "customizations"} else shown

    @field_validator("env")
    @classmethod
    def _check_env(cls, value: dict[str, Any]) -> dict[str, Any]:
        check_variables(value)
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        check_limit("cpu", self.cpu_request, self.cpu_limit)
        check_limit("memory", self.memory_request, self.memory_limit)
        job_settings(self, {}, before_it_is_run=True)
        return self

    @classmethod
    def base_job_manifest(cls) -> KubernetesManifest:
        """Give the least that a manifest must have; `backoffLimit` may be left out."""
        return base_job_manifest()

    @classmethod
    def job_from_file(cls, path: str | os.PathLike[str]) -> KubernetesManifest:
        """Read a manifest for `job` from a YAML or JSON file.

        Args:
            path: The file; JSON when its name ends with `.json`.

        Raises:
            InvalidManifest: The file cannot be read, or has no mapping; the message names file and line.
        """
        return _files.job_from_file(path)

    @classmethod
    def customize_from_file(cls, path: str | os.PathLike[str]) -> JsonPatch:
        """Read a JSON patch for `customizations` from a YAML or JSON file.

        Args:
            path: The file; JSON when its name ends with `.json`.

        Raises:
            InvalidManifest: The file cannot be read, or has no list of operations; the message names file and line.
        """
        return _files.customize_from_file(path)

    def build_job(self) -> KubernetesManifest:
        """Build the manifest that `run` sends, which adds a label with an id of the run to it.

        Secret variables refer to a Secret under a name that each run replaces by its own; with `secrets="inline"` they
        are in the manifest, and not masked. The block is not changed.

        Raises:
            InvalidManifest: The customizations do not fit.
            InvalidSettings: A copy of the block was given values that validation refuses.
        """
        return dict(self._settings().manifest)

    def preview(self, *, server: bool = False, show_secrets: bool = False) -> str:
        """Show what `run` would send, as YAML; secrets are masked.

        What a run adds of its own is not in it: a label with its id, and that its Secret has a name of its own.

        Args:
            server: Ask the cluster what it would make of it, and show its answer, in which all defaults are filled in.
                Nothing is made. It takes its time: in an event loop, call it in a worker thread.
            show_secrets: Show the secret values in place of `********`.

        Raises:
            InvalidManifest: The customizations do not fit; or the cluster would refuse the Job.
            InvalidSettings: A copy of the block was given values that validation refuses.
            InfrastructureNotAvailable: The cluster is out of reach, or does not allow it.
        """
        settings = self._settings(masked=not show_secrets)
        if not server:
            return job_preview(settings, show_secrets=show_secrets)
        from infrablocks.kubernetes._dry_run import dry_run  # noqa: PLC0415 - it loads the SDK

        return answer_preview(dry_run(settings))

    @contextmanager
    def get_client(self) -> Iterator[CoreV1Api]:
        """Give the SDK's Core API of this block's cluster.

        Raises:
            InfrastructureNotAvailable: No cluster is configured.
        """
        from infrablocks.kubernetes._sdk_clients import core_api  # noqa: PLC0415 - it loads the SDK

        with core_api(self.cluster_config) as api:
            yield api

    @contextmanager
    def get_batch_client(self) -> Iterator[BatchV1Api]:
        """Give the SDK's Batch API of this block's cluster.

        Raises:
            InfrastructureNotAvailable: No cluster is configured.
        """
        from infrablocks.kubernetes._sdk_clients import batch_api  # noqa: PLC0415 - it loads the SDK

        with batch_api(self.cluster_config) as api:
            yield api

    def _time_limit(self) -> TimeLimit | None:
        limit, seconds = super()._time_limit(), self.job_watch_timeout_seconds
        if seconds is None or (limit is not None and limit.seconds <= seconds):
            return limit
        return TimeLimit(seconds, "job_watch_timeout_seconds")

    def _settings(self, *, masked: bool = False) -> JobSettings:
        return job_settings(self._validated(), self._base_environment(), masked=masked)

    def _namespace_of_job(self) -> str:
        return self._settings().namespace

    def _build(self) -> JobSettings:
        settings = self._settings()
        for text in settings.warnings:
            warnings.warn(text, stacklevel=3)
        return settings

    def _create(self, settings: JobSettings) -> Workload:
        from infrablocks.kubernetes import _create  # noqa: PLC0415 - it loads the SDK

        for text in settings.notes:
            self.logger.info("%s", text)
        return _create.create_job(settings, self.logger)

    def _find(self, identifier: str) -> Workload:
        from infrablocks.kubernetes import _find  # noqa: PLC0415 - it loads the SDK

        return _find.find_job(identifier, self.cluster_config, self._namespace_of_job)

    def _find_left(self, *, other_hosts: bool) -> Sequence[LeftWorkload]:
        from infrablocks.kubernetes import _reap  # noqa: PLC0415 - it loads the SDK

        return _reap.find_left_jobs(self.cluster_config, self._namespace_of_job(), other_hosts=other_hosts)

    def _reattach(self, identifier: str, after: OutputPosition | None) -> Workload:
        from infrablocks.kubernetes import _find  # noqa: PLC0415 - it loads the SDK

        return _find.reattach_job(
            identifier,
            after,
            self.cluster_config,
            self._namespace_of_job,
            self.logger,
            stream_output=self.stream_output,
            start_seconds=float(self.pod_watch_timeout_seconds),
        )

    def _validated(self) -> KubernetesJob:
        """Validate the fields once more when they are used: `model_copy(update=...)` passes validation by.

        Raises:
            InvalidManifest: The manifest or its customizations are refused.
            InvalidSettings: Another field has a value that validation refuses.
        """
        _environment.checked_environment(self.env)
        names = [name for name in KubernetesJob.model_fields if name != "type"]
        try:
            block = KubernetesJob(**{name: getattr(self, name) for name in names if name in self.model_fields_set})
        except ValidationError as error:
            raise _refusal(error) from error
        # A subclass may have defaults of its own, which are not to count as given.
        block.__dict__.update({name: getattr(self, name) for name in names if name not in self.model_fields_set})
        return block


def _refusal(error: ValidationError) -> InvalidManifest | InvalidSettings:
    """Say of each field what is wrong with it, without its value, which may be secret."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    texts = []
    for one in problems:
        field = ".".join(str(part) for part in one["loc"][:1])
        texts.append(": ".join(filter(None, [field, one["msg"].removeprefix("Value error, ")])))
    of_the_manifest = all(one["loc"][:1] in {(), ("job",), ("customizations",)} for one in problems)
    return (InvalidManifest if of_the_manifest else InvalidSettings)("; ".join(dict.fromkeys(texts)))
