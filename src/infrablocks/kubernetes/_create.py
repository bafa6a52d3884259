"""Making a Job, and its Secret. What fails on the way leaves nothing behind, and no answer that is lost makes two."""

from __future__ import annotations

import random
import time
import uuid
from typing import TYPE_CHECKING, Any

from infrablocks._pauses import Pauses
from infrablocks._threads import cancellation_requested
from infrablocks._watch_records import WatchRecord
from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable, WorkloadCreationError
from infrablocks.kubernetes._clusters import acquire_cluster, release_cluster
from infrablocks.kubernetes._errors import CONFLICT, NOT_FOUND, PASSING, AccessRefused, ApiRefusal, ClusterUnreachable
from infrablocks.kubernetes._job_calls import core_path, get_job, job_address, jobs_path, remove_job
from infrablocks.kubernetes._logs import OutputReader
from infrablocks.kubernetes._rights import check_rights, needed_rights
from infrablocks.kubernetes._settings import RUN_LABEL
from infrablocks.kubernetes._watch import JobWorkload

if TYPE_CHECKING:
    import logging

    from infrablocks._workload import Workload
    from infrablocks.kubernetes._client import Cluster
    from infrablocks.kubernetes._job_watch import JobSubscription
    from infrablocks.kubernetes._settings import JobSettings

_LISTED_SECONDS = 60.0
# How long a request is repeated whose answer was lost, and how often one that the server failed at.
_REPEAT_SECONDS = 60.0
_SERVER_FAILURES = 4
_NAME_ATTEMPTS = 5

# As the API server's own names have it: no vowels, nothing that looks like something else.
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_LONGEST_NAME = 63


def create_job(settings: JobSettings, logger: logging.Logger) -> Workload:
    """Make a Job. Blocks; for a worker thread.

    Args:
        settings: What it is made with.
        logger: Gets what is told about it.

    Raises:
        WorkloadCreationError: It could not be made; nothing is left behind.
        InfrastructureNotAvailable: The cluster is out of reach, or does not allow it.
    """
    cluster = acquire_cluster(settings.cluster_config)
    try:
        return _Creation(cluster, settings, logger).run()
    except BaseException:
        release_cluster(cluster)
        raise


