"""Why Jobs have no pods: what the cluster has noted about those that it may not make, asked for once for all runs."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from infrablocks.exceptions import InfrastructureError
from infrablocks.kubernetes._start import JobEvent, job_events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infrablocks.kubernetes._client import Cluster

# Of events, which nobody cleans up before an hour has passed, there may be many; these are the few that tell why.
_SELECTOR = "involvedObject.kind=Job,reason=FailedCreate"
_PAGE = 500
_FRESH_SECONDS = 2.0
_REQUEST_SECONDS = 10.0


class _Listed(NamedTuple):
    at: float
    by_uid: Mapping[str, tuple[JobEvent, ...]]


class Rejections:
    """The events of one namespace that tell why a Job has no pod.

    However many runs wait, they are listed once in two seconds at most.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._path = f"/api/v1/namespaces/{namespace}/events"
        self._lock = threading.Lock()
        self._listed = _Listed(-_FRESH_SECONDS, {})

    def known(self, uid: str) -> tuple[JobEvent, ...] | None:
        """Give those of one Job as they were listed just now; None: that is too long ago. Never waits."""
        listed = self._listed
        return listed.by_uid.get(uid, ()) if time.monotonic() - listed.at < _FRESH_SECONDS else None

    def of(self, uid: str) -> tuple[JobEvent, ...]:
        """Give those of one Job; none, where they may not be listed, or cannot be. Blocks; for worker threads."""
        with self._lock:
            known = self.known(uid)
            if known is not None:
                return known
            by_uid = self._list()
            self._listed = _Listed(time.monotonic(), by_uid)
            return by_uid.get(uid, ())

    def _list(self) -> dict[str, tuple[JobEvent, ...]]:
        by_uid: dict[str, list[dict[str, object]]] = {}
        query = {"fieldSelector": _SELECTOR, "limit": str(_PAGE)}
        try:
            while True:
                page = self._cluster.call("GET", self._path, query=query, read_seconds=_REQUEST_SECONDS, repeat=False)
                for event in page.get("items") or []:
                    by_uid.setdefault(str(event["involvedObject"].get("uid")), []).append(event)
                if not (rest := page["metadata"].get("continue")):
                    break
                query["continue"] = rest
        except InfrastructureError:
            pass  # what has come is more than nothing
        return {uid: job_events({"items": events}) for uid, events in by_uid.items()}
