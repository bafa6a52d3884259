"""The API as users write it. Never executed: mypy checks that every use is accepted and has the type it should."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, assert_type
from uuid import uuid4

import anyio
from anyio import create_task_group, from_thread, to_thread
from anyio.abc import TaskStatus
from pydantic import SecretStr

from infrablocks import (
    Block,
    Infrastructure,
    InfrastructureError,
    InfrastructureNotFound,
    InfrastructureResult,
    KubernetesClusterConfig,
    KubernetesImagePullPolicy,
    KubernetesJob,
    KubernetesManifest,
    KubernetesRestartPolicy,
    Process,
    ProcessResult,
    Reason,
    WorkloadStatus,
    get_block_class,
    sync_compatible,
)
from infrablocks.submission import prepare_for_flow_run, submit_flow_run


def construction() -> None:
    """Every field takes what the reference says."""
    Process(
        type="process",
        name="nightly",
        command=["python", "-c", "print()"],
        env={"PLAIN": "text", "HIDDEN": SecretStr("secret"), "REMOVED": None},
        labels={"team": "data"},
        timeout_seconds=3600,
        on_cancel="leave",
        grace_seconds=2.5,
        stream_output=False,
        working_dir=Path("somewhere"),
    )


def kubernetes() -> None:
    """A Job is configured by fields, a manifest and a patch, each of which may come from a file."""
    manifest: KubernetesManifest = KubernetesJob.base_job_manifest()
    manifest["spec"]["template"]["spec"]["restartPolicy"] = KubernetesRestartPolicy.ON_FAILURE
    block = KubernetesJob(
        image="busybox",
        namespace="etl",
        service_account_name="runner",
        image_pull_policy=KubernetesImagePullPolicy.ALWAYS,
        cluster_config=KubernetesClusterConfig.from_file(Path("config"), context_name="dev"),
        job=manifest,
        customizations=KubernetesJob.customize_from_file("patch.yaml"),
        job_watch_timeout_seconds=60,
        pod_watch_timeout_seconds=30,
        finished_job_ttl=60,
        cpu_request=0.5,
        cpu_limit="1",
        memory_request=1024,
        memory_limit="1Gi",
        secrets="inline",
        stream_output=False,
    )
    KubernetesJob(job=KubernetesJob.job_from_file(Path("job.yaml")))
    assert_type(block.build_job(), dict[str, Any])
    assert_type(block.preview(server=True, show_secrets=True), str)
    with block.get_client() as core, block.get_batch_client() as batch:
        print(core.list_namespaced_pod("etl"), batch.list_namespaced_job("etl"))


def script() -> None:
    """In a script a call gives the result itself."""
    block = Process(command=["true"])
    result = block.run()
    assert_type(result.status_code, int)
    assert_type(result.identifier, str)
    assert_type(result.reason, Reason)
    assert_type(result.message, str)
    assert_type(result.finished_at, datetime | None)
    if not result:
        raise SystemExit(result.status_code)
    base_result: InfrastructureResult = block.run()
    block.kill(result.identifier)
    block.kill(1234, grace_seconds=1)
    state = block.status(result.identifier)
    if state is WorkloadStatus.RUNNING:
        text: str = state
        print(text, base_result)
    block.attach(result.identifier, after=None).status_code.bit_length()
    assert_type(block.preview(), str)
    assert_type(block.preview(show_secrets=True), str)


async def coroutine() -> None:
    """In a coroutine a call is awaited, and gives the same."""
    block = Process(command=["true"])
    result = await block.run()
    assert_type(result.status_code, int)
    awaited: InfrastructureResult = await block.attach(result.identifier, output=print_line)
    assert_type(bool(awaited), bool)
    await block.kill(result.identifier)
    await block.kill(1234, 0.5)
    state: WorkloadStatus = await block.status(1234)
    assert_type(state.value, str)


def in_a_worker_thread(block: Infrastructure) -> int:
    """In a worker thread a call gives the result itself, and an awaited one can be had through anyio as well."""

    async def run() -> InfrastructureResult:
        return await block.run()

    return block.run().status_code + from_thread.run(run).status_code


async def from_a_coroutine_to_a_worker_thread() -> None:
    """A synchronous function that uses a block can be sent to a thread."""
    assert_type(await to_thread.run_sync(in_a_worker_thread, Process(command=["true"])), int)


async def in_a_task_group() -> None:
    """`TaskGroup.start` takes `run`, and gives the identifier."""
    block = Process(command=["sleep", "60"])
    async with create_task_group() as tasks:
        pid: int = await tasks.start(block.run)
        tasks.start_soon(block.run)
        tasks.start_soon(block.kill, pid)


async def starts(block: Infrastructure, task_status: TaskStatus[Any] = anyio.TASK_STATUS_IGNORED) -> None:
    """A task status is handed on."""
    await block.run(task_status)
    await block.run(task_status=task_status, output=Collector())


def print_line(stream: Literal["stdout", "stderr"], line: str) -> None:
    """Take a line, as a function."""
    print(stream, line, end="")


class Collector:
    """Takes lines, as an object."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def write(self, stream: str, line: str) -> None:
        """Take a line."""
        self.lines.append((stream, line))


