"""Which rights a run needs, and which of them the rules of a review do not grant."""

from __future__ import annotations

from typing import Any

import pytest

from infrablocks.kubernetes._instances import Instance, instances
from infrablocks.kubernetes._rights import Right, missing_rights, needed_rights
from tests.kubernetes_state.objects import RUNNING, pod, terminated, waiting

JOBS = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "delete"]}
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}
LOG = {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}
SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}
ALL = [JOBS, PODS, LOG, SECRETS]


def missing(rules: list[dict[str, Any]], *, stream_output: bool = True, with_secret: bool = True) -> list[str]:
    """Name the rights that are missing."""
    needed = needed_rights(stream_output=stream_output, with_secret=with_secret)
    return [str(right) for right in missing_rights(rules, needed)]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (ALL, []),
        ([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}], []),
        ([JOBS, PODS, {**LOG, "resources": ["*/log"]}, SECRETS], []),
        (
            [],
            [
                "create jobs.batch",
                "get jobs.batch",
                "delete jobs.batch",
                "delete pods",
                "get pods/log",
                "create secrets",
            ],
        ),
        ([JOBS, PODS, {**LOG, "resources": ["pods"]}, SECRETS], ["get pods/log"]),
        (
            [{**JOBS, "apiGroups": [""]}, PODS, LOG, SECRETS],
            ["create jobs.batch", "get jobs.batch", "delete jobs.batch"],
        ),
        ([JOBS, PODS, LOG, {**SECRETS, "resourceNames": ["one"]}], ["create secrets"]),
    ],
)
def test_missing(rules: list[dict[str, Any]], expected: list[str]) -> None:
    """A right is there when one rule has its verb, group and resource, for all names."""
    assert missing(rules) == expected


def test_needed() -> None:
    """A run that neither streams nor has secrets needs no rights for logs and Secrets."""
    assert missing([JOBS, PODS], stream_output=False, with_secret=False) == []
    assert needed_rights(stream_output=False, with_secret=False)[-1] == Right("delete", "pods")


def test_instances() -> None:
    """Each run of our container has a log of its own; those that never ran have none, and the last one may go on."""
    pods = [
        pod("Failed", {"main": terminated(3)}, name="a"),
        pod("Pending", {"main": waiting("ContainerCreating")}, name="b"),
        pod("Running", {"main": waiting("CrashLoopBackOff")}, name="c", restarts=1, last=terminated(1)),
        pod("Running", {"main": RUNNING}, name="d", restarts=1, last=terminated(1)),
    ]
    assert instances(pods) == [
        Instance("a", "uid-a", 0, newer=0, has_ended=True),
        Instance("c", "uid-c", 0, newer=1, has_ended=True),
        Instance("c", "uid-c", 1, newer=0, has_ended=True),
        Instance("d", "uid-d", 0, newer=1, has_ended=True),
        Instance("d", "uid-d", 1, newer=0, has_ended=False),
    ]
