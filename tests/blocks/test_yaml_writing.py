"""Writing a block as YAML, and reading it back."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import SecretBytes, SecretStr

from infrablocks.blocks import Block
from infrablocks.blocks.yaml_files import read_text, write_text
from infrablocks.exceptions import InvalidBlockFile
from tests.blocks.yaml_blocks import Cluster, Container, ImageRegistry, Limits, Pull
from tests.python_programs import PythonProgram

EXPECTED = """\
type: yaml-container
command:
- sh
- -c
- |
  echo a
  exit 3
env:
  API_KEY: '********'
  SECRET: '********'
  'ON': 'yes'
  GONE: null
timeout_seconds: 1.5
stream_output: false
folder: /tmp/a b
pull: always
registry:
  url: example.org
  password: '********'
places:
- type: kubeconfig-block
  config: '********'
- type: yaml-registry
  url: é
inner:
  type: yaml-container
  name: below
limits:
  token: '********'
  keys:
  - '********'
started: '2024-01-02T03:04:05Z'
pause: PT1M
pin: '********'
"""


def test_whole_file(tmp_path: Path) -> None:
    """The type comes first, then what differs from the defaults, as plain data with every secret masked."""
    block = Container(
        pin=SecretStr("hunter2"),
        command=["sh", "-c", "echo a\nexit 3\n"],
        env={"API_KEY": "hunter2", "SECRET": SecretStr("hunter2"), "ON": "yes", "GONE": None},
        labels={},
        timeout_seconds=1.5,
        stream_output=False,
        folder=Path("/tmp/a b"),
        pull=Pull.ALWAYS,
        registry=ImageRegistry(url="example.org", password=SecretStr("hunter2")),
        places=[Cluster(config={"users": ["hunter2"]}), ImageRegistry(url="é")],
        inner=Container(name="below"),
        limits=Limits(token=SecretStr("hunter2"), keys=[SecretBytes(b"hunter2")]),
        started=datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
        pause=timedelta(minutes=1),
    )
    path = tmp_path / "job.yaml"
    block.to_yaml(path)
    assert path.read_text(encoding="utf-8") == EXPECTED
    assert list(tmp_path.iterdir()) == [path]


def test_block_of_only_defaults() -> None:
    """Nothing but the type is written; an alias stands for its field."""
    assert write_text(Container()) == "type: yaml-container\n"
    assert write_text(Container.model_validate({"from": "x"})) == "type: yaml-container\nfrom: x\n"


unprintable = [chr(number) for number in (*range(9), 11, 12, *range(14, 32), *range(127, 160), 0xFFFE, 0xFFFF)]
odd_texts = [
    "yes",
    "1.10",
    "~",
    "null",
    "1:30",
    "0x1F",
    "2024-01-02",
    "<<",
    "=",
    "a: b",
    "- a",
    "*a",
    " a\n b\n\n",
    "\n",
]
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=unprintable)) | st.sampled_from(odd_texts)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(texts, below, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.builds(
        Container,
        command=st.lists(texts, max_size=3),
        env=st.dictionaries(texts, st.none() | texts, max_size=3).filter(lambda env: "API_KEY" not in env),
        labels=st.dictionaries(texts, texts, max_size=3),
        name=st.none() | texts,
        timeout_seconds=st.none() | st.floats(allow_nan=False),
        stream_output=st.booleans(),
        pull=st.none() | st.sampled_from(Pull),
        registry=st.none() | st.builds(ImageRegistry, url=texts, tags=st.lists(texts, max_size=2), password=st.none()),
        places=st.lists(
            st.builds(ImageRegistry, url=texts, password=st.none()) | st.builds(Cluster, config=st.just({})), max_size=2
        ),
        limits=st.builds(Limits, memory=st.integers(), token=st.none(), keys=st.just([])),
        manifest=st.dictionaries(texts, plain, max_size=3),
        folder=st.none(),
        inner=st.none(),
        started=st.none() | st.datetimes(),
        pause=st.timedeltas(timedelta(0), timedelta(days=99)),
        volumes=st.just([]),
        pin=st.none(),
    )
)
def test_what_is_written_is_read_back(block: Container) -> None:
    """A block without secrets is the same after a round trip, whatever its text looks like."""
    if any("*" * 8 in str(value) for value in block.env.values()):
        return
    again = read_text(write_text(block), Block)
    assert again == block
    assert write_text(again) == write_text(block)


def test_masked_file_is_refused_with_advice() -> None:
    """What was written with a secret tells on reading where the secret is missing."""
    with pytest.raises(InvalidBlockFile) as caught:
        read_text(write_text(Container(pin=SecretStr("hunter2"))), Container, source="f.yaml")
    assert str(caught.value) == (
        "f.yaml:2: pin: is only the mask of a secret; write the secret itself, or leave it out and set it in Python"
    )


def test_extra_fields_cannot_be_written() -> None:
    """A file holds only what can be read again."""
    with pytest.raises(InvalidBlockFile) as caught:
        write_text(Container(zzz=1, colour="red"))
    assert str(caught.value) == 'the block cannot be written: "yaml-container" has no such fields: colour, zzz'


def test_values_that_yaml_cannot_hold() -> None:
    """An object that is no plain data is told by pydantic's words."""
    with pytest.raises(InvalidBlockFile, match="the block cannot be written: Unable to serialize unknown type"):
        write_text(Container(manifest={"a": object()}))
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(InvalidBlockFile, match="the block cannot be written: Circular reference detected"):
        write_text(Container(manifest={"a": endless}))


