"""Waiting for the start of a Job: what is waited for, and what is given up when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infrablocks._results import Reason
from infrablocks.kubernetes._start import (
    Failure,
    JobEvent,
    StartWait,
    Waiting,
    job_events,
    start_failure_message,
)
from tests.kubernetes_state.objects import LABEL, RUNNING, pod, terminated, waiting

if TYPE_CHECKING:
    from infrablocks.kubernetes._pods import PodState

SECRET = "infrablocks-0123"
LIMIT = 60.0


def judge(*steps: tuple[float, list[PodState]], suspended: bool = False) -> list[Waiting | Failure | None]:
    """Judge a start as time goes by."""
    start = StartWait(LIMIT, SECRET, 0.0)
    return [start.judge(pods, suspended=suspended, now=now) for now, pods in steps]


def stuck(reason: str, message: str = "", **more: Any) -> list[PodState]:
    """Give a pod whose container waits."""
    return [pod("Pending", {"main": waiting(reason, message)}, **more)]


def test_goes_well() -> None:
    """A pod that is being made is waited for up to the limit; when its command runs there is nothing to wait for."""
    running = [pod("Running", {"main": RUNNING})]
    assert judge((1.0, []), (2.0, stuck("ContainerCreating")), (3.0, running)) == [
        Waiting(0.5),
        Waiting(LIMIT),
        None,
    ]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("InvalidImageName", Reason.INVALID_IMAGE),
        ("CreateContainerConfigError", Reason.CONFIG_ERROR),
        ("ErrImageNeverPull", Reason.IMAGE_PULL),
    ],
)
def test_cannot_heal(reason: str, expected: Reason) -> None:
    """What cannot heal fails at once, with the cluster's words."""
    assert judge((3.0, stuck(reason, "it is so"))) == [Failure(expected, f"container 'main': {reason}: it is so", None)]


def test_may_heal() -> None:
    """A pull that fails may do better at the next attempt; it fails after a tolerance, not renewed by each of them."""
    assert judge(
        (3.0, stuck("ErrImagePull")), (13.0, stuck("ImagePullBackOff", "no route")), (28.0, stuck("ErrImagePull"))
    ) == [
        Waiting(25.0),
        Waiting(15.0),
        Failure(Reason.IMAGE_PULL, "container 'main': ErrImagePull", None),
    ]


def test_own_secret_is_late() -> None:
    """The run's own Secret comes a moment after the Job, and is waited for."""
    assert judge((3.0, stuck("CreateContainerConfigError", f'secret "{SECRET}" not found'))) == [Waiting(57.0)]


