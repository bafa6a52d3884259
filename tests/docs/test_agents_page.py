"""AGENTS.md is true to the repository."""

import ast
import re

import pytest

from tests.docs.snippets import ROOT, markdown_page

_TEXT = (ROOT / "AGENTS.md").read_text(encoding="utf-8")


def _paths() -> list[str]:
    """List the files and folders that the page names."""
    words = [word for code in re.findall(r"`([^`\n]+)`", _TEXT) for word in code.split()]
    words += [word for snippet in markdown_page(ROOT / "AGENTS.md").snippets for word in snippet.text.split()]
    top = {path.name for path in ROOT.iterdir()} - {".venv"}
    return sorted({word for word in words if word.partition("/")[0] in top})


def _sessions() -> list[str]:
    """List the sessions of nox that the page names, without the Python of each."""
    return sorted(set(re.findall(r"nox -s ([a-z_]+)", _TEXT)))


def _layers() -> list[str]:
    """List the modules of the page's layers."""
    (snippet,) = (each for each in markdown_page(ROOT / "AGENTS.md").snippets if each.text.startswith("cli | "))
    return re.findall(r"\w+", snippet.text)


def test_the_page_names_something() -> None:
    """Files, sessions and layers are found on the page, so that the tests below have something to check."""
    assert {"CONTRIBUTING.md", "src/infrablocks/_threads.py", "tests/docker_block"} <= set(_paths())
    assert {"lint", "package", "tests"} <= set(_sessions())
    assert {"base", "blocks", "exceptions"} <= set(_layers())


@pytest.mark.parametrize("path", _paths())
def test_each_file_is_there(path: str) -> None:
    """Each file and folder that the page names exists."""
    assert (ROOT / path).exists()


@pytest.mark.parametrize("session", _sessions())
def test_each_session_is_there(session: str) -> None:
    """Each session that the page names is one of noxfile.py."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    assert session in {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list}


@pytest.mark.parametrize("layer", _layers())
def test_each_layer_is_there(layer: str) -> None:
    """Each module of the layers exists."""
    folder = ROOT / "src/infrablocks"
    assert (folder / f"{layer}.py").exists() or (folder / layer / "__init__.py").exists()


def test_one_page() -> None:
    """The page stays one page: an agent reads all of it before each task."""
    assert len(_TEXT.splitlines()) <= 90