def test_file_that_cannot_be_written(tmp_path: Path) -> None:
    """A missing folder, a folder in the file's place and half a character are told, and nothing is left behind."""
    half = Container.model_construct(name="\ud800")
    for block, path, reason in (
        (Container(), tmp_path / "missing" / "job.yaml", "No such file or directory"),
        (Container(), tmp_path, "Is a directory"),
    ):
        with pytest.raises(InvalidBlockFile) as caught:
            block.to_yaml(path)
        assert str(caught.value) == f"{path}: cannot be written: {reason}"
    with pytest.raises(InvalidBlockFile, match="a text in it has half of a surrogate pair"):
        half.to_yaml(tmp_path / "half.yaml")
    assert list(tmp_path.iterdir()) == []


def test_long_file_name(tmp_path: Path) -> None:
    """A name as long as the file system allows is no problem for the temporary file beside it."""
    path = tmp_path / ("x" * 250 + ".yaml")
    Container().to_yaml(path)
    assert path.read_text() == "type: yaml-container\n"


def test_existing_file_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    """Replacing a file changes neither who may read it nor the link that leads to it."""
    target, link = tmp_path / "target.yaml", tmp_path / "link.yaml"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    Container(name="new").to_yaml(link)
    assert target.read_text() == "type: yaml-container\nname: new\n"
    assert (target.stat().st_mode & 0o777, link.is_symlink()) == (0o640, True)


def test_readers_see_the_old_or_the_new_file(tmp_path: Path) -> None:
    """While one thread writes again and again, others never read half a file."""
    path = tmp_path / "job.yaml"
    blocks = [Container(command=["x" * 5_000]), Container(command=["y" * 50_000])]
    blocks[0].to_yaml(path)
    end = threading.Event()

    def write() -> None:
        while not end.is_set():
            for block in blocks:
                block.to_yaml(path)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        read = [Container.from_yaml(path) for _ in range(100)]
    finally:
        end.set()
        writer.join()
    assert all(block in blocks for block in read)


def test_writing_to_standard_output() -> None:
    """What is no file, such as `/dev/stdout`, takes the text as it comes."""
    code = "from tests.blocks.yaml_blocks import Container; Container(name='x').to_yaml('/dev/stdout')"
    with PythonProgram(f"import sys; sys.path[:] = {sys.path}; {code}") as program:
        assert program.communicate() == (b"type: yaml-container\nname: x\n", b"")
