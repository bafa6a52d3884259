"""The clusters that the other integration tests talk to are what those take them for."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.engines import ENGINES, EngineError, fake_scripts, images, require
from tests.engines.cluster_api import ApiRefused
from tests.engines.fake_nodes import FakeNodes
from tests.engines.fake_scripts import PodScript
from tests.engines.paths import STATE_VARIABLE
from tests.engines.processes import ProcessRecord
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.engines.cluster import Cluster
    from tests.engines.kubernetes import Kubernetes

pytestmark = pytest.mark.integration

FOR_EVER = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]


@pytest.fixture(params=["kubernetes", "kubernetes2"])
def any_cluster(request: pytest.FixtureRequest, cluster: Kubernetes, second_cluster: Cluster) -> Cluster:
    """Each cluster in turn."""
    return cluster if request.param == "kubernetes" else second_cluster


@pytest.fixture(scope="module", params=["kubernetes", "kubernetes2"])
def own_state(request: pytest.FixtureRequest) -> Iterator[tuple[str, Path]]:
    """The name of each cluster in turn, and a state directory in which it is another one."""
    with tempfile.TemporaryDirectory(prefix="ib-", dir="/tmp") as directory:
        yield request.param, Path(directory)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(STATE_VARIABLE, directory)
            ENGINES[request.param].down()


@pytest.fixture
def own_cluster(own_state: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster beside the usual one, which a test may crash and take down; the next one finds it up."""
    name, directory = own_state
    cluster = cast("Cluster", require(name))
    monkeypatch.setenv(STATE_VARIABLE, str(directory))
    cluster.up()
    return cluster


@pytest.fixture
def machine_address(cluster: Kubernetes) -> str:
    """The address by which the pods of the usual cluster reach this machine."""
    return cluster.node.network.machine_address


def eventually(look: Callable[[], Any]) -> Any:
    """Return the first answer that is not false."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (answer := look()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return answer


def create_pod(cluster: Cluster, namespace: str, command: list[str]) -> str:
    container = {"name": "main", "image": images.BUSYBOX, "command": command}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
    pods = f"/api/v1/namespaces/{namespace}/pods"
    created = cluster.api("POST", pods, {"metadata": {"generateName": "pod-"}, "spec": spec})
    return f"{pods}/{created['metadata']['name']}"


def create_job(
    cluster: Cluster, namespace: str, fake: FakeNodes, script: Mapping[str, str], *, retries: int = 0
) -> str:
    """Make a Job for fake nodes, and return where it is."""
    pod = {**fake.pod_settings, "restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}
    template = {"metadata": {"annotations": dict(script)}, "spec": pod}
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    job = {"metadata": {"generateName": "job-"}, "spec": {"backoffLimit": retries, "template": template}}
    return f"{jobs}/{cluster.api('POST', jobs, job)['metadata']['name']}"


def job_of(cluster: Cluster, path: str) -> dict[str, Any] | None:
    """Return a Job as soon as it has ended."""
    job = cluster.api("GET", path)
    conditions = job["status"].get("conditions", [])
    return job if any(each["type"] in ("Complete", "Failed") for each in conditions) else None


def pods_of(cluster: Cluster, job: str) -> list[dict[str, Any]]:
    name, namespace = job.rsplit("/", 1)[1], job.split("/")[5]
    pods = f"/api/v1/namespaces/{namespace}/pods?labelSelector=job-name={name}"
    items: list[dict[str, Any]] = cluster.api("GET", pods)["items"]
    return sorted(items, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def running_pods_of(cluster: Cluster, job: str) -> list[dict[str, Any]]:
    return [pod for pod in pods_of(cluster, job) if pod["status"]["phase"] == "Running"]


def play(cluster: Cluster, namespace: str, fake: FakeNodes, **script: Any) -> dict[str, Any]:
    """Let one Job run on a fake node and return the status of its pod."""
    job = create_job(cluster, namespace, fake, fake_scripts.annotations(**script))
    eventually(lambda: job_of(cluster, job))
    status: dict[str, Any] = pods_of(cluster, job)[0]["status"]
    return status


def state_of(status: Mapping[str, Any]) -> tuple[str, int, str]:
    ended = status["containerStatuses"][0]["state"]["terminated"]
    return status["phase"], ended["exitCode"], ended["reason"]


def namespaces_of(cluster: Cluster) -> list[str]:
    return [namespace["metadata"]["name"] for namespace in cluster.api("GET", "/api/v1/namespaces")["items"]]


def phase_of(cluster: Cluster, pod: str, phase: str) -> Callable[[], bool]:
    return lambda: bool(cluster.api("GET", pod)["status"].get("phase") == phase)


def processes_in(cluster: Cluster) -> list[ProcessRecord]:
    """Return all processes in the cluster's process namespace or one below it."""
    room = Path(f"/proc/{cluster.room.first.pid}/ns/pid").readlink()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            # A process of a pod has a process namespace of its own; its shim, which is its parent, has the room's.
            if room in ((process / "ns/pid").readlink(), (process / "ns/pid_for_children").readlink()):
                found.append(ProcessRecord.of(int(process.name)))
    return found


