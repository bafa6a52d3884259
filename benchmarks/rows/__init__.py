"""The rows of the table: a module for each group of them, with a function `measure`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.rows import (
    agent_idle,
    attach_ended,
    cancelled,
    detached,
    docker_first_uses,
    docker_output,
    docker_requests,
    docker_short,
    docker_watched,
    imports,
    kubernetes_overhead,
    kubernetes_requests,
    kubernetes_storm,
    kubernetes_two_clusters,
    kubernetes_watched,
    many_runs,
    output,
    short_runs,
    stores,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.docker_engine import DockerBench
    from benchmarks.kubernetes_clusters import KubernetesBench
    from benchmarks.table import Row

GROUPS: dict[str, Callable[[Bench], list[Row]]] = {
    "import": imports.measure,
    "short": short_runs.measure,
    "output": output.measure,
    "many": many_runs.measure,
    "stores": stores.measure,
    "detached": detached.measure,
    "cancel": cancelled.measure_processes,
}
"""Those that need nothing but the machine."""

DOCKER_GROUPS: dict[str, Callable[[DockerBench], list[Row]]] = {
    "docker-short": docker_short.measure,
    "docker-output": docker_output.measure,
    "docker-requests": docker_requests.measure,
    "docker-first-uses": docker_first_uses.measure,
    "docker-watched": docker_watched.measure,
    "docker-attach-ended": attach_ended.measure_docker,
    "docker-cancel": cancelled.measure_docker,
}
"""Those that need a Docker engine."""

KUBERNETES_GROUPS: dict[str, Callable[[KubernetesBench], list[Row]]] = {
    "kubernetes-requests": kubernetes_requests.measure,
    "kubernetes-overhead": kubernetes_overhead.measure,
    "kubernetes-two-clusters": kubernetes_two_clusters.measure,
    "kubernetes-storm": kubernetes_storm.measure,
    "kubernetes-attach-ended": attach_ended.measure_kubernetes,
    "kubernetes-cancel": cancelled.measure_kubernetes,
    "kubernetes-watched": kubernetes_watched.measure,
    "agent-idle": agent_idle.measure,
}
"""Those that need two clusters of Kubernetes."""
