"""Every public name has its place in the reference."""

import importlib
import re

import pytest

from tests.docs.snippets import ROOT

_ENTRY = re.compile(r"^::: (?P<path>infrablocks[\w.]*)$", re.MULTILINE)
_ENTRIES = {
    match["path"]
    for page in (ROOT / "docs/reference").glob("*.md")
    for match in _ENTRY.finditer(page.read_text(encoding="utf-8"))
}
_MODULES = "base blocks docker kubernetes process testing"


@pytest.mark.parametrize("module", ["infrablocks", *(f"infrablocks.{name}" for name in _MODULES.split())])
def test_each_public_name_has_an_entry(module: str) -> None:
    """What `__all__` of a module has is shown in the reference, by this path or by one that is the same object's."""
    documented = {path.rpartition(".")[2] for path in _ENTRIES}
    assert sorted(set(importlib.import_module(module).__all__) - documented) == []
