"""What Kubernetes makes of "$" in commands and in the values of variables, and how a text arrives as it is.

It puts the value of a variable in place of `$(NAME)`, and one "$" in place of two, wherever they stand.
https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from __future__ import annotations

import re

_DOLLARS = re.compile(r"\$\$+(?!\$|\()")


def with_its_dollars(text: str) -> str:
    """Write a text so that its `$$` arrive, for instance in a shell; `$(NAME)` and `$$(NAME)` do their work."""
    return _DOLLARS.sub(lambda match: match[0] * 2, text)


def literal(text: str) -> str:
    """Write a text so that it arrives as it is."""
    return text.replace("$", "$$") if "$$" in text or "$(" in text else text
