"""A check is one sentence of the contract, its docstring, which its failure repeats."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import anyio
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infrablocks.testing._capability import Capability
    from infrablocks.testing._kit import Kit

Check = TypeVar("Check", bound="Callable[..., Any]")


class ContractBroken(Exception):
    """What a check has found that is not as the contract says."""


def expect(holds: object, found: str) -> None:
    """Go on if something holds.

    Args:
        holds: Taken as true or false.
        found: What was found instead.

    Raises:
        ContractBroken: It does not hold.
    """
    if not holds:
        raise ContractBroken(found)


def expect_equal(found: object, expected: object, what: str) -> None:
    """Go on if two values are equal.

    Args:
        found: What there is.
        expected: What there should be.
        what: What it is, for the message.

    Raises:
        ContractBroken: They differ.
    """
    expect(found == expected, f"{what}\n  is        {found!r}\n  should be {expected!r}")


def contract(*needs: Capability) -> Callable[[Check], Check]:
    """Make a check of a method, whose docstring is the sentence of the contract.

    An asynchronous check runs on each event loop, and fails when it takes longer than `Kit.seconds_per_check`.

    Args:
        needs: The capabilities without which it is skipped.
    """

    def decorated(function: Check) -> Check:
        sentence = " ".join((inspect.getdoc(function) or "").split())

        @wraps(function)
        def check(self: Kit, *args: Any, **kwargs: Any) -> None:
            self.skip_without(needs)
            with _told(sentence):
                function(self, *args, **kwargs)

        @wraps(function)
        async def check_in_loop(self: Kit, *args: Any, **kwargs: Any) -> None:
            self.skip_without(needs)
            with _told(sentence), anyio.fail_after(self.seconds_per_check):
                await function(self, *args, **kwargs)

        if inspect.iscoroutinefunction(function):
            return cast("Check", pytest.mark.anyio(check_in_loop))
        return cast("Check", check)

    return decorated


@contextmanager
def _told(sentence: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 (whatever a back end raises breaks the contract)
        _fail(sentence, _cause(error))


def _fail(sentence: str, error: BaseException) -> NoReturn:
    if isinstance(error, ContractBroken):
        raise pytest.fail.Exception(f"{sentence}\n\n{error}", pytrace=False) from None
    problem = str(error) or "(no message)"
    text = f"{sentence}\n\n{type(error).__name__} was raised: {problem}"
    if isinstance(error, TimeoutError):
        text += "\nIt took too long; something in the back end does not come to its end."
    raise pytest.fail.Exception(text, pytrace=True) from error


def _cause(error: BaseException) -> BaseException:
    """Take the first finding out of the groups that task groups make, or else the first error."""
    errors = list(_unpacked(error))
    return next((one for one in errors if isinstance(one, ContractBroken)), errors[0])


def _unpacked(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _unpacked(part)
    else:
        yield error
