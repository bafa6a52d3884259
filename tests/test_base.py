"""The base of all blocks: classes of other people, written for the seed or for us, and what their calls say."""

from __future__ import annotations

import inspect
import logging
from typing import Any, ClassVar, Literal

import anyio
import pytest
from anyio import to_thread
from anyio.lowlevel import checkpoint
from pydantic import SecretStr, ValidationError

from infrablocks import Infrastructure, InfrastructureResult, InvalidSettings, Process, UnsupportedOperation


class SeedResult(InfrastructureResult):
    """The result of a block written for the seed."""


class SeedStyle(Infrastructure):
    """A block written for the seed: its own run and preview, and nothing else."""

    _block_type_slug: ClassVar[str | None] = "test-seed-style"
    type: Literal["test-seed-style"] = "test-seed-style"
    size: int = 1

    async def run(self, task_status: Any = None) -> SeedResult:  # type: ignore[override]
        """Run nothing."""
        await checkpoint()
        if task_status is not None:
            task_status.started("seed")
        return SeedResult(identifier="seed", status_code=self.size - 1)

    def preview(self) -> str:
        """Show nothing."""
        return "seed"


class Mixin:
    """Gives a run to blocks."""

    async def run(self) -> str:
        """Run nothing."""
        await checkpoint()
        return "mixed in"


class WithMixin(Mixin, Infrastructure):  # type: ignore[misc]
    """A block whose run comes from a class that is no block."""

    _block_type_slug: ClassVar[str | None] = "test-with-mixin"
    type: Literal["test-with-mixin"] = "test-with-mixin"

    def preview(self) -> str:
        """Show nothing."""
        return ""


EXPECTED = SeedResult(identifier="seed", status_code=0)


def test_a_seed_style_block_in_a_script() -> None:
    """Its plain coroutine function can be called from a script, also through a subclass."""
    assert SeedStyle().run() == EXPECTED

    class Smaller(SeedStyle):
        _block_type_slug: ClassVar[str | None] = "test-seed-style-smaller"
        size: int = 3

    assert Smaller().run() == SeedResult(identifier="seed", status_code=2)
    assert Smaller().preview() == "seed"


def test_a_run_that_is_mixed_in() -> None:
    """A run that a block inherits from a class that is no block can be called from a script as well."""
    result: Any = WithMixin().run()
    if inspect.iscoroutine(result):
        result.close()  # never awaited, which would be a second failure
    assert result == "mixed in"


@pytest.mark.anyio
async def test_a_seed_style_block_in_a_loop() -> None:
    """Inside of a loop it is awaited, started by a task group, or called from a worker thread."""
    block: Any = SeedStyle()
    assert await block.run() == EXPECTED
    assert await to_thread.run_sync(block.run) == EXPECTED
    async with anyio.create_task_group() as tasks:
        assert await tasks.start(block.run) == "seed"


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("kill", "logs, kill and status"),
        ("logs", "logs, kill and status"),
        ("status", "logs, kill and status"),
        ("attach", "attach"),
    ],
)
def test_calls_that_a_seed_style_block_does_not_have(call: str, name: str) -> None:
    """They raise an error that names the class and the call."""
    with pytest.raises(UnsupportedOperation, match=f"^SeedStyle does not have {name}: its class does not supply"):
        getattr(SeedStyle(), call)("seed")


@pytest.mark.anyio
async def test_the_same_in_a_loop() -> None:
    """Inside of a loop the error is raised where the call is awaited."""
    block: Any = SeedStyle()
    awaitables = [block.kill("seed"), block.status("seed"), block.attach("seed")]
    for awaitable in awaitables:
        with pytest.raises(UnsupportedOperation, match="SeedStyle"):
            await awaitable


def test_a_block_without_preview_cannot_be_made() -> None:
    """A class must say what it would do."""

    class NoPreview(Infrastructure):
        _block_type_slug: ClassVar[str | None] = "test-no-preview"
        type: Literal["test-no-preview"] = "test-no-preview"

    with pytest.raises(TypeError, match="preview"):
        NoPreview()  # type: ignore[abstract]


def test_the_base_cannot_be_made() -> None:
    """Infrastructure itself runs nowhere."""
    with pytest.raises(TypeError, match="abstract"):
        Infrastructure(type="x")  # type: ignore[abstract]