class _Creation:
    """The making of one Job."""

    def __init__(self, cluster: Cluster, settings: JobSettings, logger: logging.Logger) -> None:
        self._cluster = cluster
        self._settings = settings
        self._logger = logger
        self._run_id = uuid.uuid4().hex
        self._watch_record = WatchRecord(self._run_id)

    def run(self) -> Workload:
        try:
            workload = self._subscribe_and_make()
        except BaseException:
            self._watch_record.remove()
            raise
        workload.watch_record = self._watch_record
        return workload

    def _subscribe_and_make(self) -> Workload:
        settings = self._settings
        watch = self._cluster.job_watch(settings.namespace)
        subscription = watch.subscribe(self._run_id)
        try:
            watch.wait_until_listed(_LISTED_SECONDS)
            needed = needed_rights(stream_output=settings.stream_output, with_secret=bool(settings.secret_values))
            check_rights(self._cluster, settings.namespace, needed)
            return self._make(subscription)
        except BaseException:
            subscription.close()
            raise

    def _make(self, subscription: JobSubscription) -> Workload:
        self._check_cancelled()
        job = self._post_job()
        try:
            self._check_cancelled()
            if self._settings.secret_values:
                self._post_secret(job)
            self._check_cancelled()
        except BaseException:
            remove_job(self._cluster, job_address(job), self._logger)
            raise
        settings = self._settings
        reader = OutputReader(self._cluster, settings.namespace, settings.container, self._logger)
        return JobWorkload(
            self._cluster,
            job,
            settings.container,
            self._logger,
            subscription=subscription,
            reader=reader if settings.stream_output else None,
            start_seconds=settings.start_seconds,
            own_secret=settings.secret_name(self._run_id),
        )

    def _post_job(self) -> dict[str, Any]:
        body = self._settings.job_for_run(self._run_id, self._watch_record.agent_host)
        generated = not body["metadata"].get("name")
        attempts = _NAME_ATTEMPTS if generated else 1
        while True:
            if generated:
                # Chosen here and not by the server, so that a request whose answer was lost can be repeated.
                body["metadata"]["name"] = _generated_name(body["metadata"])
            try:
                return self._post(jobs_path(self._settings.namespace), body)
            except ApiRefusal as error:
                attempts -= 1
                if error.status != CONFLICT or error.reason != "AlreadyExists" or not attempts:
                    raise self._refused("Job", error) from error

    def _post_secret(self, job: dict[str, Any]) -> None:
        body = self._settings.secret_for_run(self._run_id, job, self._watch_record.agent_host)
        try:
            self._post(core_path(self._settings.namespace, "secrets"), body)
        except ApiRefusal as error:
            raise self._refused("Secret", error) from error

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make an object that has a name, and know afterwards whether it was made.

        Raises:
            ApiRefusal: It was not.
            InfrastructureNotAvailable: The cluster is out of reach; this is not known.
        """
        pauses, deadline, failures, lost = Pauses(), time.monotonic() + _REPEAT_SECONDS, 0, False
        while True:
            try:
                return self._cluster.call("POST", path, body=body)
            except ApiRefusal as error:
                failures += 1
                final = error.status not in PASSING or failures >= _SERVER_FAILURES
                # Also what a quota says may come of the object that was made, whose answer was lost.
                if lost and final and (ours := self._own(body, error)) is not None:
                    return ours
                if final:
                    raise
                lost = True
            except InfrastructureNotAvailable as error:
                lost = lost or (isinstance(error, ClusterUnreachable) and error.sent)
                if not lost:
                    raise
                if time.monotonic() > deadline:
                    raise self._unknown(error, body) from error
            # Also for a run that was cancelled: what may have been made is to be known, and removed.
            time.sleep(pauses.next())

    def _own(self, body: dict[str, Any], error: ApiRefusal) -> dict[str, Any] | None:
        """Give the object that was made already, if it was: the answer was lost, and not the request."""
        if body["kind"] == "Secret":
            return body if error.status == CONFLICT else None  # its name is made of the id of the run
        name = body["metadata"]["name"]
        job = get_job(self._cluster, self._settings.namespace, name)
        if job is None or (job["metadata"].get("labels") or {}).get(RUN_LABEL) != self._run_id:
            return None
        self._logger.info("The answer of the cluster was lost; Job %s was found by its label.", name)
        return job

    def _unknown(self, error: InfrastructureNotAvailable, body: dict[str, Any]) -> InfrastructureNotAvailable:
        return InfrastructureNotAvailable(
            f"{error} Whether the {body['kind']} {self._settings.namespace}/{body['metadata']['name']} was made is not "
            f"known; look for the label {RUN_LABEL}={self._run_id} when the cluster is back."
        )

    def _refused(self, kind: str, error: ApiRefusal) -> InfrastructureError:
        if isinstance(error, AccessRefused) and "exceeded quota" not in error.message:
            return InfrastructureNotAvailable(f"Kubernetes {kind} could not be made. {error}")
        namespace = self._settings.namespace
        hint = ""
        if error.status == NOT_FOUND:
            hint = f" Make the namespace {namespace!r}, or choose another one (`namespace`)."
        elif error.status == CONFLICT:
            hint = " Take the name out of the manifest, so that each run gets one of its own."
        return WorkloadCreationError(
            f"Kubernetes {kind} could not be made in the namespace {namespace!r}: "
            f"{error.message or error.reason or error.status}.{hint}"
        )

    def _check_cancelled(self) -> None:
        if cancellation_requested():
            raise WorkloadCreationError("The run was cancelled before its Job was made.")


def _generated_name(metadata: dict[str, Any]) -> str:
    prefix = str(metadata.get("generateName") or "infrablocks-")[: _LONGEST_NAME - _SUFFIX_LENGTH]
    return prefix + "".join(random.choices(_SUFFIX_LETTERS, k=_SUFFIX_LENGTH))  # noqa: S311 - a name, no secret
