"""Saving, loading, deleting and listing, as users call them."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
import pytest
from anyio import to_thread
from hypothesis import given, strategies as st
from pydantic import SecretStr

from infrablocks import (
    Block,
    BlockAlreadyExists,
    BlockNotFound,
    DockerContainer,
    DockerRegistry,
    Infrastructure,
    InvalidBlockName,
    Process,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Note(Block):
    """A block that runs nothing."""

    _block_type_slug: ClassVar[str | None] = "test-store-note"
    text: str = ""


def store_file() -> Path:
    return Path(os.environ["INFRABLOCKS_HOME"]) / "blocks.db"


def test_a_script_saves_and_loads() -> None:
    """A block comes back equal, by its class, by its base and by `Block`."""
    block = Process(command=["echo", "hi"], env={"A": "1", "GONE": None}, labels={"team": "data"}, working_dir="/tmp")
    block.save("etl")
    loaded = [
        Process.load("etl"),
        Process.load("process/etl"),
        Infrastructure.load("process/etl"),
        Block.load("process/etl"),
    ]
    assert loaded == [block] * 4
    assert [type(one) for one in loaded] == [Process] * 4


@pytest.mark.anyio
async def test_in_an_event_loop_every_call_is_awaited() -> None:
    """The four calls are coroutines there, on both back ends."""
    block = Process(command=["true"])
    await block.save("etl")
    assert await Process.load("etl") == block
    assert await Process.list() == ["etl"]
    await Process.delete("etl")
    assert await Process.list() == []


@pytest.mark.anyio
async def test_in_a_worker_thread_every_call_gives_its_result() -> None:
    """A synchronous function that uses the store may be sent to a thread of anyio."""

    def work() -> list[str]:
        Process(command=["true"]).save("etl")
        assert Process.load("etl").command == ["true"]
        return Process.list()

    assert await to_thread.run_sync(work) == ["etl"]


@pytest.mark.anyio
async def test_many_tasks_at_once() -> None:
    """Tasks of one loop save and load at the same time."""

    async def one(number: int) -> None:
        await Process(command=[str(number)]).save(f"n{number}")
        assert (await Process.load(f"n{number}")).command == [str(number)]

    async with anyio.create_task_group() as tasks:
        for number in range(30):
            tasks.start_soon(one, number)
    assert await Process.list() == sorted(f"n{number}" for number in range(30))


def test_many_threads_at_once() -> None:
    """Threads without a loop do so too."""
    failed: list[BaseException] = []

    def one(number: int) -> None:
        try:
            Process(command=[str(number)]).save(f"n{number}")
            assert Process.load(f"n{number}").command == [str(number)]
        except BaseException as error:  # noqa: BLE001 - told by the test
            failed.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(Process.list()) == 12


def test_only_the_owner_may_read_the_file() -> None:
    """The file has the mode 0600, and the folder that is made for it 0700; also where the umask would allow more."""
    before = os.umask(0)
    try:
        Note().save("a")
    finally:
        os.umask(before)
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store_file().parent.iterdir()}
    assert files == {"blocks.db": 0o600, "blocks.db-shm": 0o600, "blocks.db-wal": 0o600}
    assert stat.S_IMODE(store_file().parent.stat().st_mode) == 0o700


def test_a_file_that_others_may_read_is_closed_to_them() -> None:
    """A store that was made readable for all is for its owner only after the next save."""
    Note().save("a")
    store_file().chmod(0o644)
    Note().save("b")
    assert stat.S_IMODE(store_file().stat().st_mode) == 0o600


def test_lists() -> None:
    """A class lists names, `Block` and abstract classes `slug/name`, sorted."""
    Process().save("b")
    Process().save("a")
    DockerContainer().save("c")
    Note().save("d")
    assert Process.list() == ["a", "b"]
    assert Infrastructure.list() == ["docker-container/c", "process/a", "process/b"]
    assert Block.list() == ["docker-container/c", "process/a", "process/b", "test-store-note/d"]


def test_reading_makes_no_file() -> None:
    """Where nothing is saved, nothing is listed, found or made."""
    assert Block.list() == []
    for call in (Process.load, Process.delete):
        with pytest.raises(BlockNotFound) as raised:
            call("etl")
        assert str(raised.value) == (
            f"there is no saved block process/etl in {store_file()}; `infrablocks block ls` lists those there are"
        )
    assert not store_file().parent.exists()


def test_saving_over_another_needs_overwrite() -> None:
    """Without it the other stays, and the ValueError says what to do."""
    Note(text="old").save("a")
    with pytest.raises(ValueError, match=r"test-store-note/a is saved already: .*overwrite=True") as raised:
        Note(text="new").save("a")
    assert type(raised.value) is BlockAlreadyExists
    assert Note.load("a").text == "old"
    Note(text="new").save("a", overwrite=True)
    assert Note.load("a").text == "new"
    Process(command=["true"]).save("a")  # another type has names of its own
    assert Block.list() == ["process/a", "test-store-note/a"]


def test_delete() -> None:
    """What is deleted is gone, by either name."""
    Note().save("a")
    Note().save("b")
    Note.delete("a")
    Block.delete("test-store-note/b")
    assert Note.list() == []
    with pytest.raises(BlockNotFound):
        Note.delete("a")


@pytest.mark.parametrize("name", ["", "ETL", "my etl", "a_b", "é", "a/b", "a\n", "../a", "a.b"])
def test_names_that_no_block_can_have(name: str) -> None:
    """Names are lower case letters, digits and dashes."""
    with pytest.raises(InvalidBlockName, match="lower case letters, digits and dashes"):
        Note().save(name)
    assert not store_file().parent.exists()


def test_names_of_other_classes() -> None:
    """`Block` needs the slug, and a class loads only its own."""
    Note().save("a")
    cases: list[tuple[Callable[[str], object], str, type[Exception], str]] = [
        (Block.load, "a", InvalidBlockName, "'a' does not say of which type the block is: write slug/name"),
        (Infrastructure.load, "a", InvalidBlockName, "'a' does not say of which type the block is: write slug/name"),
        (
            Process.load,
            "test-store-note/a",
            InvalidBlockName,
            "test-store-note/a is not the name of a block of Process",
        ),
        (
            Infrastructure.load,
            "test-store-note/a",
            InvalidBlockName,
            "test-store-note/a is not the name of a block of Infrastructure",
        ),
    ]
    for call, name, error, text in cases:
        with pytest.raises(error) as raised:
            call(name)
        assert str(raised.value) == text


def test_what_was_given_stays_given() -> None:
    """A default that was given is another thing than a default that was not."""
    Process(command=["true"], stream_output=True).save("a")
    assert Process.load("a").model_fields_set == {"command", "stream_output"}
    block = Process()
    block.env["A"] = "1"  # changed in place
    block.save("b")
    assert Process.load("b").env == {"A": "1"}


def test_extra_fields_are_saved() -> None:
    """As the constructor takes them, the store keeps them."""
    block = Note(text="x", colour="red", deep={"a": [1, 2.5, None]})
    block.save("a")
    assert Note.load("a") == block


environments = st.dictionaries(
    st.text(min_size=1).filter(lambda name: "=" not in name and "\0" not in name),
    st.none() | st.text() | st.text().map(SecretStr),
)


@given(env=environments, command=st.lists(st.text()), labels=st.dictionaries(st.text(), st.text()))
def test_any_block_comes_back_equal(env: dict[str, Any], command: list[str], labels: dict[str, str]) -> None:
    """Whatever text is in a block, and whatever of it is secret."""
    block = Process(env=env, command=command, labels=labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # that the secrets are not encrypted
        block.save("any", overwrite=True)
    loaded = Process.load("any")
    assert loaded == block
    assert [type(value) for value in loaded.env.values()] == [type(value) for value in block.env.values()]


class TestReferences:
    """Saved blocks inside of blocks."""

    @pytest.fixture
    def registry(self, monkeypatch: pytest.MonkeyPatch) -> DockerRegistry:
        monkeypatch.setattr("warnings.warn", lambda *_, **__: None)  # that the secrets are not encrypted
        registry = DockerRegistry(username="ci", password=SecretStr("first"), registry_url="registry.example.com")
        registry.save("main")
        return registry

    def change_saved(self) -> None:
        other = DockerRegistry(username="ci", password=SecretStr("second"), registry_url="registry.example.com")
        other.save("main", overwrite=True)

    def password(self, name: str) -> str:
        registry = DockerContainer.load(name).image_registry
        assert registry is not None
        return registry.password.get_secret_value()

    @pytest.mark.parametrize("way", ["saved", "loaded", "copied", "copied with it"])
    def test_a_saved_block_is_a_reference(self, registry: DockerRegistry, way: str) -> None:
        """What is saved later under its name is what is loaded."""
        if way == "loaded":
            registry = DockerRegistry.load("main")
        elif way == "copied":
            registry = registry.model_copy()
        block = DockerContainer(image="a:1", image_registry=registry)
        if way == "copied with it":
            block = block.copy(update={"image": "b:1"})
        block.save("etl")
        assert DockerContainer.load("etl") == block
        self.change_saved()
        assert self.password("etl") == "second"

    def test_a_changed_block_is_saved_as_it_is(self, registry: DockerRegistry) -> None:
        """A block that is no longer what was saved goes into the one that holds it."""
        registry.password = SecretStr("changed")
        DockerContainer(image_registry=registry).save("etl")
        self.change_saved()
        assert self.password("etl") == "changed"

    def test_a_block_that_was_never_saved_is_saved_as_it_is(self) -> None:
        """So it is loaded without any other."""
        registry = DockerRegistry(username="ci", password=SecretStr("own"), registry_url="registry.example.com")
        with pytest.warns(UserWarning, match="unencrypted"):
            DockerContainer(image_registry=registry).save("etl")
        assert self.password("etl") == "own"
        assert Block.list() == ["docker-container/etl"]

    def test_a_reference_of_another_store_is_none(
        self, registry: DockerRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A name means something in its own store only."""
        monkeypatch.setenv("INFRABLOCKS_HOME", str(tmp_path / "other"))
        DockerContainer(image_registry=registry).save("etl")
        assert self.password("etl") == "first"
        assert Block.list() == ["docker-container/etl"]

    def test_a_reference_to_what_was_deleted(self, registry: DockerRegistry) -> None:
        """Saving it is refused, and so is loading what was saved before; the message names both blocks."""
        block = DockerContainer(image_registry=registry)
        block.save("etl")
        DockerRegistry.delete("main")
        with pytest.raises(
            BlockNotFound, match="docker-container/b refers to docker-registry/main, which is not saved"
        ):
            block.save("b")
        with pytest.raises(BlockNotFound, match="docker-container/etl refers to docker-registry/main, which cannot be"):
            DockerContainer.load("etl")
        assert Block.list() == ["docker-container/etl"]
