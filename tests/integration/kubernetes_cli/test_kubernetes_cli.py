"""The command line with a real cluster."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command_line import CommandLine
from tests.integration.kubernetes_run.driving import Gate
from tests.processes import WAIT_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engines.cluster_access import Account
    from tests.engines.kubernetes import Kubernetes

pytestmark = pytest.mark.integration

JOB = ("--type", "kubernetes-job")
OBEDIENT = ("--", "sh", "-c", "trap 'exit 7' TERM; echo running; while :; do sleep 0.05; done")


@pytest.fixture
def infrablocks(tmp_path: Path, runner: Account) -> Iterator[CommandLine]:
    command_line = CommandLine(tmp_path, KUBECONFIG=str(runner.kubeconfig))
    yield command_line
    command_line.end_all()


@pytest.fixture
def run(kubernetes_namespace: str) -> tuple[str, ...]:
    """The words that make a Job in a namespace of the test's own."""
    return ("run", "--kubernetes", "busybox:test", "--namespace", kubernetes_namespace, "--name", "own")


def only_job(cluster: Kubernetes, namespace: str) -> dict[str, Any]:
    (job,) = cluster.api("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs")["items"]
    return dict(job)


def test_output_and_exit_code_are_the_command_s(infrablocks: CommandLine, run: tuple[str, ...]) -> None:
    """The log comes out unchanged, and then only why the run failed."""
    done = infrablocks(*run, "--", "sh", "-c", "echo hello; exit 3")
    assert (done.returncode, done.stdout) == (3, "hello\n")
    assert done.stderr.startswith("Error: Kubernetes Job ")
    assert done.stderr.endswith(" exited with status code 3.\n")


def test_another_terminal_follows_and_kills(
    infrablocks: CommandLine, run: tuple[str, ...], cluster: Kubernetes, kubernetes_namespace: str
) -> None:
    """status, logs, attach and kill find a Job by namespace and name; every watcher learns of its end."""
    first = infrablocks.start(*run, *OBEDIENT)
    assert first.stdout is not None
    assert first.stdout.readline() == b"running\n"
    name = only_job(cluster, kubernetes_namespace)["metadata"]["name"]
    identifier = f"{kubernetes_namespace}/{name}"
    done = infrablocks("status", identifier, *JOB)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Running\n", "")
    assert infrablocks("status", name, *JOB, "--namespace", kubernetes_namespace).stdout == "Running\n"
    done = infrablocks("logs", identifier, *JOB)
    assert (done.returncode, done.stdout, done.stderr) == (0, "running\n", "")
    attached = infrablocks.start("attach", identifier, *JOB)
    followed = infrablocks.start("logs", "--follow", identifier, *JOB)
    for process in (attached, followed):
        assert process.stdout is not None
        assert process.stdout.readline() == b"running\n"
    done = infrablocks("kill", identifier, *JOB, "--grace-seconds", "20")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert first.wait(WAIT_SECONDS) == 7
    assert attached.wait(WAIT_SECONDS) == 7
    assert followed.wait(WAIT_SECONDS) == 0
    done = infrablocks("status", identifier, *JOB)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: There is no Job ")


