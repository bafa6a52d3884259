"""Secrets at rest: encrypted with the key that `INFRABLOCKS_SECRET_KEY` holds (Fernet, extra `secrets`)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from infrablocks._environment import SECRET_KEY
from infrablocks.exceptions import BlockStoreError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_VARIABLE = SECRET_KEY

NEW_KEY = "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
"""A command that makes a key."""


def encrypted(text: str) -> bytes | None:
    """Encrypt a text; None when there is no key.

    Raises:
        BlockStoreError: The key is none, or the extra is missing.
    """
    key = os.environ.get(KEY_VARIABLE)
    return _fernet(key).encrypt(text.encode()) if key else None


def decrypted(token: bytes) -> str:
    """Decrypt a text.

    Raises:
        BlockStoreError: There is no key, it is another one, or the extra is missing.
    """
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        raise BlockStoreError(f"its secrets are encrypted: set {KEY_VARIABLE} to the key they were saved with")
    fernet = _fernet(key)
    from cryptography.fernet import InvalidToken  # noqa: PLC0415 - an extra

    try:
        return fernet.decrypt(token).decode()
    except InvalidToken as error:
        raise BlockStoreError(
            f"its secrets cannot be decrypted: {KEY_VARIABLE} is not the key they were saved with"
        ) from error


def _fernet(key: str) -> Fernet:
    try:
        from cryptography.fernet import Fernet  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise BlockStoreError(
            f"{KEY_VARIABLE} is set, and encryption needs another package: pip install 'infrablocks[secrets]'"
        ) from error
    try:
        return Fernet(key)
    except ValueError:  # whose text may hold the key
        raise BlockStoreError(f"{KEY_VARIABLE} is not a Fernet key; make one with: {NEW_KEY}") from None
