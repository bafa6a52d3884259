"""Executes the snippets of one page of documentation, one after the other, in the working directory.

What is done with a block is decided by its language:

- `python`: executed, all of a page in one namespace. What it prints must be what its comments `#> …` say.
- `console`: lines `$ command` (continued by lines `> …`) are executed by `sh`, all of a block in one shell. What
  follows a command must be what it prints.
- `yaml`, `toml`, `json`, and `python` with a title: written to the file that the title names, which a snippet further
  down must use.
- `text`, `mermaid`: not executed.

Anything else is an error. In what is expected, `…` stands for any part of a line, and alone on a line for any lines.

A block `{.python needs="docker"}` or `{.console needs="docker"}` is executed only where that engine is there, and so
with `kubernetes`; elsewhere it is checked as far as that goes without: Python compiles, a console block begins with a
command.

On the command line: `python -m tests.docs.run_page PAGE [ENGINE …]`, the page being one of `load_pages()` or any
Markdown file, the engines those that are there.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, BinaryIO

from tests.docs.snippets import ROOT, load_pages, markdown_page
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tests.docs.snippets import Page, Snippet

_FILES = {"yaml", "toml", "json"}
_NOT_EXECUTED = {"text", "mermaid"}
# Making a virtual environment takes long and is what CI begins with: it executes these commands of README.md.
_SET_UP = "python3 -m venv "
_END_OF_COMMAND = "\x1e"
_ENGINES = {"docker", "kubernetes"}


class SnippetError(Exception):
    """A snippet is not what the page says."""


def run_page(page: Page, engines: Collection[str] = ()) -> None:
    """Execute the snippets of a page in the working directory.

    Args:
        page: The page.
        engines: What is there of that which blocks may need.

    Raises:
        SnippetError: One of them does not do what the page says; the message names its line.
    """
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    for index, snippet in enumerate(page.snippets):
        try:
            _check_attributes(snippet, page.snippets[index + 1 :])
            if snippet.needs is None or snippet.needs in engines:
                _run_snippet(snippet, page, module)
            else:
                _check_snippet(snippet, page)
        except SnippetError as error:
            raise SnippetError(f"{page.path}:{snippet.line}: {error}") from None
        except Exception as error:
            raise SnippetError(f"{page.path}:{snippet.line}: {type(error).__name__} {error}".rstrip()) from error


def _run_snippet(snippet: Snippet, page: Page, module: ModuleType) -> None:
    if snippet.title is not None:
        file = Path(snippet.title)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(snippet.text + "\n", encoding="utf-8")
    elif snippet.language == "python":
        _run_python(snippet, page, module)
    elif snippet.language == "console":
        _run_console(snippet)


def _check_snippet(snippet: Snippet, page: Page) -> None:
    """Check what can be checked of a block that is not executed."""
    if snippet.language == "python":
        _compiled(snippet, page)
    elif snippet.language == "console":
        _commands(snippet)


def _check_attributes(snippet: Snippet, following: tuple[Snippet, ...]) -> None:
    language, title = snippet.language, snippet.title
    if language not in {"python", "console", *_FILES, *_NOT_EXECUTED}:
        raise SnippetError(f"nothing is known about the language {language!r}")
    if snippet.needs is not None and (language not in {"python", "console"} or title is not None):
        raise SnippetError("only a block that is executed can need an engine")
    if snippet.needs is not None and snippet.needs not in _ENGINES:
        raise SnippetError(f"nothing is known about an engine {snippet.needs!r}")
    if language in _FILES and title is None:
        raise SnippetError(f'a {language} block needs title="…", the name of the file it is')
    if title is None:
        return
    if language not in {"python", *_FILES}:
        raise SnippetError(f"a {language} block cannot be a file; take its title away")
    used_as = title.removesuffix(".py")  # how a module is imported
    if not any(used_as in other.text for other in following if other.language in {"python", "console"}):
        raise SnippetError(f"no snippet further down uses the file {title!r}")


def _run_python(snippet: Snippet, page: Page, module: ModuleType) -> None:
    code = _compiled(snippet, page)
    with _captured_stdout() as file:
        exec(code, module.__dict__)
        sys.stdout.flush()
        printed = _text(file)
    comments = (line.strip() for line in snippet.text.splitlines())
    expected = [line.removeprefix("#>").removeprefix(" ") for line in comments if line.startswith("#>")]
    _compare(expected, printed, "the snippet, by its comments `#> …`,")


def _compiled(snippet: Snippet, page: Page) -> CodeType:
    # Empty lines in front, so that a traceback shows the line of the page.
    return compile("\n" * (snippet.line - 1) + snippet.text, str(page.path), "exec", dont_inherit=True)


@contextmanager
def _captured_stdout() -> Iterator[BinaryIO]:
    """Catch what is printed, below Python's own streams too, because that is where a workload's output goes."""
    sys.stdout.flush()
    standard = os.dup(1)
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 1)
            yield file
    finally:
        sys.stdout.flush()
        os.dup2(standard, 1)
        os.close(standard)


def _run_console(snippet: Snippet) -> None:
    commands = [step for step in _commands(snippet) if not _is_set_up(step[0])]
    if not commands:
        return
    script = "".join(f"{command}\n_status=$?; printf '\\036'; (exit $_status)\n" for command, _ in commands)
    with tempfile.TemporaryFile() as file:
        shell = subprocess.Popen(
            ["sh", "-c", script], stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
        try:
            shell.wait(WAIT_SECONDS)
        finally:
            _end(shell)
        printed = _text(file).split(_END_OF_COMMAND)
    if len(printed) != len(commands) + 1:
        raise SnippetError(f"the shell ended before its time; it printed:\n{''.join(printed)}")
    for (command, expected), text in zip(commands, printed, strict=False):
        _compare(expected, text, f"`{command}`")


def _commands(snippet: Snippet) -> list[tuple[str, list[str]]]:
    commands: list[tuple[str, list[str]]] = []
    for line in snippet.text.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        elif not commands:
            raise SnippetError("a console block begins with `$ ` and a command")
        elif line.startswith("> ") and commands[-1][0].endswith("\\") and not commands[-1][1]:
            commands[-1] = (f"{commands[-1][0]}\n{line[2:]}", [])
        else:
            commands[-1][1].append(line)
    return commands


def _is_set_up(command: str) -> bool:
    if not command.startswith(_SET_UP):
        return False
    readme = ROOT / "README.md"
    if not readme.exists() or f"$ {command}" not in readme.read_text(encoding="utf-8").splitlines():
        raise SnippetError(f"README.md does not have this command, so that nobody executes it: {command}")
    return True


def _end(shell: subprocess.Popen[bytes]) -> None:
    """End what the block has left in the background."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(shell.pid, number)
            shell.wait(1)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _compare(expected: list[str], printed: str, what: str) -> None:
    pattern = "".join(_line_pattern(line) for line in expected)
    text = printed if not printed or printed.endswith("\n") else printed + "\n"
    if not re.fullmatch(pattern, text):
        wanted = "\n".join(expected) or "(nothing)"
        raise SnippetError(f"{what} should print\n{wanted}\nbut printed\n{printed or '(nothing)'}")


def _line_pattern(line: str) -> str:
    if line.strip() == "…":
        return r"(?:[^\n]*\n)*?"
    return ".*?".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ \t]*\n"


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    run_page(load_pages().get(sys.argv[1]) or markdown_page(Path(sys.argv[1])), sys.argv[2:])
