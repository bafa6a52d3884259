"""What an orchestration agent calls for one flow run."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from pydantic import SecretStr

from infrablocks import DockerContainer, DockerRegistry, Infrastructure, Process, _versions
from infrablocks.kubernetes import KubernetesJob
from infrablocks.submission import (
    base_flow_run_environment,
    base_flow_run_labels,
    prepare_for_flow_run,
    submit_flow_run,
)

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

RUN_ID = UUID("6b1f2a64-31d2-4b5e-9d0c-7f3f1f1d2e11")


@dataclass(frozen=True)
class Run:
    """A flow run."""

    id: UUID = RUN_ID
    name: str = "quiet-owl"


# Names that meet those of a flow run as often as others.
env_names = st.sampled_from(["PREFECT__FLOW_RUN_ID", "PREFECT_API_KEY", "A"]) | st.text("ABC_", min_size=1, max_size=3)
label_names = st.sampled_from(["prefect.io/flow-run-id", "prefect.io/flow-run-name", "prefect.io/version", "team"])
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)  # no variable of a Job can hold NUL
fields = st.fixed_dictionaries(
    {},
    optional={
        "env": st.dictionaries(env_names, st.none() | texts | texts.map(SecretStr), max_size=4),
        "labels": st.dictionaries(label_names, texts, max_size=4),
        "name": st.none() | texts,
        "command": st.lists(texts, max_size=3),
    },
)
registry = DockerRegistry(username="ci", password=SecretStr("t0ken"), registry_url="registry.example.com")


def manifest(team: str) -> dict[str, Any]:
    """Give a manifest with something of one's own in it."""
    job = KubernetesJob.base_job_manifest()
    job["metadata"]["annotations"] = {"team": team}
    return job


job_fields = st.fixed_dictionaries(
    {},
    optional={
        "job": texts.map(manifest),
        "customizations": st.lists(
            texts.map(lambda team: {"op": "add", "path": "/metadata/annotations", "value": {"team": team}}), max_size=2
        ),
    },
)
blocks = st.one_of(
    fields.map(lambda given_fields: Process(**given_fields)),
    fields.map(lambda given_fields: DockerContainer(**given_fields, image_registry=registry)),
    st.builds(lambda given_fields, more: KubernetesJob(**given_fields, **more), fields, job_fields),
)
runs = st.builds(Run, st.uuids(), texts)


def test_environment_and_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The id goes into the environment as hexadecimal digits, id and name into labels, and a known version too."""
    monkeypatch.setattr(_versions, "PREFECT", None)
    assert base_flow_run_environment(Run()) == {"PREFECT__FLOW_RUN_ID": "6b1f2a6431d24b5e9d0c7f3f1f1d2e11"}
    labels = {"prefect.io/flow-run-id": str(RUN_ID), "prefect.io/flow-run-name": "quiet-owl"}
    assert base_flow_run_labels(Run()) == labels
    monkeypatch.setattr(_versions, "PREFECT", "3.8.8")
    assert base_flow_run_labels(Run()) == {**labels, "prefect.io/version": "3.8.8"}


@given(flow_run=runs, block=blocks)
def test_own_values_win(flow_run: Run, block: Infrastructure) -> None:
    """Variables, labels and the name of the flow run fill up what the block does not say itself; the rest is equal."""
    prepared = prepare_for_flow_run(flow_run, block)
    expected = block.model_dump() | {
        "env": base_flow_run_environment(flow_run) | block.env,
        "labels": base_flow_run_labels(flow_run) | block.labels,
        "name": flow_run.name if block.name is None else block.name,
    }
    assert type(prepared) is type(block)
    assert prepared.model_dump() == expected


@given(flow_run=runs, block=blocks)
def test_input_is_never_changed(flow_run: Run, block: Infrastructure) -> None:
    """Neither preparing changes the block, nor does changing what was prepared."""
    before = deepcopy(block)
    given_before = set(block.model_fields_set)
    prepared: Any = prepare_for_flow_run(flow_run, block)
    prepared.env["NEW"] = "1"
    prepared.labels["new"] = "1"
    prepared.command.append("new")
    prepared.name = "new"
    if isinstance(prepared, DockerContainer):
        assert prepared.image_registry is not None
        prepared.image_registry.username = "new"
    if isinstance(prepared, KubernetesJob):
        prepared.job["metadata"].setdefault("annotations", {})["new"] = "1"
        for operation in prepared.customizations.patch:
            operation["value"]["new"] = "1"
        prepared.customizations.patch.append({"op": "remove", "path": "/metadata/labels"})
    assert block == before
    assert block.model_fields_set == given_before


@pytest.mark.anyio
async def test_submission_runs_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    """The workload sees the id of its flow run; what is reported and returned is the run's."""
    block = Process(command=["sh", "-c", 'echo "$PREFECT__FLOW_RUN_ID $STAGE"; exit 3'], env={"STAGE": "test"})
    reported: list[int] = []

    class Status:
        def started(self, value: int) -> None:
            reported.append(value)

    status: TaskStatus[Any] = Status()
    result = await submit_flow_run(Run(), block, task_status=status)
    assert (result.status_code, [result.identifier]) == (3, [str(pid) for pid in reported])
    assert capfd.readouterr().out == "6b1f2a6431d24b5e9d0c7f3f1f1d2e11 test\n"
    assert block == Process(command=block.command, env={"STAGE": "test"})


def test_submission_from_a_script() -> None:
    """Without an event loop the call runs to the end."""
    assert submit_flow_run(Run(), Process(command=["true"])).status_code == 0