def sinks() -> None:
    """A sink is a callable or an object with `write`, and nothing else."""
    block = Process(command=["true"])
    collector = Collector()
    block.run(output=print_line)
    block.run(output=collector)
    block.run(output=collector.write)
    block.run(output=lambda stream, line: collector.write(stream.upper(), line))
    block.run(output=None)
    block.run(output="a path")  # type: ignore[arg-type]  # that is neither


class RemoteResult(InfrastructureResult):
    """The result of a back end of one's own."""

    host: str


class Remote(Infrastructure):
    """A back end as they were written for Prefect 2: it has a `run` and a `preview` of its own."""

    type: Literal["remote"] = "remote"
    host: str = "localhost"

    @sync_compatible
    async def run(self, task_status: TaskStatus[Any] | None = None, **_: Any) -> RemoteResult:
        """Run it."""
        await anyio.sleep(1)
        if task_status is not None:
            task_status.started("remote-1")
        return RemoteResult(identifier="remote-1", status_code=0, host=self.host)

    @sync_compatible
    async def kill(self, identifier: str | int, grace_seconds: float = 30) -> None:
        """End it."""
        raise InfrastructureNotFound(f"{identifier} is not there; {grace_seconds} s")

    def preview(self) -> str:
        """Show it."""
        return f"ssh {self.host}"


class OldRemote(Infrastructure):
    """The same without the decorator, which is not needed."""

    type: Literal["old-remote"] = "old-remote"

    async def run(  # type: ignore[override]  # to a type checker only what is decorated can be called in a script
        self,
        task_status: TaskStatus[Any] | None = None,
    ) -> InfrastructureResult:
        """Run it."""
        return RemoteResult(identifier="remote-2", status_code=0, host="localhost")

    def preview(self) -> str:
        """Show it."""
        return ""


async def own_back_ends() -> None:
    """What a back end of one's own returns has its own type, awaited or not."""
    assert_type(await Remote().run(), RemoteResult)
    assert_type(Remote().run().host, str)
    await Remote().kill("remote-1")
    assert_type((await OldRemote().run()).status_code, int)


def results() -> None:
    """A result of a process is one of infrastructure; a reason is one of a closed list and text."""
    result: InfrastructureResult = ProcessResult(identifier="1", status_code=0)
    text: str = result.reason
    hints: dict[Reason, str] = {Reason.OOM_KILLED: "more memory"}
    print(text, hints.get(result.reason, ""))


def blocks(path: Path) -> None:
    """A class reads a block of its own kind; `Block` and `Infrastructure` read any of theirs."""
    assert_type(Process.from_yaml(path), Process)
    assert_type(Infrastructure.from_yaml(path).run().status_code, int)
    assert_type(Block.from_yaml(str(path)), Block)
    Process(command=["true"]).to_yaml(path)
    assert_type(get_block_class("process"), type[Block])


def stored_blocks(block: Process) -> None:
    """In a script saving and loading give what they give; each class loads blocks of its own kind."""
    block.save("etl")
    block.save("etl", overwrite=True)
    assert_type(Process.load("etl"), Process)
    assert_type(Infrastructure.load("docker-container/etl").run().status_code, int)
    assert_type(Block.load("docker-registry/main"), Block)
    names: list[str] = Process.list()
    Block.delete(f"process/{names[0]}")


async def stored_blocks_in_a_loop(block: Process) -> None:
    """In a coroutine the same calls are awaited."""
    await block.save("etl", overwrite=True)
    assert_type(await Process.load("etl"), Process)
    assert_type(await (await Infrastructure.load("process/etl")).run(), InfrastructureResult)
    names: list[str] = await Block.list()
    await Process.delete(names[0])


class HasRun:
    """A flow run, as any client gives it."""

    def __init__(self) -> None:
        self.id = uuid4()
        self.name = "quiet-owl"


async def flow_runs(block: Process) -> None:
    """A flow run is any object with an id and a name; the block that is prepared for it is of its own class."""
    assert_type(prepare_for_flow_run(HasRun(), block), Process)
    result: InfrastructureResult = await submit_flow_run(HasRun(), block)
    async with create_task_group() as tasks:
        await tasks.start(submit_flow_run, HasRun(), block)
    submit_flow_run("a name", block)  # type: ignore[arg-type]  # has no id
    print(result)


def errors(block: Infrastructure) -> int:
    """One `except` catches what is raised on purpose."""
    try:
        return block.run().status_code
    except InfrastructureError as error:
        handler: Callable[[object], None] = print
        handler(error)
        return 1
