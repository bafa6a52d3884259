"""How a Job ended, from its conditions and pods."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from infrablocks._results import Reason, WorkloadStatus
from infrablocks.kubernetes._pods import PodState, parse_time
from infrablocks.kubernetes._state import Ending, ending, workload_status
from tests.kubernetes_state.objects import CREATED, FINISHED, LABEL, RUNNING, STARTED, job, pod, terminated, waiting

CREATED_AT = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)
STARTED_AT = datetime(2026, 11, 24, 8, 0, 2, tzinfo=UTC)
FINISHED_AT = datetime(2026, 11, 24, 8, 0, 5, tzinfo=UTC)


def end(of: dict[str, Any], *pods: PodState, deleted: bool = False) -> tuple[int, Reason, str] | None:
    """Give what is said about the end, without the times."""
    found = ending(of, pods, deleted=deleted, label=LABEL)
    return None if found is None else (found.status_code, found.reason, found.message)


FAILED = job("FailureTarget", "Failed", reason="BackoffLimitExceeded", message="Job has reached the limit", failed=1)
COMPLETE = job("SuccessCriteriaMet", "Complete", completionTime="2026-11-24T08:00:06Z", succeeded=1)


def test_whole_ending() -> None:
    """The end of a Job has the code, the reason, the message and the times that the cluster tells."""
    assert ending(FAILED, [pod("Failed", {"main": terminated(3)})], deleted=False, label=LABEL) == Ending(
        3, Reason.ERROR, f"{LABEL} exited with status code 3.", CREATED_AT, STARTED_AT, FINISHED_AT, is_settled=True
    )


@pytest.mark.parametrize("deleted", [False, True])
def test_failed_without_termination(deleted: bool) -> None:
    """A Job that failed ended, where no pod tells of it, when the cluster says that it did."""
    told = {"type": "FailureTarget" if deleted else "Failed", "status": "True", "reason": "DeadlineExceeded"}
    failed = {"metadata": {"creationTimestamp": CREATED}, "status": {"conditions": [told]}}
    told["lastTransitionTime"] = "2026-11-24T08:00:09Z"
    at = parse_time("2026-11-24T08:00:09Z")
    evicted = pod("Failed", reason="Evicted", deleted=deleted)
    terminations = {"none": [], "evicted": [evicted], "ended": [pod("Failed", {"main": terminated(3)})]}
    found = {name: ending(failed, pods, deleted=deleted, label=LABEL) for name, pods in terminations.items()}
    assert {name: end and (end.created_at, end.started_at, end.finished_at) for name, end in found.items()} == {
        "none": (CREATED_AT, None, at),
        "evicted": (CREATED_AT, None, at),
        "ended": (CREATED_AT, STARTED_AT, FINISHED_AT),
    }


@pytest.mark.parametrize(
    "of", [job(), job("SuccessCriteriaMet"), job("FailureTarget", reason="BackoffLimitExceeded"), job("Suspended")]
)
def test_has_not_ended(of: dict[str, Any]) -> None:
    """A Job that is only about to end has not ended, whatever its pod says."""
    assert end(of, pod("Failed", {"main": terminated(3)})) is None


def test_complete() -> None:
    """A complete Job has exited with 0."""
    assert end(COMPLETE, pod("Succeeded", {"main": terminated(0)})) == (
        0,
        Reason.COMPLETED,
        f"{LABEL} exited cleanly.",
    )


def test_complete_without_pod() -> None:
    """A complete Job whose pod was never seen to end has exited with 0 all the same; more may be about to come."""
    found = ending(COMPLETE, [pod("Running", {"main": RUNNING})], deleted=False, label=LABEL)
    assert found == Ending(
        *(0, Reason.COMPLETED, f"{LABEL} exited cleanly.", CREATED_AT, None),
        parse_time("2026-11-24T08:00:06Z"),
        is_settled=False,
    )


@pytest.mark.parametrize("names", [["main", "sidecar"], ["sidecar", "main"]])
@pytest.mark.parametrize("codes", [(3, 0), (3, 1)])
def test_sidecar_hides_nothing(names: list[str], codes: tuple[int, int]) -> None:
    """The code is that of our container, whatever stands before or after it."""
    states = {"main": terminated(codes[0]), "sidecar": terminated(codes[1])}
    failed = pod("Failed", {name: states[name] for name in names})
    assert end(FAILED, failed) == (3, Reason.ERROR, f"{LABEL} exited with status code 3.")


def test_sidecar_fails() -> None:
    """A sidecar's failure does not give the code; the message tells of it."""
    failed = pod("Failed", {"main": terminated(0), "sidecar": terminated(1)})
    assert end(FAILED, failed) == (
        0,
        Reason.COMPLETED,
        f"{LABEL} exited cleanly; the Job counts as failed because its container 'sidecar' exited with status code 1.",
    )


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            terminated(137, "OOMKilled"),
            (
                137,
                Reason.OOM_KILLED,
                (
                    f"{LABEL} ran out of memory and was killed (status code 137); raise `memory_limit` or have it use "
                    "less."
                ),
            ),
        ),
        (
            terminated(143),
            (143, Reason.KILLED, f"{LABEL} exited with status code 143 (SIGTERM: it was terminated from outside)."),
        ),
        (terminated(139), (139, Reason.ERROR, f"{LABEL} exited with status code 139 (SIGSEGV).")),
        (
            terminated(3, message="no such\n table"),
            (3, Reason.ERROR, f"{LABEL} exited with status code 3. It says: no such table"),
        ),
        (
            terminated(128, "StartError", message='exec: "nope": executable file not found in $PATH'),
            (
                128,
                Reason.NOT_STARTED,
                (
                    f"{LABEL} could not be started (the command was not found); check `command` and the image. The "
                    'node says: exec: "nope": executable file not found in $PATH'
                ),
            ),
        ),
        (
            terminated(137, "ContainerStatusUnknown"),
            (
                -1,
                Reason.UNKNOWN,
                (
                    f"{LABEL}: pod p ended, but the exit code of the command is not known. The cluster says: Job has "
                    "reached the limit"
                ),
            ),
        ),
        (
            waiting("PodInitializing"),
            (
                -1,
                Reason.NOT_STARTED,
                f"{LABEL}: pod p failed before the command was started. The cluster says: Job has reached the limit",
            ),
        ),
        (
            terminated(0),
            (
                -1,
                Reason.ERROR,
                f"{LABEL} failed, although the command exited with 0. The cluster says: Job has reached the limit",
            ),
        ),
    ],
)
def test_our_container(state: dict[str, Any], expected: tuple[int, Reason, str]) -> None:
    """What our container says decides about code, reason and message."""
    assert end(FAILED, pod("Failed", {"main": state})) == expected


