"""Every snippet of the documentation is executed and does what the page says."""

from pathlib import Path

import pytest

from tests.docs.reading import problem_on
from tests.docs.snippets import load_pages

_PAGES = load_pages()


@pytest.mark.parametrize("name", _PAGES)
def test_each_snippet_does_what_its_page_says(name: str, tmp_path: Path) -> None:
    """Python, shell commands and files of a page work in their order, in a folder of their own."""
    problem = problem_on(name, tmp_path)
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
        ('```{.python needs="docker"}\n1 +\n```', "SyntaxError"),
        ('```{.console needs="docker"}\nno command\n```', "a console block begins with"),
        ('```{.python needs="moon"}\npass\n```', "nothing is known about an engine 'moon'"),
        ('```{.text needs="docker"}\npass\n```', "only a block that is executed can need an engine"),
        ('```python needs="docker"\npass\n```', "nothing is known about the language 'python needs="),
        ("```yaml\ntype: process\n```", 'a yaml block needs title="…"'),
        ('```yaml title="job.yaml"\ntype: process\n```', "no snippet further down uses the file 'job.yaml'"),
    ],
)
def test_a_page_that_is_wrong_is_refused(block: str, message: str, tmp_path: Path) -> None:
    """What a snippet does not do, and what cannot be executed, is an error that names the line."""
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n{block}\n")
    problem = problem_on(str(page), tmp_path)
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
    assert problem_on(str(page), tmp_path) == ""


@pytest.mark.parametrize(("engines", "printed"), [((), "before\n"), (("docker",), "before\nengine\nshell\n")])
def test_a_block_that_needs_an_engine(engines: tuple[str, ...], printed: str, tmp_path: Path) -> None:
    """It is executed with the others of its page where the engine is there, and not where it is missing."""
    text = """
```python
log = open("log", "a", buffering=1)
log.write("before\\n")
```

```{.python needs="docker"}
log.write("engine\\n")
```

```{.console needs="docker"}
$ echo shell >>log
```

```python
log.close()
```
"""
    page = tmp_path / "page.md"
    page.write_text(text)
    assert problem_on(str(page), tmp_path, engines) == ""
    assert (tmp_path / "folder/log").read_text() == printed
