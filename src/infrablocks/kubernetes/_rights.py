"""Whether the user may do what a run will need, asked before anything is made.

One review a cluster and namespace; the rights to list and watch show by themselves. Where the cluster cannot tell (its
authorizer is a webhook), it is left to the calls.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from infrablocks.exceptions import InfrastructureNotAvailable
from infrablocks.kubernetes._errors import ApiRefusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from infrablocks.kubernetes._client import Cluster

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"


@dataclass(frozen=True)
class Right:
    """A right in one namespace.

    Attributes:
        verb: Such as `create`.
        resource: Such as `jobs` or `pods/log`.
        group: That of the API, empty for the core.
    """

    verb: str
    resource: str
    group: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")


def needed_rights(*, stream_output: bool, with_secret: bool) -> tuple[Right, ...]:
    """Give what a run needs besides to list and watch Jobs and pods.

    Args:
        stream_output: Whether its log is read.
        with_secret: Whether it makes a Secret.
    """
    return (
        *(Right(verb, "jobs", "batch") for verb in ("create", "get", "delete")),
        Right("delete", "pods"),
        *([Right("get", "pods/log")] if stream_output else []),
        *([Right("create", "secrets")] if with_secret else []),
    )


def missing_rights(rules: Sequence[Mapping[str, Any]], needed: Iterable[Right]) -> list[Right]:
    """Give those rights that the rules of a review do not grant."""
    return [right for right in needed if not any(_grants(rule, right) for rule in rules)]


def _grants(rule: Mapping[str, Any], right: Right) -> bool:
    if rule.get("resourceNames"):
        return False
    subresource = right.resource.partition("/")[2]
    resources = {right.resource, "*", *([f"*/{subresource}"] if subresource else [])}
    return (
        bool({right.verb, "*"} & set(rule.get("verbs") or ()))
        and bool({right.group, "*"} & set(rule.get("apiGroups") or ()))
        and bool(resources & set(rule.get("resources") or ()))
    )


def review_rights(cluster: Cluster, namespace: str) -> Sequence[Mapping[str, Any]] | None:
    """Ask the cluster for the rules that grant the user something; None: it cannot tell all of them.

    https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/self-subject-rules-review-v1/
    """
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    try:
        status = cluster.call("POST", _REVIEWS, body=body).get("status") or {}
    except ApiRefusal:
        return None  # not even that may be asked: the calls will show
    return None if status.get("incomplete") else status.get("resourceRules") or []


class _Review:
    """What a cluster has said about one namespace.

    Attributes:
        asking: Held by who asks, so that of runs at the same time one does.
        rules: The rules that were told last; empty: none were.
        is_incomplete: Whether the cluster cannot tell.
    """

    def __init__(self) -> None:
        self.asking = threading.Lock()
        self.rules: Sequence[Mapping[str, Any]] = ()
        self.is_incomplete = False

    def missing(self, needed: Iterable[Right]) -> list[Right]:
        """Give those rights that are not known to be there."""
        return [] if self.is_incomplete else missing_rights(self.rules, needed)

    def ask(self, cluster: Cluster, namespace: str) -> None:
        """Ask the cluster."""
        rules = review_rights(cluster, namespace)
        self.rules, self.is_incomplete = rules or (), rules is None


_lock = threading.Lock()
_reviews: WeakKeyDictionary[Cluster, dict[str, _Review]] = WeakKeyDictionary()


def check_rights(cluster: Cluster, namespace: str, needed: tuple[Right, ...]) -> None:
    """Ask the cluster, unless it has said so before, whether the user has these rights. Blocks; for worker threads.

    Raises:
        InfrastructureNotAvailable: Some are missing; the message names them.
    """
    with _lock:
        review = _reviews.setdefault(cluster, {}).setdefault(namespace, _Review())
    with review.asking:
        if not review.missing(needed):
            return
        review.ask(cluster, namespace)  # also where it has said no before: that may have changed
        missing = review.missing(needed)
    if missing:
        raise InfrastructureNotAvailable(
            f"The Kubernetes cluster at {cluster.address} does not allow this user to {_listed(missing)} in the "
            f"namespace {namespace!r}, which a run needs. Give it a Role with these rights; no Job was made."
        )


def _listed(rights: Sequence[Right]) -> str:
    *first, last = map(str, rights)
    return f"{', '.join(first)} and {last}" if first else last


def _forget_locks() -> None:
    global _lock  # noqa: PLW0603 - a lock that a fork may have left locked
    _lock = threading.Lock()
    _reviews.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)
