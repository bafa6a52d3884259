"""Every snippet of the documentation is executed and does what the page says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.snippets import ROOT, load_pages

_PAGES = load_pages()
_SECONDS = 55


@pytest.mark.parametrize("name", _PAGES)
def test_each_snippet_does_what_its_page_says(name: str, tmp_path: Path) -> None:
    """Python, shell commands and files of a page work in their order, in a folder of their own."""
    problem = _run(name, tmp_path)
    if problem:
        pytest.fail(problem, pytrace=False)


def test_the_pages_are_found() -> None:
    """The tutorial and the docstring of the main block have snippets, so that the test above has something to do."""
    assert "docs/start.md" in _PAGES
    assert any(name.startswith("src/infrablocks/process/block.py:") for name in _PAGES)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("```python\nassert 1 == 2\n```", "AssertionError"),
        ("```python\nprint(1)\n```", "should print\n(nothing)\nbut printed\n1"),
        ("```python\nprint(1)  #> 2\n#> 2\n```", "should print\n2\nbut printed\n1"),
        ("```console\n$ echo a b c\na … d\n```", "should print\na … d\nbut printed\na b c"),
        ("```console\n$ exit 3\n```", "the shell ended before its time"),
        ("```console\n$ python3 -m venv elsewhere\n```", "README.md does not have this command"),
        ("```bash\ntrue\n```", "nothing is known about the language 'bash'"),
        ("```\ntrue\n```", "nothing is known about the language ''"),
        ("```yaml\ntype: process\n```", 'a yaml block needs title="…"'),
        ('```yaml title="job.yaml"\ntype: process\n```', "no snippet further down uses the file 'job.yaml'"),
    ],
)
def test_a_page_that_is_wrong_is_refused(block: str, message: str, tmp_path: Path) -> None:
    """What a snippet does not do, and what cannot be executed, is an error that names the line."""
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n{block}\n")
    problem = _run(str(page), tmp_path)
    assert f"{page}:4: " in problem
    assert message in problem


def test_a_page_that_is_right_is_accepted(tmp_path: Path) -> None:
    """Namespace, files and folder are those of the whole page, a shell that of its block; `…` stands for anything."""
    text = """
!!! note

    ```yaml title="folder/job.yaml"
    a: 1
    ```

```console
$ cat folder/job.yaml; false
a: …
$ echo $? \\
> again
1 again
$ seq 5
1
…
5
```

```python
value = 2
```

```python
print(value, "and more")
#> 2 …
```
"""
    page = tmp_path / "page.md"
    page.write_text(text)
    assert _run(str(page), tmp_path) == ""


def _run(page: str, tmp_path: Path) -> str:
    """Execute a page and give what is wrong with it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.docs.run_page", page]
    done = subprocess.run(
        command, cwd=folder, env=_environment(tmp_path), capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    return f"{done.stdout}{done.stderr}" if done.returncode else ""


def _environment(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has just installed the library and reads the page."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "INFRABLOCKS_"))}
    programs = str(Path(sys.executable).parent)
    return {
        **inherited,
        "COLUMNS": "100",
        "HOME": str(tmp_path),
        "NO_COLOR": "1",
        "PATH": f"{programs}{os.pathsep}{inherited.get('PATH', os.defpath)}",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "TERM": "dumb",
    }
