"""The program itself: help, version, schema, doctor, what happens without the extra, and what it costs others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer

from infrablocks import Process
from infrablocks.cli.checks.back_ends import checks
from infrablocks.cli.checks.finding import Finding, State
from infrablocks.cli.doctor import doctor
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from tests.cli.command_line import CommandLine

COMMANDS = ["run", "preview", "status", "attach", "logs", "kill", "reap", "schema", "doctor", "block"]
BLOCK_COMMANDS = ["block ls", "block show", "block save", "block rm"]


def test_help_lists_the_commands(infrablocks: CommandLine) -> None:
    """Without arguments the program shows its help."""
    text = infrablocks("--help").stdout
    assert re.findall(r"^  (\w+)  ", text[text.index("Commands:") :], re.MULTILINE) == COMMANDS
    bare = infrablocks()
    assert text == bare.stdout + bare.stderr


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "block"] + BLOCK_COMMANDS)
def test_each_command_has_help_with_examples(infrablocks: CommandLine, name: str) -> None:
    """Every example begins with the program and the command, and no line of help is cut."""
    done = infrablocks(*name.split(), "--help")
    assert done.returncode == 0
    examples = done.stdout[done.stdout.index("  Examples:\n") :].splitlines()[1:]
    assert examples
    assert all(line.startswith(f"    infrablocks {name}") for line in examples)
    for option in ("--verbose", "--quiet", "--debug", "--help"):
        assert option in done.stdout


def test_help_goes_into_a_closed_pipe_without_noise(infrablocks: CommandLine) -> None:
    """`infrablocks schema process | head -1` is quiet."""
    reader, unread = os.pipe()
    os.close(reader)
    try:
        commands = (["--help"], ["schema", "process"], ["doctor"])
        processes = [infrablocks.start(*words, stdout=unread) for words in commands]
    finally:
        os.close(unread)
    for process in processes:
        assert process.wait(WAIT_SECONDS) in {1, 141}
        assert process.stderr.read() == b""


def test_full_disk(infrablocks: CommandLine) -> None:
    """What cannot be printed is an error in one line."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        process = infrablocks.start("schema", "process", stdout=full.fileno())
    assert process.wait(WAIT_SECONDS) == 1
    told = process.stderr.read().decode()
    assert "No space left on device" in told
    assert "Traceback" not in told


def test_version(infrablocks: CommandLine) -> None:
    """The version is that of the distribution."""
    assert re.fullmatch(r"infrablocks (\d+\.\d+\.\d+\S*|\(not installed\))\n", infrablocks.program("--version").stdout)


def test_unknown_command(infrablocks: CommandLine) -> None:
    """Bad arguments have the exit code 2."""
    done = infrablocks("rnu")
    assert done.returncode == 2
    assert "rnu" in done.stderr


def test_schema(infrablocks: CommandLine) -> None:
    """The schema is the block's own; without a type the types are listed."""
    assert json.loads(infrablocks("schema", "process").stdout) == Process.model_json_schema()
    assert "process" in infrablocks("schema").stdout.splitlines()
    done = infrablocks("schema", "proces")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith('Error: there is no block type "proces"')


def test_doctor_in_plain_lines(infrablocks: CommandLine) -> None:
    """Where stdout is no terminal, each finding is a line; no value of a setting is shown."""
    done = infrablocks("doctor", PREFECT_API_KEY="hunter2", PREFECT_API_URL="http://host.example/api")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    found = [
        match[1]
        for line in lines
        if (match := re.match(r"(?:ok|warning) +(general|process|docker|kubernetes): ", line))
    ]
    assert len(found) == len(lines)
    assert list(dict.fromkeys(found)) == list(checks("default"))
    assert "settings in force: PREFECT_API_KEY, PREFECT_API_URL" in done.stdout
    assert "hunter2" not in done.stdout
    assert "host.example" not in done.stdout


def test_doctor_names_the_profile(infrablocks: CommandLine) -> None:
    """The profile in use is named, and a file that cannot be read is a warning."""
    home = infrablocks.folder / ".prefect"
    home.mkdir()
    (home / "profiles.toml").write_text('active = "work"\n[profiles.work]\nPREFECT_API_KEY = "hunter2"\n')
    done = infrablocks("doctor")
    assert f"profile work of {home}/profiles.toml; settings in force: PREFECT_API_KEY" in done.stdout
    assert "hunter2" not in done.stdout
    (home / "profiles.toml").write_text("active = ")
    done = infrablocks("doctor", "-q")
    assert "warning  general: prefect: the profiles cannot be read" in done.stdout
    assert done.returncode == 0


def test_doctor_in_a_terminal(infrablocks: CommandLine) -> None:
    """In a terminal the findings are a table."""
    process, person = infrablocks.start_in_terminal("doctor")
    text = b""
    with os.fdopen(person, "rb", buffering=0) as terminal:
        try:
            while data := terminal.read(65536):
                text += data
        except OSError:  # how Linux tells that the other side is closed
            pass
    assert process.wait(WAIT_SECONDS) == 0
    assert "┃".encode() in text
    assert b"started a process" in text


def test_doctor_that_finds_something_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One broken thing makes it fail; a check that is broken itself does not hide the others."""

    def explodes() -> Finding:
        raise RuntimeError("bang")

    monkeypatch.setattr(
        "infrablocks.cli.checks.back_ends.checks",
        lambda _namespace: {
            "engine": (explodes, lambda: Finding("x", State.WARNING, "well")),
            "other": (lambda: [Finding("y", State.OK, "fine"), Finding("z", State.OK, "too")],),
        },
    )
    with pytest.raises(typer.Exit) as raised:
        doctor(namespace="default", verbose=0, quiet=False, debug=False)
    assert raised.value.exit_code == 1
    assert capsys.readouterr().out.splitlines() == [
        "broken   engine: explodes: could not be checked: RuntimeError: bang",
        "warning  engine: x: well",
        "ok       other: y: fine",
        "ok       other: z: too",
    ]


def test_debug_shows_the_traceback(infrablocks: CommandLine) -> None:
    """Without --debug an error is a line, with it the traceback comes first."""
    assert infrablocks("kill", "nobody").stderr.count("\n") == 1
    told = infrablocks("kill", "nobody", "--debug").stderr.splitlines()
    assert told[0] == "Traceback (most recent call last):"
    assert told[-1].startswith("Error: ")


def in_python(infrablocks: CommandLine, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        env=infrablocks.environment(),
        text=True,
        timeout=WAIT_SECONDS,
    )


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_without_the_extra(infrablocks: CommandLine, module: str) -> None:
    """Where typer or rich is missing, one line says how to get it."""
    code = f"import sys; sys.modules[{module!r}] = None\nfrom infrablocks.cli import main\nsys.exit(main(['--help']))"
    done = in_python(infrablocks, code)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "pip install 'infrablocks[cli]'" in done.stderr


def test_library_does_not_load_the_command_line(infrablocks: CommandLine) -> None:
    """`import infrablocks`, and a run, load neither typer nor rich nor the command line."""
    code = (
        "import sys, infrablocks; infrablocks.Process(command=['true']).run()\n"
        "print([name for name in sys.modules if name.startswith(('typer', 'rich', 'infrablocks.cli'))])"
    )
    assert in_python(infrablocks, code).stdout == "[]\n"