def test_ctrl_c_ends_the_job(
    infrablocks: CommandLine, run: tuple[str, ...], cluster: Kubernetes, kubernetes_namespace: str
) -> None:
    """As `docker run` does; nothing of it runs any more."""
    process = infrablocks.start(*run, *OBEDIENT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"running\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_SECONDS) == 130
    assert cluster.api("GET", f"/apis/batch/v1/namespaces/{kubernetes_namespace}/jobs")["items"] == []
    pods = cluster.api("GET", f"/api/v1/namespaces/{kubernetes_namespace}/pods")["items"]
    assert [pod["status"]["phase"] for pod in pods if pod["status"]["phase"] not in {"Succeeded", "Failed"}] == []


def test_attaching_ends_alone(
    infrablocks: CommandLine, run: tuple[str, ...], cluster: Kubernetes, kubernetes_namespace: str
) -> None:
    """Ctrl-C on `attach` leaves the Job to whoever has made it."""
    first = infrablocks.start(*run, *OBEDIENT)
    assert first.stdout is not None
    assert first.stdout.readline() == b"running\n"
    identifier = f"{kubernetes_namespace}/{only_job(cluster, kubernetes_namespace)['metadata']['name']}"
    attached = infrablocks.start("attach", identifier, *JOB)
    assert attached.stdout is not None
    assert attached.stdout.readline() == b"running\n"
    attached.send_signal(signal.SIGINT)
    assert attached.wait(WAIT_SECONDS) == 130
    assert infrablocks("status", identifier, *JOB).stdout == "Running\n"
    assert infrablocks("kill", identifier, *JOB, "--grace-seconds", "20").returncode == 0
    assert first.wait(WAIT_SECONDS) == 7


def test_status_is_watched_to_the_end(
    infrablocks: CommandLine, run: tuple[str, ...], cluster: Kubernetes, kubernetes_namespace: str
) -> None:
    """--watch prints each change, the last one being the end."""
    with Gate(cluster.node.network.machine_address) as gate:
        first = infrablocks.start(*run, "--", "sh", "-c", f"{gate.command}; exit 0")
        jobs = f"/apis/batch/v1/namespaces/{kubernetes_namespace}/jobs"
        wait_until(lambda: cluster.api("GET", jobs)["items"])
        name = only_job(cluster, kubernetes_namespace)["metadata"]["name"]
        watched = infrablocks.start("status", name, *JOB, "-n", kubernetes_namespace, "--watch", "--interval", "0.2")
        assert b"Running\n" in iter(watched.stdout.readline, b"")
        gate.open()
        assert watched.stdout.read() == b"Succeeded\n"
    assert (watched.wait(WAIT_SECONDS), watched.stderr.read()) == (0, b"")
    assert first.wait(WAIT_SECONDS) == 0


def test_preview_by_the_cluster(infrablocks: CommandLine, run: tuple[str, ...]) -> None:
    """--server shows what the cluster would make of it."""
    done = infrablocks("preview", *run[1:], "--server", "--", "true")
    assert (done.returncode, done.stderr) == (0, "")
    assert "terminationGracePeriodSeconds: 30" in done.stdout
    done = infrablocks("preview", "--docker", "busybox:test", "--server", "--", "true")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == "Error: A preview of docker-container does not have --server.\n"


def test_doctor(infrablocks: CommandLine, cluster: Kubernetes, kubernetes_namespace: str) -> None:
    """The cluster is named with version, address and context; namespace and rights are looked at."""
    done = infrablocks("doctor", "--namespace", kubernetes_namespace, KUBECONFIG=str(cluster.kubeconfig))
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if "kubernetes: " in line[9:23]] == [
        f"ok       kubernetes: cluster: Kubernetes v1.37.2 at {cluster.address} (context 'tests')",
        f"ok       kubernetes: namespace: '{kubernetes_namespace}' exists",
        f"ok       kubernetes: rights: all that a run needs in '{kubernetes_namespace}'",
    ]


def test_doctor_with_the_documented_rights(infrablocks: CommandLine, kubernetes_namespace: str) -> None:
    """They are enough; that the namespace is there they do not let one see."""
    done = infrablocks("doctor", "--namespace", kubernetes_namespace)
    assert (done.returncode, [line for line in done.stdout.splitlines() if "kubernetes: " in line][1:]) == (
        0,
        [
            f"ok       kubernetes: namespace: '{kubernetes_namespace}'; this user may not see whether it exists",
            f"ok       kubernetes: rights: all that a run needs in '{kubernetes_namespace}'",
        ],
    )


def test_doctor_about_no_namespace(infrablocks: CommandLine, cluster: Kubernetes) -> None:
    """Who may see namespaces is told that there is none of this name."""
    done = infrablocks("doctor", "--namespace", "no-such", KUBECONFIG=str(cluster.kubeconfig))
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if "kubernetes: namespace" in line] == [
        "broken   kubernetes: namespace: there is no namespace 'no-such': make it, or choose another"
    ]


def test_doctor_about_few_rights(infrablocks: CommandLine, cluster: Kubernetes, kubernetes_namespace: str) -> None:
    """What is missing is named by verb and resource."""
    rules = [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "watch"]}]
    account = cluster.service_account(kubernetes_namespace, rules=rules, name="few")
    done = infrablocks("doctor", "--namespace", kubernetes_namespace, KUBECONFIG=str(account.kubeconfig))
    assert done.returncode == 1
    (rights, useful) = [line for line in done.stdout.splitlines() if "kubernetes: rights" in line]
    assert rights == (
        f"broken   kubernetes: rights: missing in '{kubernetes_namespace}': delete jobs.batch, delete pods, "
        "get pods/log, list pods, watch pods; a Role has to grant them"
    )
    assert useful.startswith(f"warning  kubernetes: rights: missing in '{kubernetes_namespace}', though not always")