def test_defaults() -> None:
    """The fields of every block have the seed's defaults; no two blocks share a mutable one."""
    assert SeedStyle().model_dump() == {
        "type": "test-seed-style",
        "env": {},
        "labels": {},
        "name": None,
        "command": ["python", "-m", "prefect.engine"],
        "timeout_seconds": None,
        "on_cancel": None,
        "grace_seconds": 30.0,
        "size": 1,
    }
    first, second = SeedStyle(), SeedStyle()
    first.env["A"] = "1"
    first.command.append("x")
    first.labels["a"] = "b"
    assert second == SeedStyle()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": -1}, "timeout_seconds"),
        ({"timeout_seconds": float("inf")}, "timeout_seconds"),
        ({"timeout_seconds": float("nan")}, "timeout_seconds"),
        ({"grace_seconds": -0.1}, "grace_seconds"),
        ({"grace_seconds": float("nan")}, "grace_seconds"),
        ({"on_cancel": "pause"}, "on_cancel"),
        ({"command": "echo hi"}, "command"),
        ({"command": [1]}, "command"),
        ({"env": {"A=B": "1"}}, "env"),
        ({"env": {"": "1"}}, "env"),
        ({"env": {"A": ["s3cret"]}}, "env"),
        ({"env": ["A=1"]}, "env"),
        ({"labels": {"a": None}}, "labels"),
        ({"type": "process"}, "type"),
    ],
)
def test_wrong_fields(fields: dict[str, Any], field: str) -> None:
    """A wrong value is refused when the block is made, by the name of its field and without showing the value."""
    with pytest.raises(ValidationError) as error:
        SeedStyle(**fields)
    assert {str(problem["loc"][0]) for problem in error.value.errors()} == {field}
    assert "s3cret" not in str(error.value)


def test_environments_are_texts() -> None:
    """Plain values of `env` are turned into their YAML text; None and secrets stay."""
    env: Any = {"A": 1, "B": True, "C": None, "D": SecretStr("x"), "E": 1.5}
    assert SeedStyle(env=env).env == {"A": "1", "B": "true", "C": None, "D": SecretStr("x"), "E": "1.5"}


def test_a_copy_with_an_unchecked_environment(capfd: pytest.CaptureFixture[str]) -> None:
    """A copy passes validation by, and still gives the workload the same texts."""
    block = Process(command=["sh", "-c", 'echo "$A $B"']).model_copy(update={"env": {"A": 1, "B": True}})
    assert "A=1 \\\nB=true \\\n" in block.preview()
    assert block.run()
    assert capfd.readouterr().out == "1 true\n"


@pytest.mark.parametrize("env", [{"A=B": "1"}, {"A": ["s3cret"]}, {"": "1"}, ["s3cret"], None])
def test_a_copy_with_a_wrong_environment(env: Any) -> None:
    """What the field would have refused is refused when the copy is used, without showing the value."""
    block = Process(command=["true"]).model_copy(update={"env": env})
    for call in (block.preview, block.run):
        with pytest.raises(InvalidSettings, match="^env") as error:
            call()
        assert "s3cret" not in str(error.value)


def test_the_logger_of_a_block() -> None:
    """Each kind of block has its logger."""
    assert SeedStyle().logger is logging.getLogger("infrablocks.test-seed-style")


def test_what_every_workload_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The base environment are the Prefect settings in force."""
    monkeypatch.delenv("PREFECT_HOME")
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("PREFECT_API_URL", "http://here/api")
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "1")
    assert SeedStyle._base_environment() == {"PREFECT_API_URL": "http://here/api"}


def test_the_capability_of_every_block() -> None:
    """What runs commands says so."""
    assert SeedStyle.get_block_capabilities() == frozenset({"run-infrastructure"})


@pytest.mark.anyio
@pytest.mark.parametrize("sink", [5, "file.txt"])
async def test_a_wrong_sink_fails_before_anything_is_made(sink: Any) -> None:
    """What is no sink is refused before the workload is made."""
    run: Any = Process(command=["/nowhere/at/all"]).run(output=sink)
    with pytest.raises(TypeError, match="output="):
        await run
