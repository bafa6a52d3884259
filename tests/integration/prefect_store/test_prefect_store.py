"""Blocks in the Prefect API of a real server, which Prefect's own programs see as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import Field, SecretStr

from infrablocks import Block, BlockNotFound, DockerContainer, DockerRegistry, Process
from infrablocks.blocks.stores import BlockKey, current_store
from infrablocks.exceptions import BlockAlreadyExists, BlockStoreError
from tests.integration.prefect_store.cut_connection import ServerThatGoesAway

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engines.prefect_server import PrefectServer

pytestmark = pytest.mark.integration

SECRET = "not-to-be-seen"

_own_types = pytest.mark.differs_between_engines("a server of Prefect 2 has its own block types under our slugs")


class SharedSettings(Block):
    """A block whose class Prefect's own programs have as well."""

    _block_type_slug = "infrablocks-test-settings"
    _block_type_name = "infrablocks test settings"

    url: str
    token: SecretStr
    options: dict[str, int]
    parts: list[str] = Field(default_factory=list)


PREFECTS_CLASS = """
import sys
try:
    from prefect._internal.pydantic import HAS_PYDANTIC_V2  # Prefect 2, whose blocks are models of pydantic 1
    from pydantic.v1 import SecretStr
except ImportError:
    from pydantic import SecretStr
from prefect.blocks.core import Block

class SharedSettings(Block):
    _block_type_slug = "infrablocks-test-settings"
    _block_type_name = "infrablocks test settings"
    url: str
    token: SecretStr
    options: dict[str, int]
    parts: list[str] = []
"""
SAVE = "SharedSettings(url='x://y', token=SecretStr('pw'), options={'a': 1, 'b.c': 2}).save(sys.argv[1])"
LOAD = """
block = SharedSettings.load(sys.argv[1])
print(block.url, block.token.get_secret_value(), block.options, block.parts)
"""


def registry() -> DockerRegistry:
    return DockerRegistry(username="somebody", password=SecretStr(SECRET), registry_url="registry.example")


@_own_types
@pytest.mark.parametrize(
    "block",
    [
        Process(command=["true"]),
        Process(command=["true"], env={"PLAIN": "1", "SECRET": SecretStr(SECRET), "NONE": None}, labels={}),
        DockerContainer(
            image="a:1", image_registry=registry(), create_kwargs={"sysctls": {}, "tmpfs": {"/x": "size=1"}}
        ),
        registry(),
    ],
    ids=lambda block: type(block).__name__,
)
def test_what_was_saved_is_loaded(block: Block, name: str) -> None:
    """A block comes back as it was: which fields were given, and which of its values are secret."""
    block.save(name)

    loaded = type(block).load(name)

    assert loaded == block
    assert loaded.model_fields_set == block.model_fields_set


@_own_types
def test_overwriting(name: str) -> None:
    """A block takes the place of another one only when this is asked for, and leaves nothing of it."""
    Process(command=["first"], labels={"a": "b"}).save(name)

    with pytest.raises(BlockAlreadyExists, match=f"process/{name} is saved already"):
        Process(command=["second"]).save(name)
    assert Process.load(name) == Process(command=["first"], labels={"a": "b"})

    Process(command=["second"]).save(name, overwrite=True)
    assert Process.load(name) == Process(command=["second"])
    assert Process.load(name).model_fields_set == {"command"}


@_own_types
def test_listing_and_deleting(name: str) -> None:
    """A saved block is listed until it is deleted."""
    Process(command=["true"]).save(name)
    assert name in Process.list()
    assert f"process/{name}" in Block.list()

    Process.delete(name)

    assert name not in Process.list()
    with pytest.raises(BlockNotFound, match=f"there is no saved block process/{name}"):
        Process.load(name)
    with pytest.raises(BlockNotFound, match=f"there is no saved block process/{name}"):
        Process.delete(name)


@_own_types
def test_a_saved_block_in_a_field_is_a_reference(name: str) -> None:
    """A change of a saved block is seen by all blocks that hold it."""
    credentials = registry()
    credentials.save(f"{name}-registry")
    DockerContainer(image="a:1", image_registry=credentials).save(name)
    changed = registry().model_copy(update={"username": "somebody else"})
    changed.save(f"{name}-registry", overwrite=True)

    loaded = DockerContainer.load(name)

    assert loaded.image_registry == changed
    key = BlockKey("docker-registry", f"{name}-registry")
    assert current_store().load(BlockKey("docker-container", name)).references == {("image_registry",): key}


