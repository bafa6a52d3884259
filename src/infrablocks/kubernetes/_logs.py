"""The output of one Job: the logs of its container, pod after pod, read on where a stream was cut."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from anyio import move_on_after

from infrablocks._threads import ThreadsafeEvent
from infrablocks._worker_threads import workers
from infrablocks.exceptions import InfrastructureNotAvailable
from infrablocks.kubernetes._errors import NOT_FOUND, AccessRefused, ApiRefusal
from infrablocks.kubernetes._instances import NOT_KEPT, tell_lost
from infrablocks.kubernetes._job_calls import core_path
from infrablocks.kubernetes._log_position import LogPosition
from infrablocks.kubernetes._log_progress import LogProgress

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence

    from infrablocks._output import Output
    from infrablocks.kubernetes._client import Cluster
    from infrablocks.kubernetes._instances import Instance
    from infrablocks.kubernetes._streams import ApiStream

# A stream ends with the container; that this has ended, the node reports within a second or so.
_END_FOLLOWS_SECONDS = 3.0
# After the end of the container its output is there at once. A stream that then keeps silent is cut.
_SILENCE_SECONDS = 2.0
# How long the rest of a log that is all there may take to come.
_READ_SECONDS = 60.0
# What pods that lost their Job still print while they end.
_AFTER_REMOVAL_SECONDS = 5.0


class OutputReader:
    """Copies the output of one Job, in a worker thread.

    Args:
        cluster: Where it is.
        namespace: The namespace of the Job.
        container: The name of the container.
        logger: Gets what goes wrong.
        after_source: Names the instance whose output was delivered last, by another run; those before it are left out.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        container: str,
        logger: logging.Logger,
        *,
        after_source: str | None = None,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._container = container
        self._logger = logger
        self._after_source = after_source
        self._changed = threading.Condition()
        self._instances: list[Instance] = []
        self._copied: set[tuple[str, int]] = set()
        self._stream: ApiStream | None = None
        self._closed = False
        self._job_ended = False
        self._delivering = False
        self._delivered = 0
        self._last_news = time.monotonic()

    def start(self, output: Output) -> None:
        """Begin to copy; called in the event loop."""
        self._output = output
        self._done = ThreadsafeEvent()
        workers.submit(self._run)

    def update(self, found: Sequence[Instance]) -> None:
        """Say which runs of the container there are; called in the event loop."""
        with self._changed:
            self._instances = list(found)
            self._changed.notify_all()

    async def finish(self, *, removed: bool = False) -> None:
        """Wait, after the end of the Job, until all its output is handed over, however slow the reader is.

        Args:
            removed: Whether the Job was deleted, so that its pods may be still ending.
        """
        with self._changed:
            self._job_ended = True
            self._last_news = time.monotonic()
            self._changed.notify_all()
        with move_on_after(_AFTER_REMOVAL_SECONDS if removed else None):
            while not self._done.is_set():
                with move_on_after(_SILENCE_SECONDS):
                    await self._done.wait()
                    return
                if not self._delivering and time.monotonic() - self._last_news >= _SILENCE_SECONDS:
                    self._cut()
        self.close()

    def close(self) -> None:
        """Have the thread end. Does not wait for it: it may wait for whoever reads the output."""
        with self._changed:
            self._closed = True
            self._job_ended = True
            self._changed.notify_all()
        self._cut()

    def _cut(self) -> None:
        with self._changed:
            if self._stream is not None:
                self._stream.end()

    def _run(self) -> None:
        try:
            while (instance := self._next()) is not None:
                self._copy(instance)
        except Exception:
            self._logger.exception("Reading the output of a Kubernetes Job failed")
        finally:
            self._done.set()

    def _next(self) -> Instance | None:
        """Wait for a run of the container whose output was not copied yet; None: there will be none."""
        with self._changed:
            while not self._closed:
                self._leave_out_delivered()
                for instance in self._instances:
                    if (instance.uid, instance.number) not in self._copied:
                        self._copied.add((instance.uid, instance.number))
                        return instance
                if self._job_ended:
                    return None
                self._changed.wait()
        return None

    def _leave_out_delivered(self) -> None:
        source = self._after_source
        known = [instance.source for instance in self._instances]
        if source is None or not known:
            return
        self._after_source = None
        if source in known:  # else it is gone, and all that is there came later
            before = self._instances[: known.index(source)]
            self._copied.update((instance.uid, instance.number) for instance in before)

    def _now(self, instance: Instance) -> Instance:
        """Give what is known now about a run of the container."""
        same = (now for now in self._instances if (now.uid, now.number) == (instance.uid, instance.number))
        return next(same, instance)

    def _copy(self, instance: Instance) -> None:
        """Copy one log to its end.

        Where the API server loses the node in the middle of a log, its answer ends as if that were all. So the log is
        read on, once the container has ended, until nothing new comes.
        """
        self._output.begin_source_from_thread(instance.source)
        position, progress = LogPosition(), LogProgress()
        while not self._closed:
            now, before = self._now(instance), self._delivered
            progress.begin(job_ended=self._job_ended, container_ended=now.has_ended or self._job_ended)
            if now.newer > 1:
                self._tell_lost(instance, progress, NOT_KEPT)
                break
            try:
                progress.note(whole=self._copy_once(now, position), new=self._delivered > before)
            except ApiRefusal as error:
                if error.status == NOT_FOUND:
                    self._tell_lost(instance, progress, error.message)
                    break
                if isinstance(error, AccessRefused):
                    progress.note_refused(error.message)
                else:
                    progress.note(whole=False, new=False)
            except InfrastructureNotAvailable:
                progress.note_out_of_reach(new=self._delivered > before)
            if progress.is_done:
                break
            if progress.is_given_up:
                self._tell_given_up(instance, progress)
                break
            self._wait(instance, progress)
        self._tell_problems(instance, position)

    def _copy_once(self, instance: Instance, position: LogPosition) -> bool:
        """Copy the log from where it is on. True: to its end, as the API server says; False: it was cut."""
        query: dict[str, Any] = {"container": self._container, "timestamps": "true"}
        if not instance.has_ended:
            query["follow"] = "true"
        if instance.newer:
            query["previous"] = "true"
        if position.since is not None:
            query["sinceTime"] = position.since
        path = f"{core_path(self._namespace, 'pods')}/{quote(instance.pod, safe='')}/log"
        has_ended = instance.has_ended
        stream = self._cluster.stream(
            path, query, read_seconds=_READ_SECONDS if has_ended else None, reads_ahead=has_ended
        )
        with self._changed:
            self._stream = stream
            if self._closed:
                stream.end()
        position.begin()
        try:
            stream.open()
            for chunk in stream.chunks():
                self._deliver(position.feed(chunk))
            return not stream.is_ended
        finally:
            with self._changed:
                self._stream = None
            stream.close()

    def _deliver(self, data: bytes) -> None:
        self._delivering = True
        if data:
            self._delivered += len(data)
            self._output.write_from_thread("stdout", data)
        self._last_news = time.monotonic()
        self._delivering = False

    def _wait(self, instance: Instance, progress: LogProgress) -> None:
        """Wait before the log is read once more."""
        with self._changed:
            if progress.is_whole and not progress.refusal:  # the container has ended: that is told in a moment
                self._changed.wait_for(
                    lambda: self._closed or self._job_ended or self._now(instance).has_ended, _END_FOLLOWS_SECONDS
                )
            else:
                self._changed.wait_for(lambda: self._closed, progress.pause())

    def _label(self, instance: Instance) -> str:
        return instance.label(self._namespace, self._container)

    def _tell_lost(self, instance: Instance, progress: LogProgress, why: str) -> None:
        if not progress.is_whole:  # else nothing says that anything is missing
            tell_lost(self._logger, self._label(instance), why)

    def _tell_given_up(self, instance: Instance, progress: LogProgress) -> None:
        if progress.refusal:
            self._tell_lost(instance, progress, progress.refusal)
        else:
            self._logger.warning("The output of %s could not be read to its end.", self._label(instance))

    def _tell_problems(self, instance: Instance, position: LogPosition) -> None:
        if position.has_gap:
            self._logger.warning(
                "The log of %s was rotated or removed at the node while it was read once more: output may be lost.",
                self._label(instance),
            )
        if position.complaints and not position.since:
            self._logger.warning("The node says about the log of %s: %s", self._label(instance), position.complaints[0])
