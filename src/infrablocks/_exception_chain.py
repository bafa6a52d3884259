"""What an exception was made from, also where the libraries of HTTP keep that to themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def exception_chain(error: BaseException) -> Iterator[BaseException]:
    """Give an exception and all that it was made from, each once, the nearest first.

    Besides `__cause__` and `__context__`, requests keeps the reason in the arguments, and urllib3 there or in `reason`.
    """
    seen: list[BaseException] = []
    left = [error]
    while left:
        each = left.pop(0)
        if any(each is other for other in seen):
            continue
        seen.append(each)
        yield each
        inner = (*each.args, getattr(each, "reason", None), each.__cause__, each.__context__)
        left.extend(item for item in inner if isinstance(item, BaseException))
