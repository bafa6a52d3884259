"""Names and labels: any text gives what the API takes, and what is valid stays as it is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st
from pydantic import SecretStr

from infrablocks.kubernetes._labels import kubernetes_labels
from infrablocks.kubernetes._names import generate_name
from tests.kubernetes_block.manifests import block

# The rules as the API's documentation has them.
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_NAME = re.compile(r"(?=.{1,63}\Z)([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
LABEL_PREFIX = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

ANY_TEXT = st.text(st.characters(exclude_categories=()))
ALIKE = st.text("aA-_./ é'&😀\ud800", max_size=8)


@given(ANY_TEXT | ALIKE | st.text(max_size=400))
def test_any_name(name: str) -> None:
    """Whatever the block is called, the API can make a name of it."""
    prefix = generate_name(name, ["true"], {})
    assert prefix.endswith("-")
    full = f"{prefix}x7k2p"
    assert DNS_LABEL.fullmatch(full)
    assert len(full) <= 63
    assert len(prefix) <= 46


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("my-job", "my-job-"),
        ("My Job!", "my-job-"),
        ("spicy_aardvark", "spicy-aardvark-"),
        ("-a--b-", "a-b-"),
        ("Größe", "grosse-"),
        ("x" * 100, "x" * 45 + "-"),
        ("x" * 44 + "-y", "x" * 44 + "-"),
        ("a.b", "a-b-"),
        ("&amp;", "amp-"),
    ],
)
def test_names(name: str, prefix: str) -> None:
    """A name is kept where it can be; it never ends with two dashes."""
    assert generate_name(name, [], {}) == prefix


def test_without_a_name() -> None:
    """A block without a usable name gets a prefix that depends on command and variables, and on no secret."""
    blocks: list[tuple[str | None, list[str], dict[str, str | SecretStr | None]]] = [
        (None, ["a"], {}),
        ("", ["a"], {}),
        ("😀---", ["a"], {}),
        (None, ["a"], {"A": SecretStr("1"), "B": None}),
        (None, ["a"], {"B": None, "A": SecretStr("2")}),
        (None, ["a"], {"A": "1", "B": None}),
        (None, ["b"], {}),
        (None, [], {}),
    ]
    names = [generate_name(*fields) for fields in blocks]
    assert all(re.fullmatch(r"prefect-job-[0-9a-f]{16}-", name) for name in names)
    assert names[0] == names[1] == names[2]
    assert names[3] == names[4]
    assert len(set(names)) == 5
    assert names[0] == "prefect-job-cf27c2d7d822a2b3-"  # the same on every machine and Python


@given(st.dictionaries(ANY_TEXT | ALIKE, ANY_TEXT | ALIKE | st.text(max_size=200), max_size=6))
def test_any_labels(labels: dict[str, str]) -> None:
    """Any labels become as many valid ones; those that are valid stay what they are."""
    result, _ = kubernetes_labels(labels)
    assert len(result) == len(labels)
    for key, value in result.items():
        prefix, slash, name = key.rpartition("/")
        assert LABEL_NAME.fullmatch(name)
        assert not slash or LABEL_PREFIX.fullmatch(prefix)
        assert value == "" or LABEL_NAME.fullmatch(value)
    for key, value in labels.items():
        prefix, slash, name = key.rpartition("/")
        if LABEL_NAME.fullmatch(name) and (not slash or LABEL_PREFIX.fullmatch(prefix)):
            assert key in result
            if value == "" or LABEL_NAME.fullmatch(value):
                assert result[key] == value


@pytest.mark.parametrize(
    ("labels", "valid"),
    [
        ({"prefect.io/flow-run-name": "Spicy_Aardvark.1"}, {"prefect.io/flow-run-name": "Spicy_Aardvark.1"}),
        ({"a--b": "c__d"}, {"a--b": "c__d"}),
        ({"my key": "my value!"}, {"my-key": "my-value"}),
        ({"-key-": "_Größe_"}, {"key": "Grosse"}),
        ({"Prefect.IO/Key": "x"}, {"prefect.io/Key": "x"}),
        ({"a/b/c": "x"}, {"a/b-c": "x"}),
        ({"/b": "x"}, {"b": "x"}),
        ({"-a-.-b-/c": "x"}, {"a.b/c": "x"}),
        ({"empty": ""}, {"empty": ""}),
    ],
)
def test_labels_without_a_hash(labels: dict[str, str], valid: dict[str, str]) -> None:
    """Letter case is kept, other characters give way to dashes, and nothing is told of it."""
    assert kubernetes_labels(labels) == (valid, None)


def test_labels_with_a_hash() -> None:
    """What is cut, would be the same as another key, or has no valid character, gets a hash; one line says so."""
    labels = {"a b": "1", "a-b": "2", "a.b/😀": "3", "😀/x": "4", "k" * 70: "v" * 64, "p" * 260 + "/x": "---"}
    result, note = kubernetes_labels(labels)
    assert result == {
        "a-b": "2",
        "a-b-c8687a08": "1",
        "a.b/f0443a34": "3",
        "f0443a34/x": "4",
        "k" * 54 + "-5c6ced41": "v" * 54 + "-c354e929",
        "p" * 244 + "-d37c0e7b/x": "cb3f91d5",
    }
    told = [
        "the key 'a b' as 'a-b-c8687a08'",
        "the key 'a.b/😀' as 'a.b/f0443a34'",
        "the key '😀/x' as 'f0443a34/x'",
        f"the key '{'k' * 70}' as '{'k' * 54}-5c6ced41'",
        f"the key '{'p' * 260}/x' as '{'p' * 244}-d37c0e7b/x'",
        f"the value of '{'k' * 70}' as '{'v' * 54}-c354e929'",
        f"the value of '{'p' * 260}/x' as 'cb3f91d5'",
    ]
    assert note == f"Labels are not sent as they are, which Kubernetes would not take: {', '.join(told)}."


def test_a_hash_that_is_taken() -> None:
    """A key that happens to be what another one would become stays what it is; the other gets a longer hash."""
    labels = {"a b": "1", "a-b": "2", "a-b-c8687a08": "3"}
    assert kubernetes_labels(labels)[0] == {"a-b-c8687a08a": "1", "a-b": "2", "a-b-c8687a08": "3"}


def test_labels_are_told_of_once() -> None:
    """A block has the line among the notes of its settings, and without such labels none."""
    (note,) = block(labels={"😀": "1", "😁": "2"})._build().notes
    assert note.startswith("Labels are not sent as they are, which Kubernetes would not take: the key '😀' as '")
    assert block(labels={"a b": "1"})._build().notes == ()