def test_evicted() -> None:
    """A pod that was evicted has no container statuses; its own words are the message."""
    evicted = pod("Failed", reason="Evicted", message="The node was low on resource: memory. ")
    assert end(FAILED, evicted) == (
        -1,
        Reason.EVICTED,
        f"{LABEL} was ended with its pod p: Evicted. The node was low on resource: memory.",
    )


def test_node_lost() -> None:
    """A pod whose node is lost was seen running last; the cluster's words say what became of it."""
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByTaintManager",
        "message": "Taint manager: deleting due to NoExecute taint",
    }
    lost = pod("Running", {"main": RUNNING}, deleting=True, conditions=[condition])
    assert end(FAILED, lost) == (
        -1,
        Reason.EVICTED,
        f"{LABEL} was ended with its pod p: DeletionByTaintManager. Taint manager: deleting due to NoExecute taint",
    )


def test_node_refuses() -> None:
    """A pod that its node does not take could not be scheduled."""
    refused = pod("Failed", reason="OutOfcpu", message="Node didn't have enough resource: cpu")
    assert end(FAILED, refused) == (
        -1,
        Reason.UNSCHEDULABLE,
        f"{LABEL}: node n did not take pod p. The cluster says: OutOfcpu. Node didn't have enough resource: cpu",
    )


def test_init_container() -> None:
    """A command whose init container fails was not started."""
    failed = pod("Failed", {"main": waiting("PodInitializing")}, init={"prepare": terminated(9)})
    assert end(FAILED, failed) == (
        -1,
        Reason.NOT_STARTED,
        f"{LABEL} was not started: its init container 'prepare' exited with status code 9.",
    )


@pytest.mark.parametrize(
    ("containers", "code"), [({"main": terminated(143)}, 143), ({"main": RUNNING}, -1), ({"main": terminated(0)}, -1)]
)
def test_job_deadline(containers: dict[str, Any], code: int) -> None:
    """A Job that its own deadline ended says so; what its pod said before it was deleted counts."""
    late = job("FailureTarget", "Failed", reason="DeadlineExceeded", message="Job was active longer than specified")
    assert end(late, pod("Running", containers, deleted=True)) == (
        code,
        Reason.DEADLINE_EXCEEDED,
        f"{LABEL} took longer than its activeDeadlineSeconds and was ended by the cluster.",
    )


def test_several_attempts() -> None:
    """Of several attempts the last one gives the code, and the reason says that there are no more."""
    attempts = [
        pod("Failed", {"main": terminated(4, finished="2026-11-24T08:01:00Z")}, name="b"),
        pod("Failed", {"main": terminated(3)}, name="a"),
    ]
    assert end({**FAILED, "status": {**FAILED["status"], "failed": 2}}, *attempts) == (
        4,
        Reason.BACKOFF_LIMIT_EXCEEDED,
        (
            f"{LABEL} failed 2 times, which is all that its backoffLimit allows. The last time it exited with status "
            "code 4."
        ),
    )


