"""Finding the snippets of the documentation: the pages, and the docstrings that the reference is made of."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^ *(?P<fence>`{3,}|~{3,}) *(?P<info>.*)$")
_TITLE = re.compile(r'\btitle="(?P<title>[^"]*)"')
# The only form in which MkDocs accepts attributes other than its own.
_IN_BRACES = re.compile(r"\{ ?\.(?P<language>\w+)(?P<attributes>[^{}]*)\}")
_NEEDS = re.compile(r'\bneeds="(?P<needs>[^"]*)"')
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Snippet:
    """One fenced block.

    Attributes:
        language: The first word after the fence; empty where there is none.
        title: What the block is titled, the name of a file; None where there is no title.
        needs: The engine without which the block is not executed, as in `{.python needs="docker"}`; None: needs none.
        text: What stands between the fences.
        line: The number of its first line in the file.
    """

    language: str
    title: str | None
    needs: str | None
    text: str
    line: int


@dataclass(frozen=True)
class Page:
    """Snippets that are executed one after the other in one folder.

    Attributes:
        name: The file, relative to the checkout if it is in there; for a docstring, its line too (`src/a.py:10`).
        snippets: In the order of the page.
    """

    name: str
    snippets: tuple[Snippet, ...]

    @property
    def path(self) -> Path:
        """The file that the page is read from."""
        return ROOT / self.name.partition(":")[0]


def load_pages() -> dict[str, Page]:
    """Read everything that has a snippet, by name."""
    files = chain([ROOT / "README.md", ROOT / "CONTRIBUTING.md"], sorted((ROOT / "docs").rglob("*.md")))
    markdown = (markdown_page(path) for path in files if path.exists())
    docstrings = chain.from_iterable(_docstring_pages(path) for path in sorted((ROOT / "src").rglob("*.py")))
    return {page.name: page for page in chain(markdown, docstrings) if page.snippets}


def snippets_in(lines: Iterable[str], first_line: int = 1) -> Iterator[Snippet]:
    """Find the fenced blocks in Markdown, also in those parts that are indented.

    Args:
        lines: The text.
        first_line: The number of its first line in the file.

    Raises:
        ValueError: A block has no end.
    """
    fence, info, start, body = "", "", 0, list[str]()
    for number, line in enumerate(lines, first_line):
        found = _FENCE.match(line)
        if not fence and found:
            fence, info, start, body = found["fence"], found["info"].strip(), number + 1, []
        elif fence and found and found["fence"].startswith(fence) and not found["info"]:
            yield _snippet(info, dedent("\n".join(body)), start)
            fence = ""
        else:
            body.append(line)
    if fence:
        raise ValueError(f"the block that begins at line {start - 1} has no end")


def _snippet(info: str, text: str, line: int) -> Snippet:
    title, braces = _TITLE.search(info), _IN_BRACES.fullmatch(info)
    needs = braces and _NEEDS.search(braces["attributes"])
    language = braces["language"] if braces else info if _NEEDS.search(info) else info.partition(" ")[0]
    return Snippet(language, title and title["title"], needs and needs["needs"], text, line)


def markdown_page(path: Path) -> Page:
    """Read a Markdown file."""
    return Page(_name(path), tuple(snippets_in(path.read_text(encoding="utf-8").splitlines())))


def _docstring_pages(path: Path) -> Iterator[Page]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        docstring = ast.get_docstring(node) if isinstance(node, _DOCUMENTED) else None
        if docstring:
            line = node.body[0].lineno  # type: ignore[attr-defined]  # it has one of the types that are documented
            yield Page(f"{_name(path)}:{line}", tuple(snippets_in(docstring.splitlines(), line)))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
