"""References of images, by the grammar that all engines share (distribution/reference, OCI).

`[registry[:port]/]path[:tag][@digest]`
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

DOCKER_HUB = "docker.io"
_OLD_DOCKER_HUB = "index.docker.io"
_OFFICIAL = "library/"
_LONGEST_PATH = 255
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}

_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_PATH = re.compile(r"(?:[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_IMAGE_ID = re.compile(r"[a-f0-9]{64}")


@dataclass(frozen=True)
class ImageReference:
    """A parsed reference. Two are equal when they name the same image, however they were written.

    Attributes:
        domain: The registry, with its port; `docker.io` when none was given.
        path: The repository in the registry; `library/busybox` for `busybox`.
        tag: None when none was given.
        digest: `sha256:…`, None when none was given.
        text: The reference as it was written, which `str` gives; engines that know short names of their own (Podman)
            see no more and no less than the user wrote.
    """

    domain: str
    path: str
    tag: str | None = None
    digest: str | None = None
    text: str = field(default="", compare=False)

    @property
    def normalized_name(self) -> str:
        """Registry and path, both always there: `docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def name(self) -> str:
        """Registry and path without what Docker fills in: `busybox`, `localhost:5000/a`."""
        for short in (self.path.removeprefix(_OFFICIAL), self.path):
            # A short form must not read as something else, as that of `docker.io/a.b/c` would.
            if _split_domain(short) == (self.domain, self.path) and not _IMAGE_ID.fullmatch(short):
                return short
        return self.normalized_name

    @property
    def familiar(self) -> str:
        """The shortest form: `busybox:1.36`."""
        return self.name + self._suffix(self.tag)

    @property
    def normalized(self) -> str:
        """The full form, tag `latest` filled in where there is neither tag nor digest."""
        default = None if self.digest else "latest"
        return self.normalized_name + self._suffix(self.tag or default)

    @property
    def is_latest(self) -> bool:
        """Whether it means whatever is newest: no digest, and no tag but `latest`."""
        return self.digest is None and self.tag in {None, "latest"}

    def _suffix(self, tag: str | None) -> str:
        return (f":{tag}" if tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.text or self.familiar


def parse_reference(text: str) -> ImageReference:
    """Parse the reference of an image.

    Raises:
        ValueError: It is malformed; the message has the reference and the reason.
    """
    try:
        return _parse(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not the reference of an image: {error}") from None


def is_domain(text: str) -> bool:
    """Say whether this is a host of a registry, with or without a port."""
    return _DOMAIN.fullmatch(text) is not None


def _parse(text: str) -> ImageReference:
    if not text:
        raise ValueError("it is empty")
    if "://" in text:
        raise ValueError("leave out the scheme; a registry is written without one")
    if _IMAGE_ID.fullmatch(text):
        raise ValueError("64 hexadecimal digits are the id of an image; write 'sha256:' before it")
    named, has_digest, digest = text.partition("@")
    above, slash, last = named.rpartition("/")
    last, has_tag, tag = last.partition(":")
    domain, path = _split_domain(above + slash + last)
    _check_domain(domain)
    _check_path(path)
    if has_tag:
        _check_tag(tag)
    if has_digest:
        _check_digest(digest)
    return ImageReference(domain, path, tag if has_tag else None, digest if has_digest else None, text)


def _split_domain(name: str) -> tuple[str, str]:
    """Split a name where Docker does: the first component is a registry if it could not be one of a path."""
    first, slash, rest = name.partition("/")
    if not slash or not (first == "localhost" or any(mark in first for mark in ".:") or first != first.lower()):
        first, rest = DOCKER_HUB, name
    if first in {DOCKER_HUB, _OLD_DOCKER_HUB}:
        return DOCKER_HUB, rest if "/" in rest else _OFFICIAL + rest
    return first, rest


def _check_domain(domain: str) -> None:
    if not is_domain(domain):
        raise ValueError(f"{domain!r} is no host of a registry")


def _check_path(path: str) -> None:
    if path.lower() != path:
        raise ValueError(f"the name {path.removeprefix(_OFFICIAL)!r} must be in lower case")
    if not _PATH.fullmatch(path):
        raise ValueError(
            f"the name {path.removeprefix(_OFFICIAL)!r} may have letters and digits, between these '.', '_', '__' and "
            "dashes, and '/' between its parts"
        )
    if len(path) > _LONGEST_PATH:
        raise ValueError(f"the name has {len(path)} characters, {_LONGEST_PATH} are allowed")


def _check_tag(tag: str) -> None:
    if not _TAG.fullmatch(tag):
        raise ValueError(
            f"the tag {tag!r} must have 1 to 128 letters, digits, '_', '.' and '-', and not begin with '.' or '-'"
        )


def _check_digest(digest: str) -> None:
    algorithm, _, code = digest.partition(":")
    length = _DIGEST_LENGTHS.get(algorithm)
    if length is None:
        raise ValueError(f"the digest {digest!r} must begin with one of {', '.join(_DIGEST_LENGTHS)} and ':'")
    if not re.fullmatch(rf"[a-f0-9]{{{length}}}", code):
        raise ValueError(f"the digest {digest!r} must have {length} hexadecimal digits in lower case")
