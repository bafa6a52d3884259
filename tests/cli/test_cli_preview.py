"""`infrablocks preview`: what would run, and that it is what runs."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from tests.cli.command_line import CommandLine


def test_preview_pastes_back_into_a_shell(infrablocks: CommandLine) -> None:
    """What `preview` prints does in a shell what `run` with the same arguments does."""
    words = ("--env", "A=it's", "--env", "B=$HOME; echo", "--", "sh", "-c", 'echo "$A" "$B" "$0" "$@"', "x y", "*")
    preview = infrablocks("preview", *words)
    assert preview.returncode == 0
    pasted = ["sh", "-c", preview.stdout]
    shell = subprocess.run(pasted, capture_output=True, check=True, text=True, timeout=WAIT_SECONDS)
    assert shell.stdout == infrablocks("run", *words).stdout == "it's $HOME; echo x y *\n"


def test_preview_runs_nothing(infrablocks: CommandLine) -> None:
    """The program need not even exist."""
    assert infrablocks("preview", "--env", "A=1", "--", "no-such-program").stdout == "A=1 \\\nno-such-program\n"


def test_secrets_are_masked_unless_asked_for(infrablocks: CommandLine) -> None:
    """Prefect's credentials are shown with --show-secrets only."""
    words = ("--env", "PREFECT_API_KEY=hunter2", "--", "true")
    assert infrablocks("preview", *words).stdout == "PREFECT_API_KEY='********' \\\ntrue\n"
    assert infrablocks("preview", "--show-secrets", *words).stdout == "PREFECT_API_KEY=hunter2 \\\ntrue\n"


def test_preview_of_a_file(infrablocks: CommandLine) -> None:
    """The arguments change a file's block in the same way as for `run`."""
    (infrablocks.folder / "job.yaml").write_text("type: process\ncommand: [echo, hello]\nenv: {A: null}\n")
    assert infrablocks("preview", "job.yaml").stdout == "env -u A \\\necho hello\n"
    assert infrablocks("preview", "job.yaml", "--env", "A=1", "--", "true").stdout == "A=1 \\\ntrue\n"


def test_preview_of_what_cannot_run(infrablocks: CommandLine) -> None:
    """Errors are those of `run`."""
    (infrablocks.folder / "job.yaml").write_text("type: process\ncommand: []\n")
    done = infrablocks("preview", "job.yaml")
    assert done.returncode == 125
    assert done.stderr.startswith("Error: ")


def test_stdout_that_cannot_show_it(infrablocks: CommandLine) -> None:
    """What stdout has no characters for is an error: another text would not paste back."""
    done = infrablocks.program("preview", "--", "echo", "→", PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("Error: stdout has the encoding ")
