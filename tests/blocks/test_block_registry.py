"""The registry: every class by its slug, those of installed packages included."""

from __future__ import annotations

import importlib
import sys
import textwrap
import threading
import types
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import pytest
from hypothesis import given, settings, strategies as st
from slugify import slugify

from infrablocks.blocks import Block, get_block_class, list_block_types
from infrablocks.blocks.slugs import slug_of
from infrablocks.exceptions import BlockNotFound

if TYPE_CHECKING:
    from pathlib import Path

    from _pytest.monkeypatch import MonkeyPatch

T = TypeVar("T")


@settings(deadline=None)  # the first odd name imports python-slugify
@given(
    st.text(st.sampled_from("abcXYZ019 _-"), max_size=20) | st.sampled_from(["Café", "a'b", "1,000", "&amp;", "日本"])
)
def test_slugs_are_those_of_python_slugify(name: str) -> None:
    """The short cut for plain names gives what python-slugify gives."""
    assert slug_of(name) == slugify(name)


def define(module: str, name: str, slug: str) -> type[Block]:
    """Define a block class as if it stood at the top of a module."""
    namespace = {"__module__": module, "__qualname__": name, "_block_type_slug": slug}
    return cast("type[Block]", types.new_class(name, (Block,), None, lambda body: body.update(namespace)))


def test_a_class_is_found_when_it_is_defined() -> None:
    """A subclass needs no registration, and neither does a subclass of it."""
    first = define("registry_tests", "First", "registry-first")
    assert get_block_class("registry-first") is first
    assert "registry-first" in list_block_types()


def test_abstract_and_generic_classes_are_not_registered() -> None:
    """What nobody can make is not found; what is made of it is."""

    class RegistryAbstract(Block):
        @abstractmethod
        def run(self) -> None: ...

    class RegistryInterface(Block, ABC):
        pass

    class RegistryConcrete(RegistryAbstract, RegistryInterface):
        def run(self) -> None: ...

    class RegistryGeneric(Block, Generic[T]):
        content: T

    parametrized = RegistryGeneric[int]
    known = [slug for slug in list_block_types() if slug.startswith("registry")]
    assert {"registryconcrete", "registrygeneric"} <= set(known)
    assert not {"block", "registryabstract", "registryinterface", "registrygeneric-int"} & set(known)
    assert get_block_class("registryconcrete") is RegistryConcrete
    assert get_block_class("registrygeneric") is RegistryGeneric is not parametrized


def test_unknown_slug_lists_what_there_is() -> None:
    """The error names the slug, similar ones, and all."""
    define("registry_tests", "Quux", "quux-zyx")
    with pytest.raises(BlockNotFound) as caught:
        get_block_class("quux-zx")
    known = ", ".join(list_block_types())
    assert str(caught.value) == (f'there is no block type "quux-zx"; did you mean quux-zyx? known block types: {known}')


def test_the_slug_of_another_module_is_refused() -> None:
    """Two packages cannot both have a slug; the first keeps it."""
    first = define("registry_one", "Same", "registry-same")
    with pytest.raises(TypeError) as caught:
        define("registry_two", "Other", "registry-same")
    assert str(caught.value) == (
        'two block classes have the slug "registry-same": registry_one.Same and registry_two.Other; '
        "give one of them another _block_type_slug"
    )
    assert get_block_class("registry-same") is first


def test_two_classes_of_one_module_with_the_same_slug_are_refused() -> None:
    """A slug that was copied along with a class is noticed."""
    define("registry_copy", "One", "registry-copy")
    with pytest.raises(TypeError, match=r"registry_copy\.One and registry_copy\.Two"):
        define("registry_copy", "Two", "registry-copy")


def test_redefinition_replaces() -> None:
    """A cell of a notebook can be run again, also under another name, and so can a function that defines a class."""
    define("registry_again", "Again", "registry-again")
    again = define("registry_again", "Again", "registry-again")
    assert get_block_class("registry-again") is again
    define("__main__", "Cell", "registry-cell")
    renamed = define("__main__", "Renamed", "registry-cell")
    assert get_block_class("registry-cell") is renamed
    define("registry_again", "f.<locals>.A", "registry-local")
    local = define("registry_again", "g.<locals>.B", "registry-local")
    assert get_block_class("registry-local") is local


def test_class_without_slug_is_refused() -> None:
    """A name without letters and digits gives no slug."""
    with pytest.raises(TypeError, match=r"registry_tests\._ has no slug; give it a _block_type_slug"):
        define("registry_tests", "_", "")


