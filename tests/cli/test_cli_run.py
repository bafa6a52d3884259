"""`infrablocks run`: what runs, what comes out of it, and the exit code."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from tests.cli.command_line import CommandLine

SHOW_ENV = "from os import environ as e; print(e.get('A'), e.get('B'), e.get('C'))"


def test_output_goes_to_the_stream_it_was_printed_on(infrablocks: CommandLine) -> None:
    """stdout and stderr of the command come out on stdout and stderr, with nothing added."""
    done = infrablocks.program("run", "--", "sh", "-c", "printf 'a\\n\\n b '; echo c >&2")
    assert (done.stdout, done.stderr, done.returncode) == ("a\n\n b ", "c\n", 0)


def test_the_key_of_the_store_is_passed_on_by_name(infrablocks: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command gets the key to saved blocks with `--env NAME`, and otherwise not."""
    monkeypatch.setenv("INFRABLOCKS_SECRET_KEY", "key-3c1d")
    show = ("--", "sh", "-c", 'echo "<$INFRABLOCKS_SECRET_KEY>"')
    assert infrablocks.program("run", *show).stdout == "<>\n"
    assert infrablocks.program("run", "--env", "INFRABLOCKS_SECRET_KEY", *show).stdout == "<key-3c1d>\n"


@pytest.mark.parametrize("code", [0, 1, 3, 124, 255])
def test_exit_code_is_the_commands_own(infrablocks: CommandLine, code: int) -> None:
    """The command's exit code is the exit code of the command line."""
    assert infrablocks("run", "--", "sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize(("name", "code"), [("HUP", 129), ("KILL", 137), ("TERM", 143), ("SEGV", 139)])
def test_exit_code_of_a_signal_is_a_shells(infrablocks: CommandLine, name: str, code: int) -> None:
    """A command that a signal has ended gives 128 plus its number."""
    assert infrablocks("run", "--", "sh", "-c", f"ulimit -c 0; kill -{name} $$").returncode == code


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--", "no-such-program"), 127, "there is no program 'no-such-program'"),
        (("--", "./no-such-program"), 127, "no-such-program"),
        (("--", "/"), 126, "'/' is a folder"),
        (("--", "/dev/null"), 126, "'/dev/null' is not executable"),
        (("--set", "working_dir=/no-such-folder", "--", "true"), 125, "working_dir '/no-such-folder' does not exist"),
        (("--set", "working_dir=/dev/null", "--", "true"), 125, "working_dir '/dev/null'"),
        (("--env", "=x", "--", "true"), 125, "env: '' is not the name of a variable"),
        (("--timeout-seconds", "0", "--", "true"), 125, "timeout_seconds: Input should be greater than 0"),
        (("--set", "command=[]", "--env", "A=1", "empty.yaml"), 125, "empty command"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_told_in_one_line(
    infrablocks: CommandLine, words: tuple[str, ...], code: int, message: str
) -> None:
    """A run that cannot be made has the exit code of `docker run` or of a shell, and one line says why."""
    (infrablocks.folder / "empty.yaml").write_text("type: process\n")
    done = infrablocks("run", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_time_limit_has_an_exit_code_of_its_own(infrablocks: CommandLine) -> None:
    """A run that takes too long is ended, and the exit code is that of `timeout`."""
    done = infrablocks("run", "--timeout-seconds", "0.2", "--", "sleep", "1000")
    assert done.returncode == 124
    assert "0.2" in done.stderr
    assert infrablocks.records() == []


def test_process_runs_in_a_temporary_folder_unless_it_is_given_one(infrablocks: CommandLine) -> None:
    """A command sees the block's working directory; a relative one is seen from where the command line was called."""
    assert infrablocks("run", "--", "pwd").stdout.startswith(str(infrablocks.temporary))
    assert infrablocks("run", "--set", "working_dir=.", "--", "pwd").stdout == f"{infrablocks.folder}\n"


def test_variables(infrablocks: CommandLine) -> None:
    """`--env` gives a value, an empty one, or this process's own; what this process does not have stays away."""
    words = ("--env", "A=1=2", "--env", "B=", "-e", "C", "-e", "NO_SUCH_VARIABLE")
    done = infrablocks("run", *words, "--", "python3", "-c", SHOW_ENV, C="here")
    assert done.stdout == "1=2  here\n"


def test_set_reads_yaml_and_goes_into_mappings(infrablocks: CommandLine) -> None:
    """`--set` takes YAML for any field; in a mapping of text the key is all that follows the first dot."""
    assignments = ("--set", "env.A=1", "--set", "env.B=null", "--set", "labels.app.io/x=y", "--set", "name='a: b'")
    done = infrablocks("run", *assignments, "--", "python3", "-c", SHOW_ENV, B="2", C="3")
    assert done.stdout == "1 None 3\n"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("wokring_dir=.", "--set wokring_dir: there is no field 'wokring_dir'; did you mean working_dir?"),
        ("zzz=.", "--set zzz: there is no field 'zzz'; there are command, "),
        ("command", "--set command: give a value, --set command=VALUE"),
        ("name=*hunter2", "--set name: the value is not YAML; if it is text, quote it"),
        ("name=2001-99-99", "--set name: the value is not YAML"),
        ("name=!!bool hunter2", "--set name: the value is not YAML"),
        ("name=!!timestamp hunter2", "--set name: the value is not YAML"),
        ("name=!!int ''", "--set name: the value is not YAML"),
        ("env.A=[x]", "env.A: Input should be a valid string\n"),
        ("command=[a, 1]", "command[1]: Input should be a valid string\n"),
        ("name.x=1", "name: Input should be a valid string"),
        ("command.x=1", "--set command.x: command has no keys, it is a list"),
        ("stream_output=maybe", "stream_output: Input should be a valid boolean"),
        ("type=docker-container", "type: Input should be 'process'"),
    ],
)
def test_wrong_overrides(infrablocks: CommandLine, assignment: str, message: str) -> None:
    """An override that does not fit is named, with the fields that were perhaps meant."""
    (infrablocks.folder / "job.yaml").write_text("type: process\ncommand: ['true']\n")
    done = infrablocks("run", "job.yaml", "--set", assignment)
    assert done.returncode == 125
    assert done.stderr.startswith(f"Error: {message}")
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr


def test_values_are_not_echoed(infrablocks: CommandLine) -> None:
    """No error shows a value: it may be a secret."""
    done = infrablocks("run", "--set", "env.PASSWORD=[hunter2]", "--set", "stream_output=hunter2", "--", "true")
    assert done.returncode == 125
    assert "hunter2" not in done.stderr
    assert "hunter2" not in infrablocks("--", "run").stderr
    done = infrablocks("run", "--debug", "--set", "env.PASSWORD=[hunter2]", "--", "true")
    assert "Traceback" in done.stderr
    assert "hunter2" not in done.stderr


def test_stream_output_false_prints_nothing(infrablocks: CommandLine) -> None:
    """A field that is false in YAML is false."""
    assert infrablocks("run", "--set", "stream_output=false", "--", "echo", "hello").stdout == ""


def test_file(infrablocks: CommandLine) -> None:
    """A YAML file is run as it is, or with what the arguments change."""
    (infrablocks.folder / "job.yaml").write_text("type: process\ncommand: [sh, -c, 'echo $A $B']\nenv: {A: 1, B: 2}\n")
    assert infrablocks("run", "job.yaml").stdout == "1 2\n"
    assert infrablocks("run", "job.yaml", "--env", "B=3").stdout == "1 3\n"
    assert infrablocks("run", "job.yaml", "--env", "B=3", "--", "sh", "-c", "echo $A$B").stdout == "13\n"
    assert infrablocks("run", "--set", "env.A=4", "job.yaml", "--").stdout == "4 2\n"


def test_wrong_file_is_told_line_by_line(infrablocks: CommandLine) -> None:
    """Each problem of a file is a line with file, line and field."""
    (infrablocks.folder / "job.yaml").write_text("type: process\ncommad: [x]\nstream_output: perhaps\n")
    done = infrablocks("run", "job.yaml")
    assert done.returncode == 125
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Error: job.yaml:2: commad: ")
    assert lines[1].startswith("Error: job.yaml:3: stream_output: ")
    assert len(lines) == 2


def test_missing_file(infrablocks: CommandLine) -> None:
    """A file that does not exist is named."""
    done = infrablocks("run", "no-such.yaml")
    assert (done.returncode, done.stderr.count("\n")) == (125, 1)
    assert done.stderr.startswith("Error: no-such.yaml: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give a YAML file, a saved block, or `--` and a command"),
        (("--",), "give a YAML file, a saved block, or `--` and a command"),
        (("echo", "hello"), "write `--` before the command: -- echo hello"),
        (("job.yaml", "other.yaml"), "write `--` before the command"),
        (("-q", "-v", "--", "true"), "--quiet and --verbose exclude each other"),
    ],
)
def test_wrong_arguments(infrablocks: CommandLine, words: tuple[str, ...], message: str) -> None:
    """Arguments that make no sense have the exit code 2 and a hint."""
    done = infrablocks("run", *words)
    assert done.returncode == 2
    assert message in done.stderr


