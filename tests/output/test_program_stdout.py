"""Lines go to the stdout of a program that prints itself, whatever that stdout is."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.processes import WAIT_SECONDS
from tests.python_programs import PythonProgram

if TYPE_CHECKING:
    from pathlib import Path

RUN = """
import logging, sys, anyio
from infrablocks._output import Output
logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stderr)

async def main():
    output = Output()
    for _ in range(2):
        await output.write("stdout", "aé☃\\n".encode())
    await output.write("stdout", b"\\xff\\n")
    await output.finish()
    output.close()

anyio.run(main)
"""


@pytest.mark.parametrize(
    ("encoding", "options", "printed", "warnings"),
    [
        ("ascii", [], b"a\\xe9\\u2603\n" * 2 + b"\\ufffd\n", 1),
        ("ascii", ["-u"], b"a\\xe9\\u2603\n" * 2 + b"\\ufffd\n", 1),
        ("latin-1", ["-u"], b"a\xe9\\u2603\n" * 2 + b"\\ufffd\n", 1),
        ("utf-8", [], "aé☃\naé☃\n\ufffd\n".encode(), 0),
    ],
)
def test_a_narrow_stdout(encoding: str, options: list[str], printed: bytes, warnings: int) -> None:
    """An interpreter whose stdout is no UTF-8 prints escapes, warns once and ends well."""
    environ = {**os.environ, "PYTHONIOENCODING": encoding}
    ended = subprocess.run(
        [sys.executable, *options, "-c", RUN], capture_output=True, check=False, env=environ, timeout=WAIT_SECONDS
    )
    assert (ended.returncode, ended.stdout) == (0, printed)
    assert ended.stderr.count(b"WARNING") == warnings
    assert ended.stderr.count(b"\n") == warnings


def test_the_order_with_the_program_s_own_print() -> None:
    """What the program printed before stands before, what it prints afterwards behind, also unflushed."""
    script = RUN.replace("anyio.run(main)", "print('before'); anyio.run(main); print('after')")
    with PythonProgram(script) as process:
        printed, _ = process.communicate()
    assert process.returncode == 0
    assert printed.splitlines()[0] == b"before"
    assert printed.splitlines()[-1] == b"after"


def test_a_stdout_that_does_not_block() -> None:
    """A pipe that somebody has made non-blocking loses nothing, of the program's own print neither."""
    script = (
        "import os; os.set_blocking(1, False); print('p' * 7000)\n"
        + RUN.replace("anyio.run(main)", "anyio.run(main); os.set_blocking(1, True)")
    ).replace('"aé☃\\n"', '("aé☃\\n" * 40_000)')
    with PythonProgram(script) as process:
        printed, errors = process.communicate()
    assert errors == b""
    assert printed == b"p" * 7000 + b"\n" + "aé☃\n".encode() * 80_000 + "\ufffd\n".encode()


def test_stdout_and_stderr_into_one_file(tmp_path: Path) -> None:
    """Streams that end in the same place share a writer: no line of one is inside of a line of the other."""
    script = RUN.replace(
        'await output.write("stdout", "aé☃\\n".encode())',
        'await output.write("stdout", b"o" * 5000 + b"\\n"); await output.write("stderr", b"e" * 5000 + b"\\n")',
    ).replace("range(2)", "range(300)")
    with (
        (tmp_path / "both").open("wb") as both,
        PythonProgram(script, stdout=both.fileno(), stderr=both.fileno()) as process,
    ):
        assert process.wait() == 0
    lines = (tmp_path / "both").read_bytes().splitlines()
    assert sorted(lines) == [b"e" * 5000] * 300 + [b"o" * 5000] * 300 + ["\ufffd".encode()]