def test_reload_replaces(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    """`importlib.reload` of a module gives its new classes."""
    monkeypatch.syspath_prepend(tmp_path)
    source = "from infrablocks.blocks import Block\nclass A(Block):\n    _block_type_slug = 'registry-reloaded'\n"
    (tmp_path / "registry_reloaded.py").write_text(source)
    module = importlib.import_module("registry_reloaded")
    old = module.A
    assert get_block_class("registry-reloaded") is old
    importlib.reload(module)
    assert get_block_class("registry-reloaded") is module.A is not old


def install(folder: Path, package: str, source: str, entry_points: dict[str, str]) -> None:
    """Make an installed package: one module and its metadata."""
    folder.mkdir(exist_ok=True)
    (folder / f"{package}.py").write_text(textwrap.dedent(source))
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = "\n".join(f"{name} = {value}" for name, value in entry_points.items())
    (metadata / "entry_points.txt").write_text(f"[infrablocks.blocks]\n{lines}\n")


def test_class_of_an_installed_package(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    """A package's class is listed without importing it, and imported when it is asked for."""
    source = """
        from infrablocks.blocks import Block
        class Installed(Block):
            _block_type_slug = "registry-installed"
    """
    install(tmp_path / "site", "registry_installed", source, {"registry-installed": "registry_installed:Installed"})
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert "registry-installed" in list_block_types()
    assert "registry_installed" not in sys.modules
    found = get_block_class("registry-installed")
    assert found is sys.modules["registry_installed"].Installed
    assert found is get_block_class("registry-installed")


@pytest.mark.parametrize(
    ("package", "source", "value", "message", "cause"),
    [
        (
            "registry_broken",
            "import there_is_no_such_module",
            "registry_broken:A",
            "failed with ModuleNotFoundError: No module named 'there_is_no_such_module'",
            ModuleNotFoundError,
        ),
        (
            "registry_raising",
            "1 / 0",
            "registry_raising:A",
            "failed with ZeroDivisionError: division by zero",
            ArithmeticError,
        ),
        (
            "registry_lacking",
            "",
            "registry_lacking:A",
            "failed with AttributeError: module 'registry_lacking' has no attribute 'A'",
            AttributeError,
        ),
        ("registry_other", "A = 1", "registry_other:A", "is no block class with that slug", type(None)),
    ],
)
def test_package_that_cannot_be_used(
    tmp_path: Path, monkeypatch: MonkeyPatch, *, package: str, source: str, value: str, message: str, cause: type
) -> None:
    """The error names the entry point and its package, and has the import's error as its cause."""
    slug = package.replace("_", "-")
    install(tmp_path / "site", package, source, {slug: value})
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(BlockNotFound) as caught:
        get_block_class(slug)
    assert str(caught.value) == (
        f'the block type "{slug}" cannot be loaded: the entry point {slug} = {value} of {package} {message}'
    )
    assert isinstance(caught.value.__cause__, cause)


def test_two_packages_that_offer_the_same_slug(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    """Which one is meant cannot be told, so that neither is imported."""
    for package in ("registry_left", "registry_right"):
        install(tmp_path / package, package, "1 / 0", {"registry-rivals": f"{package}:A"})
        monkeypatch.syspath_prepend(tmp_path / package)
    with pytest.raises(BlockNotFound, match='several packages offer the block type "registry-rivals"') as caught:
        get_block_class("registry-rivals")
    assert "registry_left" in str(caught.value)
    assert "registry_right" in str(caught.value)


def test_many_threads_wait_for_one_import(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    """60 first look-ups at once all get the same class, of a module that is wholly imported."""
    source = """
        import time
        from infrablocks.blocks import Block
        class Slow(Block):
            _block_type_slug = "registry-slow"
        time.sleep(0.3)
        READY = True
    """
    install(tmp_path / "site", "registry_slow", source, {"registry-slow": "registry_slow:Slow"})
    monkeypatch.syspath_prepend(tmp_path / "site")
    start = threading.Barrier(60)

    def look_up(number: int) -> tuple[type[Block], bool]:
        start.wait()
        if number % 2:
            threading.Event().wait(0.1)  # in the middle of the import, when the class is registered already
        found = get_block_class("registry-slow")
        return found, hasattr(sys.modules["registry_slow"], "READY")

    with ThreadPoolExecutor(60) as threads:
        results = set(threads.map(look_up, range(60)))
    assert results == {(sys.modules["registry_slow"].Slow, True)}


def test_classes_defined_in_many_threads_while_others_look_up() -> None:
    """Defining and listing at the same time neither fails nor loses a class."""

    def define_and_list(number: int) -> int:
        define("registry_threads", f"Class{number}", f"registry-thread-{number}")
        return len(list_block_types())

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(define_and_list, range(200)))
    assert {f"registry-thread-{number}" for number in range(200)} <= set(list_block_types())


def test_our_own_process_is_found() -> None:
    """`process` is offered by this distribution's own entry point."""
    assert get_block_class("process").__name__ == "Process"