def addresses() -> set[str]:
    """Return the addresses of this machine."""
    done = subprocess.run(["ip", "-brief", "-4", "address"], capture_output=True, check=True, text=True)
    return {word.partition("/")[0] for word in done.stdout.split() if "/" in word}


def test_the_version_is_the_expected_one(any_cluster: Cluster) -> None:
    """A test that names a cluster gets that one."""
    assert any_cluster.api("GET", "/version")["gitVersion"] == f"v{any_cluster.version}"
    assert any_cluster.status().up


def test_a_pod_runs(cluster: Kubernetes, kubernetes_namespace: str) -> None:
    """A pod's output and exit code come back."""
    pod = create_pod(cluster, kubernetes_namespace, ["sh", "-c", "echo from inside; exit 3"])
    eventually(phase_of(cluster, pod, "Failed"))
    assert state_of(cluster.api("GET", pod)["status"]) == ("Failed", 3, "Error")
    assert cluster.admin.text("GET", f"{pod}/log") == "from inside\n"


def test_a_pod_reaches_the_api_and_the_test(cluster: Kubernetes, kubernetes_namespace: str) -> None:
    """A pod finds the API where pods find it everywhere, and a server of the test on the machine's address."""
    with socket.create_server((cluster.node.network.machine_address, 0)) as server:
        server.settimeout(WAIT_SECONDS)
        port = server.getsockname()[1]
        api = "nc -w 120 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null && echo reached"
        script = f"({api}) | nc {cluster.node.network.machine_address} {port}"
        create_pod(cluster, kubernetes_namespace, ["sh", "-c", script])
        connection, _ = server.accept()
        with connection, connection.makefile() as lines:
            assert lines.readline() == "reached\n"


def test_an_image_is_given_to_the_node(cluster: Kubernetes, kubernetes_namespace: str) -> None:
    """An image that a test loads can be used by pods."""
    cluster.load(images.entrypoint())
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": images.ENTRYPOINT, "args": ["loaded"]}]}
    pod = f"/api/v1/namespaces/{kubernetes_namespace}/pods/loaded"
    cluster.api("POST", pod.rsplit("/", 1)[0], {"metadata": {"name": "loaded"}, "spec": spec})
    eventually(phase_of(cluster, pod, "Succeeded"))
    assert cluster.admin.text("GET", f"{pod}/log") == "loaded\n"


def test_a_service_account_has_its_rights_and_no_others(any_cluster: Cluster) -> None:
    """Who may read Jobs may not read pods; a stranger may not even do that."""
    rule = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list"]}
    with any_cluster.namespace() as namespace:
        account = any_cluster.service_account(namespace, [rule])
        jobs, pods = f"/apis/batch/v1/namespaces/{namespace}/jobs", f"/api/v1/namespaces/{namespace}/pods"
        assert any_cluster.api_of(account.token).request("GET", jobs)["items"] == []
        for token, path in ((account.token, pods), (any_cluster.users.token("stranger"), jobs)):
            with pytest.raises(ApiRefused) as refusal:
                any_cluster.api_of(token).request("GET", path)
            assert refusal.value.status == 403


def test_a_namespace_is_removed(any_cluster: Cluster) -> None:
    """Nothing of a test's namespace is left some seconds after the test."""
    with any_cluster.namespace() as namespace:
        create_pod(any_cluster, namespace, FOR_EVER)
    eventually(lambda: namespace not in namespaces_of(any_cluster))


def test_up_of_a_cluster_that_is_up_changes_nothing(any_cluster: Cluster) -> None:
    """The same process goes on."""
    before = any_cluster.api_server.process
    any_cluster.up()
    assert any_cluster.api_server.process == before


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "killed"])
def test_restart(own_cluster: Cluster, *, crash: bool) -> None:
    """The API server comes back at the same address with all that was there."""
    with own_cluster.namespace() as namespace:
        address = own_cluster.address
        if crash:
            own_cluster.kill()
            assert not own_cluster.is_up()
        own_cluster.restart()
        assert own_cluster.is_up()
        assert own_cluster.address == address
        assert own_cluster.api("GET", f"/api/v1/namespaces/{namespace}")["metadata"]["name"] == namespace