def test_command_keeps_its_own_dashes(infrablocks: CommandLine) -> None:
    """What stands behind the first `--` is the command's, options and further dashes included."""
    assert infrablocks("run", "--", "echo", "--debug", "--", "-q", "run").stdout == "--debug -- -q run\n"


def test_log_lines_go_to_stderr_by_their_level(infrablocks: CommandLine) -> None:
    """A failure is told by default, a success with -v; -q leaves the errors."""
    failed = infrablocks.program("run", "--", "sh", "-c", "exit 3")
    assert failed.returncode == 3
    assert failed.stderr.startswith("Error: Process ")
    assert failed.stderr.endswith(" exited with status code 3.\n")
    assert infrablocks("run", "--", "true").stderr == ""
    assert "Info: " in infrablocks("run", "-v", "--", "true").stderr
    left = ("run", "-q", "--", "sh", "-c", "sleep 1000 & echo $!")
    done = infrablocks(*left)
    subprocess.run(["kill", done.stdout.strip()], check=True)
    assert done.stderr == ""


def test_record_that_cannot_be_written_is_a_warning(infrablocks: CommandLine) -> None:
    """The run goes on where no record can be kept, and a warning says so."""
    done = infrablocks("run", "--", "echo", "hello", INFRABLOCKS_HOME="/dev/null")
    assert (done.stdout, done.returncode) == ("hello\n", 0)
    assert done.stderr.startswith("Warning: ")


@pytest.mark.parametrize(
    ("redirection", "code"), [(">&-", 0), ("2>&-", 0), (">/dev/full", 0), (">&- 2>&-", 0), ("2>/dev/full", 0)]
)
def test_closed_and_full_streams(in_shell: Callable[[str], CompletedProcess[str]], redirection: str, code: int) -> None:
    """Streams that cannot be written to do not fail a run, and nothing complains at the end of the interpreter."""
    done = in_shell(f"run -- sh -c 'echo hello; echo hello >&2' {redirection}")
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.fixture
def in_shell(infrablocks: CommandLine) -> Callable[[str], CompletedProcess[str]]:
    def call(arguments: str) -> CompletedProcess[str]:
        return subprocess.run(
            f"{shlex.join(infrablocks.words())} {arguments}",
            capture_output=True,
            check=False,
            cwd=infrablocks.folder,
            env=infrablocks.environment(),
            shell=True,
            text=True,
            timeout=WAIT_SECONDS,
        )

    return call