def test_restarts_in_one_pod() -> None:
    """A container that its pod started again counts as another attempt, also when it is about to start once more."""
    restarting = pod("Running", {"main": waiting("CrashLoopBackOff")}, restarts=1, last=terminated(6), deleted=True)
    assert end(FAILED, restarting) == (
        6,
        Reason.BACKOFF_LIMIT_EXCEEDED,
        (
            f"{LABEL} failed 2 times, which is all that its backoffLimit allows. The last time it exited with status "
            "code 6. Its pod p was deleted."
        ),
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            pod("Failed", {"main": terminated(137)}, deleting=True),
            (
                137,
                Reason.KILLED,
                (
                    f"{LABEL} exited with status code 137 (SIGKILL: it was killed, perhaps because memory ran out). "
                    "Its pod p was deleted."
                ),
            ),
        ),
        (
            pod("Running", {"main": RUNNING}, deleted=True),
            (-1, Reason.REMOVED, f"{LABEL}: pod p was deleted; the exit code of the command is not known."),
        ),
        (
            pod("Succeeded", {"main": terminated(0)}, deleting=True),
            (-1, Reason.REMOVED, f"{LABEL}: pod p was deleted, whereupon the command exited with 0."),
        ),
    ],
)
def test_pod_deleted(found: PodState, expected: tuple[int, Reason, str]) -> None:
    """Somebody has deleted the pod: what the command still said counts, but for success."""
    assert end(FAILED, found) == expected


def test_failed_without_pod() -> None:
    """A failed Job of which no pod was ever seen has the cluster's words and no code."""
    assert end(FAILED) == (
        -1,
        Reason.UNKNOWN,
        f"{LABEL} failed, and none of its pods was seen. The cluster says: Job has reached the limit",
    )


REMOVED = (
    -1,
    Reason.REMOVED,
    f"{LABEL} was deleted by somebody before its end was seen; its exit code is not known.",
)


@pytest.mark.parametrize(
    ("of", "pods", "expected"),
    [
        (job(), [], REMOVED),
        (job(), [pod("Running", {"main": RUNNING})], REMOVED),
        (job(), [pod("Succeeded", {"main": terminated(0)}, deleting=True)], REMOVED),
        (
            job(),
            [pod("Succeeded", {"main": terminated(0)})],
            (0, Reason.COMPLETED, f"{LABEL} exited cleanly. Somebody deleted the Job."),
        ),
        (
            job(),
            [pod("Failed", {"main": terminated(7)}, deleted=True)],
            (7, Reason.ERROR, f"{LABEL} exited with status code 7. Its pod p was deleted. Somebody deleted the Job."),
        ),
        (
            job("SuccessCriteriaMet"),
            [pod("Succeeded", {"main": terminated(0)})],
            (0, Reason.COMPLETED, f"{LABEL} exited cleanly."),
        ),
        (
            job("FailureTarget", reason="BackoffLimitExceeded"),
            [pod("Failed", {"main": terminated(3)})],
            (3, Reason.ERROR, f"{LABEL} exited with status code 3."),
        ),
        (FAILED, [pod("Failed", {"main": terminated(3)})], (3, Reason.ERROR, f"{LABEL} exited with status code 3.")),
    ],
)
def test_job_deleted(of: dict[str, Any], pods: list[PodState], expected: tuple[int, Reason, str]) -> None:
    """A Job that is gone has ended as was last seen; where nothing was, it was removed."""
    assert end(of, *pods, deleted=True) == expected


@pytest.mark.parametrize(
    ("of", "pods", "expected"),
    [
        (job(), [], WorkloadStatus.PENDING),
        (job(), [pod("Pending")], WorkloadStatus.PENDING),
        (job(), [pod("Running", {"main": RUNNING})], WorkloadStatus.RUNNING),
        (job(), [pod("Failed", {"main": terminated(3)})], WorkloadStatus.RUNNING),
        (job(), [pod("Unknown", {"main": RUNNING})], WorkloadStatus.UNKNOWN),
        (COMPLETE, [], WorkloadStatus.SUCCEEDED),
        (FAILED, [pod("Failed", {"main": terminated(3)})], WorkloadStatus.FAILED),
    ],
)
def test_status(of: dict[str, Any], pods: list[PodState], expected: WorkloadStatus) -> None:
    """The status of a Job is that of its conditions, and before them that of its pods."""
    assert workload_status(of, pods) == expected


def test_times_of_the_epoch() -> None:
    """A container that could not be started has no time of its start, whatever the node writes there."""
    failed = pod("Failed", {"main": terminated(128, "StartError", startedAt="1970-01-01T00:00:00Z")})
    found = ending(FAILED, [failed], deleted=False, label=LABEL)
    assert found is not None
    assert (found.started_at, found.finished_at) == (None, parse_time(FINISHED))
    assert parse_time(STARTED) == STARTED_AT
