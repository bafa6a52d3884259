"""What runs hear of their Jobs and pods: one list and watch of each for all runs in a namespace."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from infrablocks._news import News
from infrablocks.kubernetes._list_watch import ListWatch, Timing
from infrablocks.kubernetes._observed import observed_job, observed_pod, packed, unpacked
from infrablocks.kubernetes._rejections import Rejections
from infrablocks.kubernetes._settings import RUN_LABEL

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

    from infrablocks.exceptions import InfrastructureError
    from infrablocks.kubernetes._client import Cluster

Kind = Literal["jobs", "pods"]

_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class JobSnapshot:
    """What is known of one run. The objects are as the API gives them, without what nobody needs; not to be changed.

    Attributes:
        job: The Job as it was last seen; None: it was not seen yet.
        job_deleted: Whether it is gone.
        pods: Its pods as they were last seen, the oldest first; also those that are gone.
        deleted_pods: The uids of those that are gone.
    """

    job: dict[str, Any] | None
    job_deleted: bool
    pods: tuple[dict[str, Any], ...]
    deleted_pods: frozenset[str]


class JobSubscription:
    """What one run hears of its Job. Every method may be called from any thread, but `wait`, which is for the run.

    Attributes:
        error: Set when the cluster is out of reach for good.
        rejections: Tells why a Job has no pod.
    """

    def __init__(self, watch: JobWatch, run_id: str) -> None:
        self.run_id = run_id
        self.rejections = watch.rejections
        self.error: InfrastructureError | None = None
        self._watch = watch
        self._news = News()
        self._lock = watch.known_lock
        self._known: dict[str, bytes] = {}  # by kind and uid
        self._deleted = _NONE

    def snapshot(self) -> JobSnapshot:
        """Give what is known now."""
        with self._lock:
            jobs, pods = self._known_of("jobs"), self._known_of("pods")
            deleted = self._deleted
        pods.sort(key=lambda pod: str(pod["metadata"].get("creationTimestamp")))
        job = next((job for job in jobs if job["metadata"]["uid"] not in deleted), jobs[-1] if jobs else None)
        return JobSnapshot(
            job=job,
            job_deleted=job is not None and job["metadata"]["uid"] in deleted,
            pods=tuple(pods),
            deleted_pods=frozenset(pod["metadata"]["uid"] for pod in pods) & deleted,
        )

    def load(self, ended_job: dict[str, Any] | None = None) -> None:
        """Ask for what there is already, for a run that has not been started just now. Blocks; for worker threads.

        Args:
            ended_job: The Job, if it is known to have ended and so is not to be asked for again.

        Raises:
            ApiRefusal: The API server answered with an error.
            ClusterUnreachable: It is out of reach.
        """
        self._watch.load(self, ended_job)

    def wait(self, until: float = math.inf) -> Coroutine[Any, Any, bool]:
        """Wait until something has changed since the last wait, or `error` is set; False: the time came first.

        Args:
            until: When to stop waiting, in seconds of `time.monotonic`.
        """
        return self._news.wait(until)

    def close(self) -> None:
        """Hear no more. Safe to call twice."""
        self._watch.unsubscribe(self)

    def take(self, kind: Kind, item: dict[str, Any], *, deleted: bool) -> None:
        """Called by the watch with what has changed; what is older than what is known is left out."""
        uid = item["metadata"]["uid"]
        key = f"{kind}/{uid}"
        with self._lock:
            known = unpacked(self._known[key]) if key in self._known else None
            if uid in self._deleted or (known is not None and _is_older(item, known)):
                return
            self._known[key] = packed(item)
            if deleted:
                self._deleted |= {uid}
            elif known is not None and _is_same(item, known):
                return
        self._news.notify()

    def take_all(self, kind: Kind, items: list[dict[str, Any]]) -> None:
        """Called by the watch with all that there is; what is known and not among it is gone."""
        listed = {item["metadata"]["uid"] for item in items}
        with self._lock:
            gone = [item for item in self._known_of(kind) if item["metadata"]["uid"] not in listed]
        for item in gone:
            self.take(kind, item, deleted=True)
        for item in items:
            self.take(kind, item, deleted=False)

    def fail(self, error: InfrastructureError) -> None:
        """Called by the watch when the cluster is out of reach for good."""
        self.error = error
        self._news.notify()

    def _known_of(self, kind: Kind) -> list[dict[str, Any]]:
        return [unpacked(item) for key, item in self._known.items() if key.startswith(kind)]


class JobWatch:
    """The Jobs and pods of our runs in one namespace, watched as long as anybody is subscribed.

    Args:
        cluster: Where.
        namespace: Which namespace.
        timing: How long things may take.

    Attributes:
        rejections: Tells why a Job has no pod.
        known_lock: Guards what the subscriptions know: one for all, as there may be thousands.
    """

    def __init__(self, cluster: Cluster, namespace: str, timing: Timing | None = None) -> None:
        self.rejections = Rejections(cluster, quote(namespace, safe=""))
        self._cluster = cluster
        self._timing = timing or Timing()
        self.known_lock = threading.Lock()
        self._lock = threading.Lock()
        self._subscriptions: dict[str, list[JobSubscription]] = {}
        self._watches: list[ListWatch] = []
        self._paths: dict[Kind, str] = {
            "jobs": f"/apis/batch/v1/namespaces/{quote(namespace, safe='')}/jobs",
            "pods": f"/api/v1/namespaces/{quote(namespace, safe='')}/pods",
        }

    def subscribe(self, run_id: str) -> JobSubscription:
        """Begin to listen. The watches start at once, so that they are under way when the Job is there.

        A run whose Job is there already calls `load` as well, after `wait_until_listed`.
        """
        subscription = JobSubscription(self, run_id)
        with self._lock:
            self._subscriptions.setdefault(run_id, []).append(subscription)
            if not self._watches:
                self._watches = [
                    ListWatch(self._cluster, path, _Kind(self, kind), self._timing)
                    for kind, path in self._paths.items()
                ]
                for watch in self._watches:
                    watch.start()
        return subscription

    def unwatched(self, run_id: str) -> JobSubscription:
        """Give a subscription that hears of nothing but what it loads, for a run that is over."""
        return JobSubscription(self, run_id)

    def wait_until_listed(self, seconds: float) -> None:
        """Wait until nothing that happens from now on will be missed. Blocks; for worker threads.

        Args:
            seconds: How long at most.

        Raises:
            InfrastructureNotAvailable: The cluster is out of reach, or does not allow to list or watch Jobs or pods.
        """
        deadline = time.monotonic() + seconds
        with self._lock:
            watches = list(self._watches)
        for watch in watches:
            watch.wait_until_watching(deadline)

    def load(self, subscription: JobSubscription, ended_job: dict[str, Any] | None) -> None:
        """Called by `JobSubscription.load`."""
        for kind, path in self._paths.items():
            if kind == "jobs" and ended_job is not None:
                subscription.take(kind, observed_job(ended_job), deleted=False)
                continue
            query = {"labelSelector": f"{RUN_LABEL}={subscription.run_id}"}
            for item in self._cluster.call("GET", path, query=query).get("items") or []:
                subscription.take(kind, _OBSERVE[kind](item), deleted=False)

    def unsubscribe(self, subscription: JobSubscription) -> None:
        """Called by `JobSubscription.close`; the last one ends the watches."""
        with self._lock:
            others = [one for one in self._subscriptions.get(subscription.run_id, []) if one is not subscription]
            if others:
                self._subscriptions[subscription.run_id] = others
            else:
                self._subscriptions.pop(subscription.run_id, None)
            watches: list[ListWatch] = []
            if not self._subscriptions:
                watches, self._watches = self._watches, []
        for watch in watches:
            watch.stop()

    def run_ids(self) -> frozenset[str]:
        """Give the runs that somebody waits for."""
        with self._lock:
            return frozenset(self._subscriptions)

    def waits_for(self, run_id: str) -> bool:
        """Say whether somebody waits for this run."""
        return run_id in self._subscriptions

    def of_run(self, run_id: str) -> list[JobSubscription]:
        """Give those who wait for a run."""
        with self._lock:
            return list(self._subscriptions.get(run_id, ()))


class _Kind:
    """Passes on what the watch of one kind learns; see `Receiver`."""

    def __init__(self, watch: JobWatch, kind: Kind) -> None:
        self._watch = watch
        self._kind = kind
        self.observe = _OBSERVE[kind]
        self.run_ids = watch.run_ids
        self.waits_for = watch.waits_for

    def take(self, item: dict[str, Any], *, deleted: bool) -> None:
        for subscription in self._watch.of_run(item["metadata"]["labels"][RUN_LABEL]):
            subscription.take(self._kind, item, deleted=deleted)

    def take_all(self, items: list[dict[str, Any]], run_ids: Collection[str]) -> None:
        by_run: dict[str, list[dict[str, Any]]] = {run_id: [] for run_id in run_ids}
        for item in items:
            by_run[item["metadata"]["labels"][RUN_LABEL]].append(item)
        for run_id, its_items in by_run.items():
            for subscription in self._watch.of_run(run_id):
                subscription.take_all(self._kind, its_items)

    def fail(self, error: InfrastructureError) -> None:
        for run_id in self._watch.run_ids():
            for subscription in self._watch.of_run(run_id):
                subscription.fail(error)


_OBSERVE = {"jobs": observed_job, "pods": observed_pod}


def _is_older(item: dict[str, Any], known: dict[str, Any]) -> bool:
    """Compare versions, which are numbers that grow: https://kubernetes.io/docs/reference/using-api/api-concepts/."""
    try:
        return int(item["metadata"]["resourceVersion"]) < int(known["metadata"]["resourceVersion"])
    except (KeyError, ValueError):
        return False


def _is_same(item: dict[str, Any], known: dict[str, Any]) -> bool:
    """Say whether nothing has changed but what is not kept, and so the version."""
    return {**item, "metadata": None} == {**known, "metadata": None} and item["metadata"].get(
        "deletionTimestamp"
    ) == known["metadata"].get("deletionTimestamp")
