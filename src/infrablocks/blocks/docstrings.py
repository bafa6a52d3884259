"""What a block class says about itself in its docstring: a description and a code example."""

from __future__ import annotations

import inspect
import re
from textwrap import dedent

_SECTION = re.compile(r"[A-Z][A-Za-z ]*:\s*")
_EXAMPLE_SECTION = re.compile(r"examples?:\s*", re.IGNORECASE)
_FENCED_BLOCK = re.compile(r"^(?P<fence>```+|~~~+)[^\n]*\n.*?^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL)


def description_in(docstring: str | None) -> str | None:
    """Give the first paragraph of a docstring, or None when it begins with a section such as "Args:"."""
    paragraph: list[str] = []
    for line in _lines(docstring):
        if not line.strip() or _SECTION.fullmatch(line):
            break
        paragraph.append(line)
    return "\n".join(paragraph) or None


def code_example_in(docstring: str | None) -> str | None:
    """Give the text below "Example:" or "Examples:", else the first fenced block, else None."""
    lines = _lines(docstring)
    for number, line in enumerate(lines):
        if _EXAMPLE_SECTION.fullmatch(line):
            text = _indented_text(lines[number + 1 :])
            if text:
                return text
    fenced = _FENCED_BLOCK.search("\n".join(lines))
    return fenced.group() if fenced else None


def _lines(docstring: str | None) -> list[str]:
    return inspect.cleandoc(docstring).splitlines() if docstring else []


def _indented_text(lines: list[str]) -> str:
    body: list[str] = []
    for line in lines:
        if line and not line[0].isspace():
            break
        body.append(line)
    return dedent("\n".join(body)).strip("\n")