def test_fake_nodes_outlive_the_api_server(own_cluster: Cluster) -> None:
    """Pods that are there before a restart of the API server end after it."""
    with own_cluster.namespace() as namespace, FakeNodes(own_cluster, run_seconds=10) as fake:
        job = create_job(own_cluster, namespace, fake, {})
        eventually(lambda: running_pods_of(own_cluster, job))
        own_cluster.kill()
        own_cluster.restart()
        assert eventually(lambda: job_of(own_cluster, job))["status"]["succeeded"] == 1


def test_down_after_a_crash_leaves_nothing(
    machine_address: str, own_cluster: Cluster, own_state: tuple[str, Path]
) -> None:
    """After the API server was killed, down ends all the rest, and no mount, control group or interface remains."""
    own_address = None
    if own_cluster.name == "kubernetes":
        pod = create_pod(own_cluster, "default", FOR_EVER)
        eventually(phase_of(own_cluster, pod, "Running"))
        own_address = cast("Kubernetes", own_cluster).node.network.machine_address
        assert own_address != machine_address
        assert {own_address, machine_address} <= addresses()
    processes, group = processes_in(own_cluster), own_cluster.control_group
    assert len(processes) >= 5
    own_cluster.kill()
    assert not own_cluster.is_up()
    own_cluster.down()
    assert not any(process.is_alive() for process in processes)
    assert str(own_state[1]) not in Path("/proc/self/mountinfo").read_text()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/{group}"))
    assert not own_cluster.status().up
    assert [path.name for path in own_cluster.directory.iterdir() if path.suffix != ".log"] == []
    assert addresses() & {own_address, machine_address} == {machine_address}


