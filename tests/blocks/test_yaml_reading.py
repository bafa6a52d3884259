"""Reading a block from YAML, and every way in which a file can be wrong."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import Field, SecretBytes, SecretStr, field_validator

from infrablocks.blocks import Block, list_block_types
from infrablocks.blocks.yaml_files import read_text
from infrablocks.exceptions import InvalidBlockFile
from tests.blocks.yaml_blocks import Cluster, Container, ImageRegistry, Limits, Pull

WHOLE = """\
type: yaml-container
command: [echo, "1"]
env:
  VERSION: 1.10
  NO: yes
  DAY: 2024-01-02
  KEEP: '~'
  GONE:
labels: {a: 1}
from: busybox
timeout_seconds: 3
folder: /tmp
pull: never
registry:
  type: yaml-registry
  url: example.org
  password: hunter2
places:
- url: a
- context: b
- type: kubeconfig-block
inner:
  type: yaml-container
  name: below
limits:
  memory: 5
  keys: [k1]
started: 2024-01-02T03:04:05Z
manifest: &m
  on: true
  list: [1, 2.5, null, 2024-01-02]
"""


def problems(text: str, block_class: type[Block] = Container) -> list[str]:
    """Give the lines of the error that a text causes."""
    with pytest.raises(InvalidBlockFile) as caught:
        read_text(text, block_class, source="f.yaml")
    return str(caught.value).splitlines()


def test_whole_file(tmp_path: Path) -> None:
    """Every kind of field is read, and plain text in mappings of text stays as it is written."""
    path = tmp_path / "job.yaml"
    path.write_text(WHOLE)
    block = Block.from_yaml(path)
    assert block == Container(
        command=["echo", "1"],
        env={"VERSION": "1.10", "NO": "yes", "DAY": "2024-01-02", "KEEP": "~", "GONE": None},
        labels={"a": "1"},
        **{"from": "busybox"},
        timeout_seconds=3.0,
        folder=Path("/tmp"),
        pull=Pull.NEVER,
        registry=ImageRegistry(url="example.org", password=SecretStr("hunter2")),
        places=[ImageRegistry(url="a"), Cluster(context="b"), Cluster()],
        inner=Container(name="below"),
        limits=Limits(memory=5, keys=[SecretBytes(b"k1")]),
        started=datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
        manifest={"on": True, "list": [1, 2.5, None, datetime(2024, 1, 2, tzinfo=UTC).date()]},
    )
    assert type(block) is Container


def test_type_may_be_left_out_on_a_subclass(tmp_path: Path) -> None:
    """A concrete class knows its type; its own slug is fine too, and a base class takes it as well."""
    path = tmp_path / "registry.yaml"
    path.write_text("url: x\n")
    assert ImageRegistry.from_yaml(path) == ImageRegistry(url="x")
    path.write_text("type: yaml-registry\nurl: x\n")
    assert ImageRegistry.from_yaml(str(path)) == Block.from_yaml(path) == ImageRegistry(url="x")
    path.write_text("type: yaml-container\n")
    assert Container.__mro__[1].from_yaml(path) == Container()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1: is empty; a block is a mapping of fields, such as `type: process`"]),
        ("# nothing\n", ["1: is empty; a block is a mapping of fields, such as `type: process`"]),
        ("- a\n", ["1: a block is a mapping of fields, such as `type: process`"]),
        ("\n\nhello\n", ["3: a block is a mapping of fields, such as `type: process`"]),
        ("\nname: x\n", ["2: type: is missing; one of: "]),
        ("type: 3\n", ["1: type: must be the name of a block type, such as `process`"]),
        (
            "name: x\ntype: yaml-contner\n",
            ['2: type: there is no block type "yaml-contner"; did you mean yaml-container? known block types: '],
        ),
    ],
)
def test_file_without_a_usable_type(text: str, expected: list[str]) -> None:
    """The message says what a file must begin with, and which types there are."""
    known = ", ".join(list_block_types())
    found = [line.replace(known, "") for line in problems(text, Block)]
    assert found == [f"f.yaml:{line}" for line in expected]


def test_type_of_another_class() -> None:
    """A class does not read the files of another one."""
    assert problems("type: yaml-registry\nurl: x\n") == [
        'f.yaml:1: type: is "yaml-registry", where yaml-container is expected'
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("comand: [a]\n", ['1: comand: is not a field of the block type "yaml-container"; did you mean command?']),
        ("name: x\nzzz: 1\n", ['2: zzz: is not a field of the block type "yaml-container"']),
        ("image: x\n", ['1: image: is not a field of the block type "yaml-container"']),
        ("name: a\n\nname: b\n", ["3: name: is there twice, first in line 1"]),
        ("env:\n  A: a\n  B: b\n  A: c\n", ["4: env.A: is there twice, first in line 2"]),
        ("manifest:\n  a:\n  - {b: 1, b: 2}\n", ["3: manifest.a.0.b: is there twice, first in line 3"]),
        ("name: 5\n", ["1: name: Input should be a valid string"]),
        ("name:\n  5\n", ["2: name: Input should be a valid string"]),
        (
            "command:\n- a\n- 1\n- b\n- 2\n",
            ["3: command.1: Input should be a valid string", "5: command.3: Input should be a valid string"],
        ),
        ("env:\n  A: b\n  C: [d]\n", ["3: env.C: Input should be a valid string"]),
        ("env: 3\n", ["1: env: Input should be a valid dictionary"]),
        ("pull: maybe\n", ["1: pull: Input should be 'always' or 'never'"]),
        ("volumes:\n- a:b\n- a\n", ["2: volumes: Value error, 'a' has no colon"]),
        ("registry:\n  password: x\n", ["2: registry.url: is missing"]),
        ("registry:\n  url: [x]\n", ["2: registry.url: Input should be a valid string"]),
        (
            "registry:\n  url: x\n  pasword: x\n",
            ['3: registry.pasword: is not a field of the block type "yaml-registry"; did you mean password?'],
        ),
        (
            "registry:\n  type: kubeconfig-block\n",
            ['2: registry.type: is "kubeconfig-block", where yaml-registry is expected'],
        ),
        (
            "registry:\n  url: !x\n",
            ['2: registry.url: a tag (!…) is not allowed here; put a value that begins with "!" in quotes'],
        ),
        ("registry: [1]\n", ["1: registry: Input should be a valid dictionary or instance of ImageRegistry"]),
        ("places:\n- {}\n", ["2: places.0.type: is missing; one of: yaml-registry, kubeconfig-block"]),
        (
            "places:\n- type: kubeconfig-block\n  config: 1\n",
            ["3: places.0.config: Input should be a valid dictionary"],
        ),
        (
            "limits:\n  memory: x\n  tken: y\n",
            [
                "2: limits.memory: Input should be a valid integer, unable to parse string as an integer",
                "3: limits.tken: is not a field of Limits; did you mean token?",
            ],
        ),
        (
            "started: 2024-99-99\n",
            ["1: started: looks like a value of the type timestamp, but is not one; put text in quotes"],
        ),
        (
            "timeout_seconds: !!int abc\n",
            ["1: timeout_seconds: looks like a value of the type int, but is not one; put text in quotes"],
        ),
        (
            "timeout_seconds: !!timestamp abc\n",
            ["1: timeout_seconds: looks like a value of the type timestamp, but is not one; put text in quotes"],
        ),
        ("? [a]\n: b\n", ["1: a key must be a plain value, not a mapping or a list"]),
        ("name: !hunter2\n", ['1: name: a tag (!…) is not allowed here; put a value that begins with "!" in quotes']),
        (
            "name: !!python/object:os.system x\n",
            ['1: name: a tag (!…) is not allowed here; put a value that begins with "!" in quotes'],
        ),
        ("pin: *hunter2\n", ['1: an alias (*…) has no anchor; put a value that begins with "*" in quotes']),
        (
            "name: x\n---\nname: y\n",
            ["2: not valid YAML: expected a single document in the stream, but found another document"],
        ),
        ('name: "a\x01b"\n', ["1: the character U+0001 is not allowed in YAML"]),
        (
            "name: &a\n  - *a\nlabels: &b\n  x: *b\n  y: *b\n",
            [
                "1: name.0: an alias (*…) refers to the value that it stands in",
                "3: labels.x: an alias (*…) refers to the value that it stands in",
                "3: labels.y: an alias (*…) refers to the value that it stands in",
            ],
        ),
        ("labels:\n  <<: 3\n", ["2: labels: a merge key (<<) takes a mapping or a list of mappings"]),
    ],
)
def test_every_problem_has_line_and_field(text: str, expected: list[str]) -> None:
    """One line per problem: file, line, dotted field, and what is wrong."""
    assert problems(text) == [f"f.yaml:{line}" for line in expected]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: x\nenv: [a\nlabels: {}\n", 3),
        ("name: 'x\n", 2),
        ("a: b: c\n", 1),
        ("\tname: x\n", 1),
        ("name: ********\n", 1),
    ],
)
def test_broken_yaml_has_a_line(text: str, line: int) -> None:
    """What is not YAML at all is one problem, with the parser's own words."""
    (problem,) = problems(text)
    assert problem.startswith(f"f.yaml:{line}: not valid YAML: ")


