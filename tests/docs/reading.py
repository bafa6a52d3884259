"""Reading a page as somebody does who tries everything on it, in a process and a folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.docs.snippets import ROOT
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Longer than the longest block may take.
_SECONDS = 2 * WAIT_SECONDS
_NOT_INHERITED = ("DOCKER_", "INFRABLOCKS_", "PREFECT_")


def problem_on(
    page: str, tmp_path: Path, engines: Iterable[str] = (), variables: Mapping[str, str] | None = None
) -> str:
    """Execute a page and give what is wrong with it; nothing where it is right.

    Args:
        page: One of `load_pages()`, or a Markdown file.
        tmp_path: Where the folder of the page is made; the reader's home.
        engines: What is there of that which blocks may need.
        variables: Further variables of the environment.
    """
    folder = tmp_path / "folder"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.run_page", page, *engines],
        cwd=folder,
        env={**_environment(tmp_path), **(variables or {})},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    return f"{done.stdout}{done.stderr}" if done.returncode else ""


def _environment(home: Path) -> dict[str, str]:
    """The environment of somebody who has just installed the library and reads the page."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    programs = str(Path(sys.executable).parent)
    return {
        **inherited,
        "COLUMNS": "100",
        "HOME": str(home),
        "NO_COLOR": "1",
        "PATH": f"{programs}{os.pathsep}{inherited.get('PATH', os.defpath)}",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "TERM": "dumb",
    }
