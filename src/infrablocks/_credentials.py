"""Credentials as headers of HTTP carry them. No error here shows a value."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from infrablocks._environment import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable

# A shorter one may be a part of any word.
_SHORTEST_MASKED: Final = 6
_NO_TOKEN_CHARACTER: Final = re.compile(r"[^\x20-\x7e]")


def bearer_token(value: object, name: str) -> str:
    """Give a token without the whitespace around it, such as the newline at the end of a file.

    Args:
        value: The token.
        name: Names the token in messages.

    Raises:
        ValueError: It is empty, or holds a character that no token has; the message names it and does not show it.
    """
    token = checked_text(value, name).strip()
    if not token:
        raise ValueError(f"{name} holds nothing but whitespace")
    if found := _NO_TOKEN_CHARACTER.search(token):
        raise ValueError(
            f"{name} holds, as character {found.start() + 1} of {len(token)}, a line break, another control character "
            "or one that is not ASCII, which no token has"
        )
    return token


def basic_authorization(user_and_password: str) -> str:
    """Give the header `Authorization` for a user and a password, with a colon between them, in UTF-8.

    https://www.rfc-editor.org/rfc/rfc7617
    """
    # Variables of the environment may hold bytes that are not UTF-8.
    return f"Basic {base64.b64encode(user_and_password.encode(errors='surrogateescape')).decode()}"


def checked_text(value: object, name: str) -> str:
    """Give back a value that is text.

    Raises:
        ValueError: It is not; the message names it and its type.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name} is of the type {type(value).__name__} and not text: put it in quotes")  # noqa: TRY004
    return value


def without_credentials(answer: str, credentials: Iterable[str]) -> str:
    """Mask the credentials of a request in its answer: a proxy or a webhook may repeat what it was sent.

    Args:
        answer: What is going to be shown.
        credentials: The values of headers, without the word for their kind.
    """
    for credential in credentials:
        if len(credential) >= _SHORTEST_MASKED:
            answer = answer.replace(credential, MASK)
    return answer