def test_all_problems_are_told_at_once() -> None:
    """One reading tells everything, in the order of the lines."""
    text = "zzz: 1\nname: [1]\nname: x\nregistry:\n  url: 1\nlimits: {memory: x}\n"
    assert [line.split(":")[1:3] for line in problems(text)] == [
        ["1", " zzz"],
        ["2", " name"],
        ["3", " name"],
        ["5", " registry.url"],
        ["6", " limits.memory"],
    ]


def test_masked_secrets_are_refused() -> None:
    """A mask in the place of a secret is no secret; elsewhere it is just text."""
    text = """\
name: "********"
pin: "**********"
env:
  API_KEY: "********"
  OTHER: "********"
registry: {url: "********", password: "********"}
limits:
  keys:
  - ok
  - "********"
places:
- config: "********"
"""
    advice = "is only the mask of a secret; write the secret itself, or leave it out and set it in Python"
    assert problems(text) == [
        f"f.yaml:2: pin: {advice}",
        f"f.yaml:4: env.API_KEY: {advice}",
        f"f.yaml:5: env.OTHER: {advice}",
        f"f.yaml:6: registry.password: {advice}",
        f"f.yaml:10: limits.keys.1: {advice}",
        "f.yaml:12: places.0.config: Input should be a valid dictionary",
        f"f.yaml:12: places.0.config: {advice}",
    ]


