"""What is read out of the annotations of fields."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Optional, Union

import pytest
from pydantic import Field, SecretStr

from infrablocks.blocks.annotations import alternatives, has_text_keys, is_mapping_of_text, item_annotation


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, [int]),
        (int | None, [int, type(None)]),
        (Optional[Union[int, Annotated[str | bytes, Field()]]], [int, str, bytes, type(None)]),  # noqa: UP007, UP045
        (list[int | str], [list[int | str]]),
        (Literal["a", "b"], [Literal["a", "b"]]),
        (None, [None]),
    ],
)
def test_alternatives(annotation: Any, expected: list[Any]) -> None:
    """Unions are taken apart at any depth, and nothing else is."""
    assert list(alternatives(annotation)) == expected


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (list[int], int),
        (tuple[int, ...], int),
        (tuple[int, str], int | str),
        (dict[str, bytes], bytes),
        (list[int] | dict[str, bytes] | None, int | bytes),
        (Counter[str], None),
        (list, None),
        (int, None),
        (Callable[[int], str], None),
        (Literal["a"], None),
        (type[int], None),
        (Any, None),
        (None, None),
    ],
)
def test_item_annotation(annotation: Any, expected: Any) -> None:
    """The items of lists and the values of mappings are what collections hold; other types hold nothing."""
    assert item_annotation(annotation) == expected


@pytest.mark.parametrize(
    ("annotation", "of_text", "text_keys"),
    [
        (dict[str, str], True, True),
        (Mapping[str, str | SecretStr | None] | None, True, True),
        (OrderedDict[int, Annotated[str, Field()]], True, False),
        (dict[str, None], False, True),
        (dict[str, int | str], False, True),
        (dict[str, Any], False, True),
        (dict[Any, Any], False, True),
        (dict[str, str] | dict[str, int], False, True),
        (dict[int, int], False, False),
        (Counter[str], False, True),
        (dict, False, True),
        (list[str], False, True),
        (None, False, True),
    ],
)
def test_mappings(annotation: Any, *, of_text: bool, text_keys: bool) -> None:
    """A mapping that takes only text is told from others, and one whose keys are no text too."""
    assert (is_mapping_of_text(annotation), has_text_keys(annotation)) == (of_text, text_keys)
