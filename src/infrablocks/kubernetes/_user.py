"""What the user of a kubeconfig says about credentials and impersonation, checked, as headers carry it.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from infrablocks._credentials import basic_authorization, bearer_token, checked_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_EMPTY: Mapping[str, object] = {"as-groups": [], "as-user-extra": {}}
_WITHOUT_USER = ("as-uid", "as-groups", "as-user-extra")
# A header's value may hold a tab.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# https://www.rfc-editor.org/rfc/rfc9110#name-tokens, without the percent sign, which begins what is encoded.
_ENCODED_IN_NAME = re.compile(rb"[^!#$&'*+\-.^_`|~0-9A-Za-z]")


def check_user(user: Mapping[str, Any]) -> None:
    """Refuse credentials and impersonation that no request can carry.

    Args:
        user: The user's entry in a kubeconfig.

    Raises:
        ValueError: They cannot be sent; the message names the field and shows no value.
    """
    if is_given(user, "token"):
        bearer_token(user["token"], "token")
    basic_credentials(user)
    impersonation_headers(user)


def is_given(user: Mapping[str, Any], field: str) -> bool:
    """Say whether a field has a value: what kubectl leaves out is none, a zero or `false` of YAML is one."""
    return user.get(field) not in (None, _EMPTY.get(field, ""))


def basic_credentials(user: Mapping[str, Any]) -> str | None:
    """Give the header `Authorization` for a user who has a name and a password; None: they do not.

    Raises:
        ValueError: One of them is not text.
    """
    if user.get("username") is None or user.get("password") is None:
        return None
    name, password = (checked_text(user[field], field) for field in ("username", "password"))
    return basic_authorization(f"{name}:{password}")


def impersonation_headers(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Give the headers by which a user acts as another one, as kubectl sends them; a name may be there several times.

    Args:
        user: The user's entry in a kubeconfig: `as`, `as-uid`, `as-groups`, `as-user-extra`.

    Raises:
        ValueError: They do not fit; the message names the field.
    """
    if not is_given(user, "as"):
        if alone := next((field for field in _WITHOUT_USER if is_given(user, field)), None):
            raise ValueError(f"{alone} is given without `as`: name the user to impersonate there")
        return ()
    headers = [("Impersonate-User", _value(user["as"], "as"))]
    if is_given(user, "as-uid"):
        headers.append(("Impersonate-Uid", _value(user["as-uid"], "as-uid")))
    headers += [("Impersonate-Group", group) for group in _values(user.get("as-groups"), "as-groups")]
    extra = user["as-user-extra"] if is_given(user, "as-user-extra") else {}
    if not isinstance(extra, dict):
        raise ValueError("as-user-extra is not a mapping of names to lists of texts")  # noqa: TRY004
    for key, values in extra.items():
        name = f"Impersonate-Extra-{_in_name(key)}"
        headers += [(name, value) for value in _values(values, f"as-user-extra.{key}")]
    return tuple(headers)


def _values(values: object, field: str) -> Iterator[str]:
    if values is not None and not isinstance(values, list):
        raise ValueError(f"{field} is not a list of texts")
    for number, value in enumerate(values or []):
        yield _value(value, f"{field}[{number}]")


def _value(value: object, field: str) -> str:
    text = checked_text(value, field)
    if not text.strip():
        # The server would take the header for none, and the call would be made with the rights of the user.
        raise ValueError(f"{field} holds nothing but whitespace")
    if _CONTROL.search(text):
        raise ValueError(f"{field} holds a line break or another control character, which no header can carry")
    try:
        # Headers are sent in Latin-1: this way the bytes that are sent are those of UTF-8, as with kubectl.
        return text.encode().decode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"{field} holds half of a surrogate pair, which is no text") from None


def _in_name(key: object) -> str:
    """Give the key of an extra field as the name of a header may hold it: the server takes it for lower case."""
    text = checked_text(key, "a name in as-user-extra").lower()
    if not text:
        raise ValueError("a name in as-user-extra is empty")
    try:
        return _ENCODED_IN_NAME.sub(lambda found: b"%%%02X" % ord(found[0]), text.encode()).decode()
    except UnicodeEncodeError:
        raise ValueError("a name in as-user-extra holds half of a surrogate pair, which is no text") from None
