"""Checks of what `KubernetesJob` needs: a cluster, a namespace on it, and rights there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infrablocks import InfrastructureError
from infrablocks.cli.checks.finding import Finding, State
from infrablocks.kubernetes._access import cluster_access, is_configured
from infrablocks.kubernetes._clusters import borrowed_cluster
from infrablocks.kubernetes._errors import FORBIDDEN, NOT_FOUND, ApiRefusal
from infrablocks.kubernetes._rights import Right, missing_rights, needed_rights, review_rights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from infrablocks.kubernetes._client import Cluster

_ANSWER_SECONDS = 5.0
_WATCHED = (("jobs", "batch"), ("pods", ""))
# Without these a run works, and says less: why no pod was made, and secret variables only inline.
_USEFUL = (Right("list", "events"), Right("create", "secrets"))


def checks_of_namespace(namespace: str) -> tuple[Callable[[], Sequence[Finding]], ...]:
    """Give the checks for Jobs in one namespace."""

    def cluster() -> Sequence[Finding]:
        """Ask the cluster that a Job would run on what it is, and whether Jobs may be made there."""
        if not is_configured():
            return [
                Finding(
                    "cluster",
                    State.WARNING,
                    "none is configured: put a kubeconfig at ~/.kube/config, or name it in KUBECONFIG",
                )
            ]
        try:
            with borrowed_cluster(None) as found:
                return [_version(found), _namespace(found, namespace), *_rights(found, namespace)]
        except InfrastructureError as error:
            return [Finding("cluster", State.BROKEN, str(error))]

    return (cluster,)


def _version(cluster: Cluster) -> Finding:
    version = cluster.call("GET", "/version", read_seconds=_ANSWER_SECONDS, repeat=False)
    context = cluster_access(None).context_name
    where = "of the pod this runs in" if context is None else f"context {context!r}"
    return Finding("cluster", State.OK, f"Kubernetes {version.get('gitVersion')} at {cluster.address} ({where})")


def _namespace(cluster: Cluster, namespace: str) -> Finding:
    try:
        cluster.call("GET", f"/api/v1/namespaces/{namespace}", read_seconds=_ANSWER_SECONDS)
    except ApiRefusal as error:
        if error.status == NOT_FOUND:
            return Finding(
                "namespace", State.BROKEN, f"there is no namespace {namespace!r}: make it, or choose another"
            )
        if error.status == FORBIDDEN:  # runs need not look at it either
            return Finding("namespace", State.OK, f"{namespace!r}; this user may not see whether it exists")
        raise
    return Finding("namespace", State.OK, f"{namespace!r} exists")


def _rights(cluster: Cluster, namespace: str) -> Sequence[Finding]:
    watched = tuple(Right(verb, *resource) for resource in _WATCHED for verb in ("list", "watch"))
    needed = (*needed_rights(stream_output=True, with_secret=False), *watched)
    rules = review_rights(cluster, namespace)
    if rules is None:
        return [Finding("rights", State.WARNING, "the cluster cannot list them all: only a run will show")]
    missing, useful = missing_rights(rules, needed), missing_rights(rules, _USEFUL)
    findings = []
    if missing:
        names = ", ".join(map(str, missing))
        findings.append(Finding("rights", State.BROKEN, f"missing in {namespace!r}: {names}; a Role has to grant them"))
    else:
        findings.append(Finding("rights", State.OK, f"all that a run needs in {namespace!r}"))
    if useful:
        names = ", ".join(map(str, useful))
        findings.append(
            Finding("rights", State.WARNING, f"missing in {namespace!r}, though not always needed: {names}")
        )
    return findings
