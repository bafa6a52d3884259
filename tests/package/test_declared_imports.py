"""infrablocks declares each package that it imports: none is there only because another dependency needs it."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/infrablocks"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Who calls these modules has these packages, or is told how to install them.
EXTRAS_BY_MODULE = {
    "cli/": "cli",
    "blocks/stores/prefect_client.py": "prefect",
    "blocks/stores/encryption.py": "secrets",
}
PACKAGES_OF_THE_CALLER = {"testing/": {"pytest"}, "_threads.py": {"trio"}}


def normalized(name: str) -> str:
    """Write the name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names_of(requirements: list[str]) -> set[str]:
    """Take the names out of requirements."""
    return {normalized(re.split(r"[^\w.-]", requirement, maxsplit=1)[0]) for requirement in requirements}


def declared_for(module: str) -> set[str]:
    """Return the distributions that a module of the library may import."""
    declared = names_of(PROJECT["dependencies"])
    for place, extra in EXTRAS_BY_MODULE.items():
        if module.startswith(place):
            declared |= names_of(PROJECT["optional-dependencies"][extra])
    for place, packages in PACKAGES_OF_THE_CALLER.items():
        if module.startswith(place):
            declared |= packages
    return declared


def imported_packages(code: str) -> Iterator[str]:
    """Find the top-level packages that a module imports, but for the standard library and infrablocks itself."""
    for node in ast.walk(ast.parse(code)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            argument = node.args[0]
            names = [argument.value] if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else []
        yield from {name.split(".")[0] for name in names} - {"infrablocks"} - sys.stdlib_module_names


def distributions_of(package: str) -> set[str]:
    """Name the installed distributions that a package belongs to."""
    return {normalized(name) for name in owners().get(package, [package])}


@cache
def owners() -> Mapping[str, list[str]]:
    """Read which distributions each installed package belongs to; this takes a while."""
    return metadata.packages_distributions()


def undeclared(module: str, code: str) -> set[str]:
    """Name the packages that a module imports although infrablocks does not declare them for it."""
    declared = declared_for(module)
    return {name for name in imported_packages(code) if not declared & distributions_of(name)}


def test_each_import_is_declared() -> None:
    """Each module imports the standard library, infrablocks, and what pyproject.toml declares for it."""
    modules = {path.relative_to(SOURCE).as_posix(): path for path in SOURCE.rglob("*.py")}
    assert "base.py" in modules
    found = {name: undeclared(name, path.read_text(encoding="utf-8")) for name, path in modules.items()}
    assert {name: packages for name, packages in found.items() if packages} == {}


@pytest.mark.parametrize(
    ("module", "code", "expected"),
    [
        ("base.py", "import certifi.core", {"certifi"}),
        ("base.py", "def f():\n    from idna import encode", {"idna"}),
        ("base.py", "from importlib import import_module\nimport_module('websocket')", {"websocket"}),
        ("base.py", "import typer", {"typer"}),
        ("cli/app.py", "import typer, yaml, httpx", {"httpx"}),
        ("blocks/stores/encryption.py", "from cryptography.fernet import Fernet", set()),
        ("blocks/stores/sqlite.py", "from cryptography.fernet import Fernet", {"cryptography"}),
    ],
)
def test_an_undeclared_import_is_found(module: str, code: str, expected: set[str]) -> None:
    """An import is found wherever it stands, and an extra counts only for the modules that it is for."""
    assert undeclared(module, code) == expected


def test_each_extra_is_for_a_module() -> None:
    """The table above names each extra, and modules that are there."""
    assert set(EXTRAS_BY_MODULE.values()) == set(PROJECT["optional-dependencies"])
    for place in (*EXTRAS_BY_MODULE, *PACKAGES_OF_THE_CALLER):
        assert (SOURCE / place).exists(), place