def test_unschedulable() -> None:
    """A pod that fits nowhere is waited for up to the limit."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    nowhere = [pod("Pending", conditions=[condition], node="")]
    assert judge((1.0, nowhere), (60.0, nowhere)) == [
        Waiting(59.0),
        Failure(Reason.UNSCHEDULABLE, "Unschedulable: 0/1 nodes", LIMIT),
    ]


def test_never_starts() -> None:
    """A pod that is not running at the limit, for no reason that is known, has not started in time."""
    assert judge((1.0, stuck("ContainerCreating")), (60.0, stuck("ContainerCreating"))) == [
        Waiting(59.0),
        Failure(Reason.START_TIMEOUT, "", LIMIT),
    ]


def test_init_container_runs() -> None:
    """A pod whose init container runs has started: how long that takes is no matter of the start."""
    preparing = [pod("Pending", {"main": waiting("PodInitializing")}, init={"prepare": RUNNING})]
    assert judge((1.0, preparing), (600.0, preparing)) == [None, None]


def test_fails_after_init_container() -> None:
    """What keeps the command from starting after the init containers fails, too."""
    stuck_later = [pod("Pending", {"main": waiting("InvalidImageName")}, init={"prepare": terminated(0)})]
    assert judge((1.0, stuck_later)) == [Failure(Reason.INVALID_IMAGE, "container 'main': InvalidImageName", None)]


def test_suspended() -> None:
    """The time in which a Job is suspended does not count."""
    start = StartWait(LIMIT, SECRET, 0.0)
    assert [
        start.judge([], suspended=True, now=500.0),
        start.judge(stuck("ContainerCreating"), suspended=False, now=510.0),
    ] == [None, Waiting(LIMIT)]


def test_between_attempts() -> None:
    """Between two attempts the Job may make a pause of any length; the next pod has the whole time to start."""
    failed = pod("Failed", {"main": terminated(3)}, name="a")
    assert judge(
        (1.0, [pod("Running", {"main": RUNNING}, name="a")]),
        (300.0, [failed]),
        (310.0, [failed, *stuck("X", name="b")]),
    ) == [
        None,
        None,
        Waiting(LIMIT),
    ]


@pytest.mark.parametrize(
    ("message", "tolerance"),
    [
        ('pods "j-" is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1', 0),
        ('pods "j-" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation', 0),
        ('admission webhook "policy.example" denied the request: no', 0),
        ("pods \"j-1\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", 0),
        ('pods "j-1" is forbidden: maximum memory usage per Container is 64Mi, but limit is 128Mi', 0),
        ('pods "j-1" is forbidden: [minimum cpu usage per Pod is 1.  No request is specified, and more]', 0),
        ('pods "j-1" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 9.0', 0),
        ('pods "j-" is forbidden: no PriorityClass with name nope was found', 0),
        ('pods "j-" is forbidden: pod rejected: RuntimeClass "nope" not found', 0),
        ('pods "j-" is forbidden: error looking up service account ns/x: serviceaccount "x" not found', 10),
    ],
)
def test_rejected_pods(message: str, tolerance: float) -> None:
    """Where there is no pod the events of the Job say why; a rejection that cannot heal fails at once."""
    start = StartWait(LIMIT, SECRET, 0.0)
    assert start.judge([], suspended=False, now=1.5) == Waiting(0.0, wants_events=True)
    start.take_events((JobEvent("Warning", "FailedCreate", f"Error creating: {message}"),), 2.0)
    failure = Failure(Reason.CONFIG_ERROR, f"FailedCreate: Error creating: {message}", None)
    first = start.judge([], suspended=False, now=2.0)
    assert first == (Waiting(3.0) if tolerance else failure)
    assert start.judge([], suspended=False, now=2.0 + tolerance) == failure


def test_events_are_asked_for_less_and_less() -> None:
    """While nothing is known, the events are looked at again after growing pauses."""
    start = StartWait(LIMIT, SECRET, 0.0)
    looks = []
    now = 0.0
    while isinstance(judged := start.judge([], suspended=False, now=now), Waiting):
        if judged.wants_events:
            looks.append(now)
            start.take_events((), now)
        else:
            now += judged.seconds
    assert (looks, judged) == ([1.5, 4.5, 10.5, 22.5, 37.5, 52.5], Failure(Reason.START_TIMEOUT, "", LIMIT))


def test_message() -> None:
    """The message of a start that failed has the cluster's words, what its events add, and what to do."""
    events = job_events(
        {
            "items": [
                {"type": "Normal", "reason": "Scheduled", "message": "Successfully assigned"},
                {"type": "Warning", "reason": "FailedMount", "message": 'configmap "x"\n not found'},
                {"type": "Warning", "reason": "Failed", "message": "Error: no such thing"},
            ]
        }
    )
    failure = Failure(Reason.START_TIMEOUT, "container 'main': no such thing", 5)
    assert start_failure_message(failure, LABEL, events, is_gone=True) == (
        f"{LABEL} did not start within 5 seconds (pod_watch_timeout_seconds). The cluster says: container 'main': no "
        'such thing. Events: FailedMount: configmap "x" not found. If it needs more time, raise '
        "pod_watch_timeout_seconds. The Job was deleted."
    )


def test_message_of_rejected_pods() -> None:
    """What the cluster says about each pod that it does not take is told once, whatever the names of the pods."""

    def rejected(name: str, why: str) -> JobEvent:
        return JobEvent("Warning", "FailedCreate", f'Error creating: pods "{name}" is forbidden: {why}')

    events = (rejected("j-a", "narrow"), rejected("j-b", "wide"), rejected("j-c", "wide"), rejected("j-d", "narrow"))
    failure = Failure(Reason.CONFIG_ERROR, f"FailedCreate: {events[-1].message}", None)
    assert start_failure_message(failure, LABEL, events, is_gone=True) == (
        f'{LABEL} cannot start. The cluster says: FailedCreate: Error creating: pods "j-d" is forbidden: narrow. '
        'Events: FailedCreate: Error creating: pods "j-c" is forbidden: wide. Put that right, and run it again. '
        "The Job was deleted."
    )