class Account(Block):
    """A block whose secrets have other names in a file than in Python."""

    _block_type_slug = "test-login-names"

    token: SecretStr | None = Field(default=None, alias="apiToken")
    phrase: str = Field(default="", alias="passPhrase")

    @field_validator("token", "phrase")
    @classmethod
    def _refuse(cls, value: Any) -> Any:
        raise ValueError(f"{value.get_secret_value() if isinstance(value, SecretStr) else value} is too short")

    @classmethod
    def _holds_secret(cls, path: tuple[str | int, ...]) -> bool:
        return path == ("phrase",)


def test_a_secret_under_another_name_is_one() -> None:
    """A mask is refused under the name that a file has for the field, and no message shows the value."""
    advice = "is only the mask of a secret; write the secret itself, or leave it out and set it in Python"
    masked = problems("apiToken: '********'\npassPhrase: '********'\n", Account)
    assert {f"f.yaml:1: apiToken: {advice}", f"f.yaml:2: passPhrase: {advice}"} <= set(masked)
    shown = problems("apiToken: t0ken\npassPhrase: swordfish\n", Account)
    assert shown == [
        "f.yaml:1: apiToken: Value error, ******** is too short",
        "f.yaml:2: passPhrase: Value error, ******** is too short",
    ]


def test_no_secret_in_a_message() -> None:
    """Even a validator that names the secret value does not bring it into the message, which stays one line."""
    text = """\
pin: hunter2hunter2hunter2hunter2
env: {A: string, B: [x]}
registry: {url: [x], password: [hunter2]}
limits: {token: {a: hunter2}}
"""
    assert problems(text) == [
        "f.yaml:1: pin: Value error, ******** is too long",
        "f.yaml:2: env.B: Input should be a valid string",
        "f.yaml:3: registry.password: Input should be a valid string",
        "f.yaml:3: registry.url: Input should be a valid string",
        "f.yaml:4: limits.token: Input should be a valid string",
    ]
    text = "name: same\nregistry: {url: x, password: hunter2}\n"
    assert problems(text) == ["f.yaml:1: Value error, the password ******** belongs to another name"]


