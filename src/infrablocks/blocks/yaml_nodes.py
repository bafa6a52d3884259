"""YAML text as PyYAML's nodes, which know their lines; nothing is constructed before it is asked for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import yaml
from yaml.constructor import SafeConstructor

if TYPE_CHECKING:
    from collections.abc import Iterator

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# For `!!bool x`, `!!timestamp x` and `!!int ""` PyYAML lets errors of Python through.
LOAD_ERRORS = (yaml.YAMLError, ValueError, LookupError, AttributeError)
"""What PyYAML raises for a text that is no YAML, or for a value that does not fit its tag. They may quote the text."""

NULL_TAG = "tag:yaml.org,2002:null"
STRING_TAG = "tag:yaml.org,2002:str"
_MERGE_TAG = "tag:yaml.org,2002:merge"
_KNOWN_TAGS = frozenset(
    {
        f"tag:yaml.org,2002:{name}"
        for name in ("null", "bool", "int", "float", "str", "binary", "timestamp", "map", "seq")
    }
    | {_MERGE_TAG, "tag:yaml.org,2002:value"}
)

_DEEPEST = 100
_TOO_DEEP = f"nested more than {_DEEPEST} levels deep"
_MOST_REPEATED_NODES = 10_000


class NodeError(Exception):
    """A node, or the whole text, cannot be used."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem


class EndlessError(NodeError):
    """The text is small, and what it stands for is not; reading must stop."""


def line_of(node: yaml.Node | yaml.Event) -> int:
    """Give the line where a node or an event begins, counted from 1."""
    return node.start_mark.line + 1 if node.start_mark else 1


def compose(text: str) -> yaml.Node | None:
    """Parse a text that holds one YAML document.

    Args:
        text: The text.

    Returns:
        The root node; None when there is nothing in the text.

    Raises:
        NodeError: The text is not YAML, is nested too deeply, or has several documents.
    """
    unprintable = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if unprintable:
        line = text.count("\n", 0, unprintable.start()) + 1
        raise NodeError(line, f"the character U+{ord(unprintable.group()):04X} is not allowed in YAML")
    try:
        _check_depth(text)
        node: yaml.Node | None = yaml.compose(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        raise NodeError(_error_line(error), _error_text(error)) from None
    return node


def scalar_value(node: yaml.Node) -> Any:
    """Give the value of a scalar by YAML's rules: text, a number, a boolean, a date or None.

    Raises:
        NodeError: It looks like a date or a number, but is none.
    """
    if node.tag == STRING_TAG:
        return node.value
    try:
        return SafeConstructor().construct_object(node)
    except LOAD_ERRORS:
        kind = node.tag.rpartition(":")[2]
        raise NodeError(
            line_of(node), f"looks like a value of the type {kind}, but is not one; put text in quotes"
        ) from None


class Walk:
    """One walk over a tree; it refuses aliases that make a small text endless."""

    def __init__(self) -> None:
        self._around: set[int] = set()
        self._seen: set[int] = set()
        self._repeated = 0

    @contextmanager
    def inside(self, node: yaml.Node) -> Iterator[None]:
        """Visit a node.

        Raises:
            EndlessError: Aliases have repeated too many nodes.
            NodeError: The node is inside of itself, or its tag is not one of plain data.
        """
        if node.tag not in _KNOWN_TAGS:
            raise NodeError(line_of(node), 'a tag (!…) is not allowed here; put a value that begins with "!" in quotes')
        if id(node) in self._around:
            raise NodeError(line_of(node), "an alias (*…) refers to the value that it stands in")
        self._repeated += id(node) in self._seen
        if self._repeated > _MOST_REPEATED_NODES:
            raise EndlessError(line_of(node), f"aliases (*…) repeat more than {_MOST_REPEATED_NODES} values")
        self._seen.add(id(node))
        self._around.add(id(node))
        try:
            yield
        finally:
            self._around.discard(id(node))


def pairs_of(node: yaml.MappingNode, walk: Walk) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    """Give keys and values of a mapping, those of merge keys (`<<`) last, as they give way to the others.

    Raises:
        NodeError: A key is no plain value, or a merge key has no mapping.
    """
    merged: list[yaml.Node] = []
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise NodeError(line_of(key), "a key must be a plain value, not a mapping or a list")
        if key.tag == _MERGE_TAG:
            merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
        else:
            yield key, value
    for other in merged:
        if not isinstance(other, yaml.MappingNode):
            raise NodeError(line_of(other), "a merge key (<<) takes a mapping or a list of mappings")
        with walk.inside(other):
            yield from pairs_of(other, walk)


def _check_depth(text: str) -> None:
    # Composing is recursive, in C as well; going through the events is not.
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise NodeError(line_of(event), _TOO_DEEP)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _error_line(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 1


def _error_text(error: yaml.MarkedYAMLError) -> str:
    if isinstance(error, yaml.composer.ComposerError) and "alias" in (error.problem or ""):
        # The name of the alias may be a secret that begins with an asterisk.
        return 'an alias (*…) has no anchor; put a value that begins with "*" in quotes'
    if "nesting depth" in (error.problem or ""):
        # libyaml has a limit of its own since 0.2.6, of 1,000, which it may meet before it tells of the levels.
        return _TOO_DEEP
    text = ", ".join(part for part in (error.context, error.problem) if part)
    hint = '; put a value that begins with "*" in quotes' if "alias" in text else ""
    return f"not valid YAML: {text}{hint}"