@pytest.mark.engines("kubernetes2")
def test_a_missing_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a cluster is not up, the test is told how to get it."""
    monkeypatch.setenv(STATE_VARIABLE, "/tmp/infrablocks-no-engines")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"python -m tests\.engines up kubernetes2"):
        require("kubernetes2")


def test_fake_nodes_play_fifty_jobs(any_cluster: Cluster) -> None:
    """Every Job ends as it was told to, and only fake nodes had its pods."""
    with any_cluster.namespace() as namespace, FakeNodes(any_cluster, nodes=2, run_seconds=0.5) as fake:
        jobs = [
            create_job(any_cluster, namespace, fake, fake_scripts.annotations(exit_codes=number % 2))
            for number in range(50)
        ]
        ended = [eventually(partial(job_of, any_cluster, job)) for job in jobs]
        assert [job["status"].get("succeeded", 0) for job in ended] == [1, 0] * 25
        assert [job["status"].get("failed", 0) for job in ended] == [0, 1] * 25
        nodes = {pod["spec"]["nodeName"] for job in jobs for pod in pods_of(any_cluster, job)}
        assert nodes <= set(fake.names)
    left = [node["metadata"]["name"] for node in any_cluster.api("GET", "/api/v1/nodes")["items"]]
    assert not set(left) & set(fake.names)


def test_ends_of_fake_pods(second_cluster: Cluster) -> None:
    """A pod ends as its annotations say: by its exit code, out of memory, or evicted."""
    with second_cluster.namespace() as namespace, FakeNodes(second_cluster, run_seconds=0.1) as fake:
        failed = play(second_cluster, namespace, fake, exit_codes=3, message="too bad")
        assert state_of(failed) == ("Failed", 3, "Error")
        assert failed["containerStatuses"][0]["state"]["terminated"]["message"] == "too bad"
        assert state_of(play(second_cluster, namespace, fake, end="oom-killed")) == ("Failed", 137, "OOMKilled")
        evicted = play(second_cluster, namespace, fake, end="evicted")
        assert (evicted["phase"], evicted["reason"]) == ("Failed", "Evicted")
        assert evicted.get("containerStatuses") is None
        restarted = play(second_cluster, namespace, fake, restarts=2)["containerStatuses"][0]
        assert (restarted["restartCount"], restarted["lastState"]) != (0, {})


def test_attempts_of_a_fake_job(second_cluster: Cluster) -> None:
    """The second pod of a Job may do what the first did not."""
    with second_cluster.namespace() as namespace, FakeNodes(second_cluster, run_seconds=0.1) as fake:
        job = create_job(second_cluster, namespace, fake, fake_scripts.annotations(exit_codes=[4, 0]), retries=3)
        eventually(lambda: job_of(second_cluster, job))
        states = [state_of(pod["status"]) for pod in pods_of(second_cluster, job)]
        assert states == [("Failed", 4, "Error"), ("Succeeded", 0, "Completed")]


def test_a_fake_pod_that_never_starts(second_cluster: Cluster) -> None:
    """A pod may wait for ever, and goes away when it is deleted."""
    script = fake_scripts.annotations(waiting="ImagePullBackOff", waiting_message="no such image")
    with second_cluster.namespace() as namespace, FakeNodes(second_cluster) as fake:
        job = create_job(second_cluster, namespace, fake, script)
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
        states = lambda: [  # noqa: E731
            container["state"]
            for pod in pods_of(second_cluster, job)
            for container in pod["status"].get("containerStatuses", [])
        ]
        assert eventually(states) == [waiting]
        second_cluster.api("DELETE", f"{job}?propagationPolicy=Background")
        eventually(lambda: pods_of(second_cluster, job) == [])


def test_logs_of_fake_pods(second_cluster: Cluster) -> None:
    """A log has its lines, with times if asked for, from a time on, or up to where the node cuts it."""
    with second_cluster.namespace() as namespace, FakeNodes(second_cluster) as fake:
        script = fake_scripts.annotations(run_seconds=3, log_lines=30)
        job = create_job(second_cluster, namespace, fake, script)
        (pod,) = eventually(
            lambda: [pod for pod in pods_of(second_cluster, job) if pod["status"]["phase"] != "Pending"]
        )
        path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/log"
        followed = second_cluster.admin.text("GET", f"{path}?follow=true&timestamps=true").splitlines()
        expected = [f"line {number} of {pod['metadata']['name']}" for number in range(30)]
        assert [line.partition(" ")[2] for line in followed] == expected
        since = followed[20][:19] + "Z"  # in whole seconds, as clients ask for it
        later = second_cluster.admin.text("GET", f"{path}?sinceTime={since}&timestamps=true").splitlines()
        assert later == [line for line in followed if line[:19] >= since[:19]]
        cut = create_job(
            second_cluster, namespace, fake, fake_scripts.annotations(log_lines=30, run_seconds=0, log_cut_after=5)
        )
        eventually(lambda: job_of(second_cluster, cut))
        pod = pods_of(second_cluster, cut)[0]
        path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/log"
        assert len(second_cluster.admin.text("GET", path).splitlines()) == 5


@pytest.mark.nightly("it waits half a minute for the cluster's patience, and is about the fake nodes only")
def test_a_lost_fake_node(second_cluster: Cluster) -> None:
    """A silent node is noticed by the cluster, and what ran there is given up; a removed one is gone at once."""
    with second_cluster.namespace() as namespace, FakeNodes(second_cluster, nodes=3) as fake:
        job = create_job(second_cluster, namespace, fake, fake_scripts.annotations(run_seconds=0.1, end="node-lost"))
        eventually(lambda: any("deletionTimestamp" in pod["metadata"] for pod in pods_of(second_cluster, job)))
        lost = pods_of(second_cluster, job)[0]["spec"]["nodeName"]
        conditions = second_cluster.api("GET", f"/api/v1/nodes/{lost}")["status"]["conditions"]
        assert [each["status"] for each in conditions if each["type"] == "Ready"] == ["Unknown"]
        fake.remove(lost)
        with pytest.raises(ApiRefused, match="404"):
            second_cluster.api("GET", f"/api/v1/nodes/{lost}")


def test_fake_nodes_that_cannot_start(cluster: Kubernetes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes whose names are taken are an error that names their log."""
    with FakeNodes(cluster) as fake, contextlib.ExitStack() as stack:
        others = FakeNodes(cluster)
        monkeypatch.setattr(others, "names", fake.names)
        with pytest.raises(EngineError, match="already exists"):
            stack.enter_context(others)


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ({"fake.infrablocks.io/speed": "1"}, "no such annotation"),
        (fake_scripts.annotations(end="fire"), "end is 'fire'"),
    ],
)
def test_a_script_that_means_nothing(script: dict[str, str], problem: str) -> None:
    """A mistake in an annotation is an error, not a pod that ends some other way."""
    with pytest.raises(ValueError, match=problem):
        PodScript.of({"metadata": {"annotations": script}}, 1)