def test_a_reference_to_nothing(name: str) -> None:
    """A block that holds a saved block which was deleted in the meantime is not saved."""
    credentials = registry()
    credentials.save(f"{name}-registry")
    DockerRegistry.delete(f"{name}-registry")

    with pytest.raises(BlockNotFound, match=f"refers to docker-registry/{name}-registry, which is not saved any more"):
        DockerContainer(image="a:1", image_registry=credentials).save(name)
    assert name not in DockerContainer.list()


@_own_types
def test_the_server_knows_what_is_secret(server: PrefectServer, name: str) -> None:
    """Who asks the server for a block without its secrets gets masks, also of the blocks inside."""
    DockerContainer(image="a:1", image_registry=registry(), env={"KEY": SecretStr(SECRET)}).save(name)
    path = f"/block_types/slug/docker-container/block_documents/name/{name}"

    answer = httpx.get(f"{server.api_url}{path}", trust_env=False).json()

    assert answer["data"]["env"] == {"KEY": "********"}
    assert answer["data"]["image_registry"]["password"] == "********"
    assert SECRET not in str(answer)


def test_without_secrets(name: str) -> None:
    """A document that is only shown has masks in place of secrets, and its other values."""
    Process(command=["true"], env={"PLAIN": "1", "SECRET": SecretStr(SECRET)}).save(name)

    document = current_store().load(BlockKey("process", name), with_secrets=False)

    assert document.data == {"command": ["true"], "env": {"PLAIN": "1", "SECRET": "********"}}


def test_prefect_lists_what_was_saved_here(name: str, prefect: Callable[..., str]) -> None:
    """Prefect's own `prefect block ls` shows a block that was saved here."""
    Process(command=["true"]).save(name)

    assert f"process/{name}" in prefect("prefect", "block", "ls")


def test_prefect_loads_what_was_saved_here(name: str, prefect: Callable[..., str]) -> None:
    """Prefect's own `Block` class loads a block that was saved here."""
    SharedSettings(url="x://y", token=SecretStr(SECRET), options={"a": 1}, parts=["p"]).save(name)

    assert prefect("python", "-c", PREFECTS_CLASS + LOAD, name) == f"x://y {SECRET} {{'a': 1}} ['p']\n"


def test_what_prefect_saved_is_loaded_here(name: str, prefect: Callable[..., str]) -> None:
    """A block that was saved by Prefect's own `Block` class is loaded here, its secrets as secrets."""
    prefect("python", "-c", PREFECTS_CLASS + SAVE, name)

    loaded = SharedSettings.load(name)

    assert loaded == SharedSettings(url="x://y", token=SecretStr("pw"), options={"a": 1, "b.c": 2})
    key = BlockKey("infrablocks-test-settings", name)
    assert current_store().load(key, with_secrets=False).data["token"] == "********"


# A type, its schema, the document; when that is there: where is it, and replace it.
REQUESTS = {False: 3, True: 5}


@pytest.mark.parametrize("keeps_last_answer", [False, True])
@pytest.mark.parametrize(
    ("overwrite", "answered"),
    [(overwrite, answered) for overwrite in REQUESTS for answered in range(REQUESTS[overwrite])],
)
def test_a_server_that_goes_away(
    server: PrefectServer,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    overwrite: bool,
    answered: int,
    keeps_last_answer: bool,
) -> None:
    """Whenever the server goes away while a block is saved, the error says so and the block is there as it was.

    It is the new one, whole, if only the answer to the last request is lost.
    """
    old, new = Process(command=["old"], labels={"a": "b"}), Process(command=["new"])
    old.save(name if overwrite else f"{name}-other")  # the server knows the type in any case
    with ServerThatGoesAway(server.port, after=answered, keeps_last_answer=keeps_last_answer) as gone:
        monkeypatch.setenv("PREFECT_API_URL", gone.api_url)
        with pytest.raises(BlockStoreError, match="is out of reach"):
            new.save(name, overwrite=overwrite)

    monkeypatch.setenv("PREFECT_API_URL", server.api_url)
    before = [old] if overwrite else []
    expected = [new] if keeps_last_answer and answered == REQUESTS[overwrite] - 1 else before
    assert [Process.load(one) for one in Process.list() if one == name] == expected


@pytest.mark.parametrize("overwrite", REQUESTS)
def test_a_save_needs_so_many_requests(
    overwrite: bool, server: PrefectServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server goes away after the last of them, at which nobody looks: the test above cuts each that there is."""
    Process(command=["old"]).save(name if overwrite else f"{name}-other")
    with ServerThatGoesAway(server.port, after=REQUESTS[overwrite]) as gone:
        monkeypatch.setenv("PREFECT_API_URL", gone.api_url)
        Process(command=["new"]).save(name, overwrite=overwrite)

    monkeypatch.setenv("PREFECT_API_URL", server.api_url)
    assert Process.load(name) == Process(command=["new"])