def test_the_cause_of_an_error_holds_no_secret() -> None:
    """The error has no other one behind it whose text could show the input."""
    with pytest.raises(InvalidBlockFile) as caught:
        read_text("pin: [hunter2]\n", Container)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_merge_keys() -> None:
    """`<<` takes the pairs of other mappings, and what is written beside it wins."""
    block = read_text("labels: &a {x: a, y: b}\nenv:\n  <<: [*a, {z: c}]\n  y: own\n", Container)
    assert block.env == {"x": "a", "y": "own", "z": "c"}


def test_aliases_give_separate_values() -> None:
    """A value that is used twice is not shared by two fields."""
    block = read_text("manifest:\n  a: &a {x: [1]}\n  b: *a\n", Container)
    block.manifest["a"]["x"].append(2)
    assert block.manifest["b"] == {"x": [1]}


def test_alias_bomb_ends_soon() -> None:
    """A few lines that stand for 10^9 values are refused at once."""
    lines = ["manifest:", "  a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    start = time.thread_time()
    (problem,) = problems("\n".join(lines))
    assert problem.endswith(": aliases (*…) repeat more than 10000 values")
    assert time.thread_time() - start < 10


def test_merge_bomb_ends_soon() -> None:
    """The same with merge keys."""
    lines = ["manifest:", "  a0: &a0 {x: y}"]
    lines += [f"  a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 10)]
    (problem,) = problems("\n".join(lines))
    assert problem.endswith(": aliases (*…) repeat more than 10000 values")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
@pytest.mark.parametrize("levels", [200, 20_000])
def test_deep_nesting_is_an_error(opening: str, levels: int) -> None:
    """Neither the parser nor we run out of stack; the same is said whether the parser's own limit is met or ours."""
    assert problems("manifest:\n " + opening * levels) == ["f.yaml:2: nested more than 100 levels deep"]


@settings(deadline=None)
@given(st.text() | st.text(st.sampled_from("ab:-[]{}&*!|>'\"%@`,#? \n\t<"), max_size=40))
def test_any_text_gives_a_block_or_the_one_error(text: str) -> None:
    """Whatever a file holds, nothing else is raised."""
    try:
        found = type(read_text(text, Container)).__name__
    except InvalidBlockFile as error:
        found = str(error)
    assert found == "Container" or all(line.startswith("<text>:") for line in found.splitlines())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"name: x\nlabels: {a: \xff}\n", ":2: is not UTF-8 text"),
        (b"a" * (1024 * 1024 + 1), ": is larger than 1048576 bytes, which no block is"),
    ],
)
def test_file_that_is_no_text(tmp_path: Path, content: bytes, expected: str) -> None:
    """Bytes that are not text, and too many of them, are told."""
    path = tmp_path / "job.yaml"
    path.write_bytes(content)
    with pytest.raises(InvalidBlockFile) as caught:
        Block.from_yaml(path)
    assert str(caught.value) == f"{path}{expected}"


def test_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    """A file that an editor on Windows saved is read."""
    path = tmp_path / "job.yaml"
    path.write_bytes(b"\xef\xbb\xbftype: yaml-container\r\nname: x\r\n")
    assert Block.from_yaml(path) == Container(name="x")


def test_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """A missing file and a folder are told with the system's own words."""
    for path, reason in (
        (str(tmp_path / "missing.yaml"), "No such file or directory"),
        (str(tmp_path), "Is a directory"),
        ("a\0b", "embedded null byte"),
    ):
        with pytest.raises(InvalidBlockFile) as caught:
            Block.from_yaml(path)
        assert str(caught.value) == f"{path}: cannot be read: {reason}"


def test_unreadable_file(tmp_path: Path) -> None:
    """A file without permission is told; root may read everything."""
    path = tmp_path / "job.yaml"
    path.write_text("type: yaml-container\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(InvalidBlockFile, match="cannot be read: Permission denied"):
        Block.from_yaml(path)


def test_pipe_is_read(tmp_path: Path) -> None:
    """`<(…)` of a shell, a named pipe, works as a file."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("type: yaml-container\nname: piped\n",))
    writer.start()
    block = Block.from_yaml(path)
    writer.join()
    assert block == Container(name="piped")
