"""Amounts of a resource.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, StrictFloat, StrictInt

_QUANTITY = re.compile(
    r"\+?(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE](?P<exponent>[+-]?[0-9]{1,3})|(?P<suffix>[KMGTPE]i|[numkMGTPE]))?"
)
_UNITS = {
    "": Fraction(1),
    **{suffix: Fraction(1000) ** power for suffix, power in zip("num", (-3, -2, -1), strict=True)},
    **{suffix: Fraction(1000) ** power for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Fraction(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}


def amount(quantity: str | float) -> Fraction:
    """Give a quantity as a number.

    Raises:
        ValueError: It is none.
    """
    match = _QUANTITY.fullmatch(str(quantity))
    if match is None:
        raise ValueError(
            f"{quantity!r} is not a quantity: a number from 0, or one with a unit, such as '500m' for half a "
            "processor, or '512Mi' for so many bytes"
        )
    return Fraction(match["number"]) * Fraction(10) ** int(match["exponent"] or 0) * _UNITS[match["suffix"] or ""]


def check_limit(name: str, request: str | float | None, limit: str | float | None) -> None:
    """Check that there may be as much of a resource as there must be.

    Args:
        name: The resource, "cpu" or "memory".
        request: How much there must be.
        limit: How much there may be.

    Raises:
        ValueError: The request is larger.
    """
    if request is not None and limit is not None and amount(request) > amount(limit):
        raise ValueError(f"{name}_request={request!r} is more than {name}_limit={limit!r}")


def is_in_thousandths_of_bytes(memory: str | float | None) -> bool:
    """Say whether an amount of memory ends with "m", the unit of processors: hardly what is meant."""
    return isinstance(memory, str) and memory.endswith("m")


def _checked(quantity: str | float) -> str | float:
    amount(quantity)
    return quantity


Quantity = Annotated[str | StrictInt | StrictFloat, AfterValidator(_checked)]
"""A number, or text such as "500m" or "512Mi"."""
