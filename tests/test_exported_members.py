"""What is public is what `__all__` says."""

import importlib
from types import ModuleType

import pytest

import infrablocks
from infrablocks import exceptions


@pytest.mark.parametrize(
    "name",
    [
        "infrablocks",
        "infrablocks.base",
        "infrablocks.blocks",
        "infrablocks.docker",
        "infrablocks.kubernetes",
        "infrablocks.process",
    ],
)
def test_every_exported_name_exists_once(name: str) -> None:
    """Each name in `__all__` can be imported, also one that is only loaded on first use."""
    module = importlib.import_module(name)
    assert len(module.__all__) == len(set(module.__all__))
    assert [member for member in module.__all__ if not hasattr(module, member)] == []


def test_every_public_name_is_exported() -> None:
    """The top of the package has no public name that `__all__` lacks, but for its own modules."""
    public = {
        name
        for name, value in vars(infrablocks).items()
        if not name.startswith("_") and name != "TYPE_CHECKING" and not isinstance(value, ModuleType)
    }
    assert public <= set(infrablocks.__all__)


def test_every_error_is_exported() -> None:
    """Whoever catches an error of the library can import it from the top."""
    errors = {name for name, value in vars(exceptions).items() if isinstance(value, type)}
    assert errors <= set(infrablocks.__all__)


def test_exported_names_are_sorted() -> None:
    """A name is found where the alphabet has it: constants, then classes, then functions."""
    kinds = [(not name.isupper(), not name[0].isupper(), name) for name in infrablocks.__all__]
    assert kinds == sorted(kinds)
