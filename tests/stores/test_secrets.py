"""Secrets at rest."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from infrablocks import Block, BlockStoreError, InvalidBlockDocument, Process
from infrablocks.blocks.stores import BlockKey, current_store, sqlite_file

KEY = BlockKey("test-store-vault", "a")


class Vault(Block):
    """A block with a secret."""

    _block_type_slug: ClassVar[str | None] = "test-store-vault"
    user: str = "ci"
    password: SecretStr = SecretStr("")


def stored_bytes() -> bytes:
    """Give all that is in the files of the store, also what was there before."""
    sqlite_file.close()
    return b"".join(path.read_bytes() for path in Path(os.environ["INFRABLOCKS_HOME"]).iterdir())


@pytest.fixture
def with_key(monkeypatch: pytest.MonkeyPatch) -> str:
    key = Fernet.generate_key().decode()
    monkeypatch.setenv("INFRABLOCKS_SECRET_KEY", key)
    return key


@pytest.mark.usefixtures("with_key")
def test_with_a_key_no_secret_is_in_the_file() -> None:
    """Secrets are encrypted, those too that are secret by their name; the rest can be read."""
    blocks = [Vault(password=SecretStr("swordfish")), Process(env={"PREFECT_API_KEY": "pnu_1", "A": "plain"})]
    for block in blocks:
        block.save("a")
    assert [Vault.load("a"), Process.load("a")] == blocks
    content = stored_bytes()
    assert b"swordfish" not in content
    assert b"pnu_1" not in content
    assert b"plain" in content


def test_without_a_key_there_is_one_warning() -> None:
    """The first secret that is saved unencrypted is told of, and no other; a block without secrets is not."""
    Vault().save("nothing-given")
    with pytest.warns(UserWarning, match=r"unencrypted in .*blocks\.db.*INFRABLOCKS_SECRET_KEY"):
        Vault(password=SecretStr("swordfish")).save("a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Vault(password=SecretStr("other")).save("b")
        sqlite_file.close()
        Vault(password=SecretStr("other")).save("a", overwrite=True)
    assert Vault.load("a").password == SecretStr("other")


@pytest.mark.filterwarnings("ignore:Secrets are saved unencrypted")
def test_a_secret_that_is_replaced_is_gone() -> None:
    """Neither deleting nor overwriting leaves it in the file."""
    Vault(password=SecretStr("swordfish")).save("a")
    Vault(password=SecretStr("halibut")).save("b")
    Vault(password=SecretStr("salmon")).save("a", overwrite=True)
    Vault.delete("b")
    content = stored_bytes()
    assert b"salmon" in content
    assert b"swordfish" not in content
    assert b"halibut" not in content


@pytest.mark.filterwarnings("ignore:Secrets are saved unencrypted")
def test_a_key_that_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was saved before can be loaded, and is encrypted when it is saved again."""
    block = Vault(password=SecretStr("swordfish"))
    block.save("a")
    monkeypatch.setenv("INFRABLOCKS_SECRET_KEY", Fernet.generate_key().decode())
    assert Vault.load("a") == block
    block.save("a", overwrite=True)
    assert b"swordfish" not in stored_bytes()
    assert Vault.load("a") == block


def test_the_wrong_key(with_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another key, none, and what is no key are each told apart; no message holds a key."""
    Vault(password=SecretStr("swordfish")).save("a")
    path = Path(os.environ["INFRABLOCKS_HOME"]) / "blocks.db"
    cannot = f"test-store-vault/a cannot be loaded from {path}:"
    monkeypatch.setenv("INFRABLOCKS_SECRET_KEY", Fernet.generate_key().decode())
    with pytest.raises(BlockStoreError) as raised:
        Vault.load("a")
    assert str(raised.value) == (
        f"{cannot} its secrets cannot be decrypted: INFRABLOCKS_SECRET_KEY is not the key they were saved with"
    )
    monkeypatch.delenv("INFRABLOCKS_SECRET_KEY")
    with pytest.raises(BlockStoreError) as raised:
        Vault.load("a")
    assert str(raised.value) == (
        f"{cannot} its secrets are encrypted: set INFRABLOCKS_SECRET_KEY to the key they were saved with"
    )
    monkeypatch.setenv("INFRABLOCKS_SECRET_KEY", "hunter2")
    for call in (lambda: Vault.load("a"), lambda: Vault(password=SecretStr("x")).save("b")):
        with pytest.raises(
            BlockStoreError, match="INFRABLOCKS_SECRET_KEY is not a Fernet key; make one with: "
        ) as raised:
            call()
        assert "hunter2" not in str(raised.value)
    assert Vault.list() == ["a"]
    monkeypatch.setenv("INFRABLOCKS_SECRET_KEY", with_key)
    assert Vault.load("a").password == SecretStr("swordfish")


@pytest.mark.usefixtures("with_key")
def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cryptography is missing, the error says how to get it, and nothing is saved; blocks without secrets are."""
    monkeypatch.setitem(sys.modules, "cryptography.fernet", None)
    with pytest.raises(BlockStoreError, match=r"pip install 'infrablocks\[secrets\]'"):
        Vault(password=SecretStr("swordfish")).save("a")
    assert Vault.list() == []
    Vault(user="x").save("a")
    assert Vault.load("a") == Vault(user="x")


@pytest.mark.usefixtures("with_key")
def test_reading_without_secrets_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where secrets are only to be masked, nothing is decrypted."""
    Vault(password=SecretStr("swordfish")).save("a")
    monkeypatch.delenv("INFRABLOCKS_SECRET_KEY")
    assert current_store().load(KEY, with_secrets=False).data == {"password": "********"}


def test_a_plain_value_in_place_of_a_secret() -> None:
    """A plain text that was set in place of a secret, without validation, is refused and not shown."""
    block = Vault()
    block.password = "swordfish"  # type: ignore[assignment]
    with pytest.raises(InvalidBlockDocument, match="^test-store-vault/a: cannot be saved: ") as raised:
        block.save("a")
    assert "swordfish" not in str(raised.value)
    assert Vault.list() == []
