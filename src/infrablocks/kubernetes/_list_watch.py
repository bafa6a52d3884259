"""What happens to the objects of one kind: they are listed once, then watched, whatever becomes of the connection.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from infrablocks._pauses import GIVE_UP_SECONDS, Pauses
from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable
from infrablocks.kubernetes._errors import (
    GONE,
    NOT_FOUND,
    AccessRefused,
    ApiRefusal,
    ClusterUnreachable,
    status_refusal,
)
from infrablocks.kubernetes._request_rate import RequestRate
from infrablocks.kubernetes._settings import RUN_LABEL

if TYPE_CHECKING:
    from collections.abc import Collection

    from infrablocks.kubernetes._client import Cluster
    from infrablocks.kubernetes._streams import ApiStream

logger = logging.getLogger("infrablocks.kubernetes-job")

# Reading the JSON of a page holds up all threads.
_PAGE = 200
# So many runs are named one by one in a list; of more, everything that has the label is listed.
_NAMED_RUNS = 100
_RUN_ID = re.compile(rf'"{re.escape(RUN_LABEL)}":"([^"\\]*)"'.encode())
_LASTED_SECONDS = 5.0


@dataclass(frozen=True)
class Timing:
    """How long things may take, in seconds.

    Attributes:
        idle: Silence after which a watch is opened again; the API server sends a bookmark every minute.
        watch: How long the API server is asked to keep a watch open.
        read: How long it may take to begin with an answer.
        give_up: How long the cluster may be out of reach before those who wait are told.
        between: How far apart requests are on average when one follows the other.
    """

    idle: float = 90.0
    watch: float = 300.0
    read: float = 30.0
    give_up: float = GIVE_UP_SECONDS
    between: float = 1.0


class Receiver(Protocol):
    """Gets what is learned; called by the thread of the watch."""

    def run_ids(self) -> frozenset[str]:
        """Give the runs that somebody waits for."""

    def waits_for(self, run_id: str) -> bool:
        """Say whether somebody waits for this run."""

    def observe(self, item: dict[str, Any]) -> dict[str, Any]:
        """Give of an object what is kept of it."""

    def take(self, item: dict[str, Any], *, deleted: bool) -> None:
        """Take one object that has changed, or is gone."""

    def take_all(self, items: list[dict[str, Any]], run_ids: Collection[str]) -> None:
        """Take all objects of these runs that there are; what was known of them and is not among them is gone."""

    def fail(self, error: InfrastructureError) -> None:
        """Take the news that the cluster is out of reach for good."""


class ListWatch(threading.Thread):
    """Lists and watches the objects of one kind that have the label of a run. A daemon: nobody's end waits for it.

    Args:
        cluster: Where.
        path: That of the list in the API.
        receiver: Gets what is learned.
        timing: How long things may take.
    """

    def __init__(self, cluster: Cluster, path: str, receiver: Receiver, timing: Timing) -> None:
        super().__init__(name=f"infrablocks-watch-{path.rpartition('/')[2]}", daemon=True)
        self._cluster = cluster
        self._path = path
        self._receiver = receiver
        self._timing = timing
        self._rate = RequestRate(timing.between)
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        self._stream: ApiStream | None = None
        self._is_watching = False  # stays True: what happens while a watch is opened again is not missed
        self._error: InfrastructureError | None = None
        self._lost_since: float | None = None
        self._version: str | None = None

    def stop(self) -> None:
        """Let it end; does not wait for it."""
        self._stopped.set()
        with self._changed:
            if self._stream is not None:
                self._stream.end()
            self._changed.notify_all()

    def wait_until_watching(self, deadline: float) -> None:
        """Wait until nothing that happens from now on will be missed.

        Args:
            deadline: By the monotonic clock.

        Raises:
            InfrastructureNotAvailable: The cluster is out of reach, or does not allow the list or the watch.
        """
        with self._changed:
            while not self._is_watching:
                error, left = self._error, deadline - time.monotonic()
                if error is not None and (left <= 0 or _is_final(error)):
                    raise InfrastructureNotAvailable(str(error)) from error
                if left <= 0:
                    raise InfrastructureNotAvailable(
                        f"The Kubernetes cluster at {self._cluster.address} did not answer in time to "
                        f"GET {self._path}. Check whether it is overloaded or hangs."
                    )
                self._changed.wait(left)

    def run(self) -> None:
        pauses = Pauses()
        while not self._stopped.is_set():
            started = time.monotonic()
            try:
                if self._version is None:
                    self._list()
                self._watch(self._version or "")
            except InfrastructureError as error:
                self._note(error)
            except Exception:  # the thread goes on whatever the cluster says
                logger.debug("What the cluster says about %s is not understood", self._path, exc_info=True)
                self._version = None
            if time.monotonic() - started >= _LASTED_SECONDS:
                pauses = Pauses()
            self._stopped.wait(pauses.next())

    def _list(self) -> None:
        """Learn what there is, and from which version on to watch."""
        self._wait_for_turn()
        run_ids = self._receiver.run_ids()
        items, version = self._list_runs(run_ids)
        self._receiver.take_all(items, run_ids)
        # A run that came in the meantime may have made its Job before the list was answered, which does not name it.
        # What a run makes that came later still is newer than the list: the watch tells it. While nothing was watched
        # before, runs wait for that, and have made nothing yet.
        if self._is_watching and (others := self._receiver.run_ids() - run_ids):
            self._receiver.take_all(self._list_runs(others)[0], others)
        self._version = version

    def _list_runs(self, run_ids: Collection[str]) -> tuple[list[dict[str, Any]], str]:
        named = f" in ({','.join(sorted(run_ids))})" if 0 < len(run_ids) <= _NAMED_RUNS else ""
        query = {"labelSelector": RUN_LABEL + named, "limit": str(_PAGE)}
        items: list[dict[str, Any]] = []
        while not self._stopped.is_set():
            page = self._cluster.call("GET", self._path, query=query, read_seconds=self._timing.read, repeat=False)
            ours = (item for item in page.get("items") or [] if _run_id(item) in run_ids)
            items += [self._receiver.observe(item) for item in ours]
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return items, str(metadata.get("resourceVersion") or "")
            query["continue"] = metadata["continue"]
        return [], ""

    def _watch(self, version: str) -> None:
        """Take what happens, until the watch ends."""
        seconds = self._timing.watch * random.uniform(0.8, 1.0)  # noqa: S311 - so that not all come back at once
        query = {
            "labelSelector": RUN_LABEL,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(int(seconds), 1)),
        }
        self._wait_for_turn()
        stream = self._cluster.stream(self._path, query, read_seconds=self._timing.idle)
        try:
            if not self._keep(stream):
                return
            stream.open()
            self._note_success()
            for line in stream.lines():
                self._take(line)
        finally:
            self._drop(stream)

    def _take(self, line: bytes) -> None:
        named = _RUN_ID.search(line)
        if named is not None and not self._receiver.waits_for(named[1].decode()):
            return  # of another agent; to look at all of it would cost more than all of ours
        event = json.loads(line)
        item = event["object"]
        if event["type"] == "ERROR":
            raise status_refusal(self._cluster.address, f"GET {self._path}", item)
        self._version = str(item["metadata"]["resourceVersion"])
        if event["type"] != "BOOKMARK":
            self._receiver.take(self._receiver.observe(item), deleted=event["type"] == "DELETED")

    def _wait_for_turn(self) -> None:
        self._stopped.wait(self._rate.delay())

    def _keep(self, stream: ApiStream) -> bool:
        with self._changed:
            self._stream = stream
            return not self._stopped.is_set()

    def _drop(self, stream: ApiStream) -> None:
        with self._changed:
            self._stream = None
        stream.close()

    def _note_success(self) -> None:
        with self._changed:
            self._is_watching = True
            self._error = None
            self._lost_since = None
            self._changed.notify_all()

    def _note(self, error: InfrastructureError) -> None:
        if self._stopped.is_set():
            return
        logger.debug("The watch of %s is opened again: %s", self._path, error)
        if isinstance(error, ApiRefusal):
            # 410 says that this version is forgotten; of other refusals a new list shows whether they are meant so.
            self._version = None
            if error.status == GONE:
                return
        now = time.monotonic()
        with self._changed:
            self._error = error
            self._lost_since = self._lost_since or now
            lost_for = now - self._lost_since
            self._changed.notify_all()
        if self._is_watching and lost_for >= self._timing.give_up:
            self._receiver.fail(error)


def _run_id(item: dict[str, Any]) -> str:
    return str((item["metadata"].get("labels") or {}).get(RUN_LABEL))


def _is_final(error: InfrastructureError) -> bool:
    """Say whether waiting does not help: nobody is there, or the answer is no."""
    match error:
        case AccessRefused():
            return True
        case ApiRefusal():
            return error.status == NOT_FOUND
        case ClusterUnreachable():
            return not error.sent
        case _:
            return isinstance(error, InfrastructureNotAvailable)  # there are no credentials
