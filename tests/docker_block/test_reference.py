"""References of images: Docker's grammar, with its defaults, and what is wrong with a malformed one."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, strategies as st

from infrablocks.docker._reference import ImageReference, parse_reference

SHA256 = "sha256:" + "0f" * 32
SHA512 = "sha512:" + "0f" * 64

# The grammar once more, as the regular expressions of distribution/reference have it.
_PART = r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
GRAMMAR = re.compile(
    rf"(?:(?P<domain>{_HOST})/)?(?P<path>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}))?"
)


@pytest.mark.parametrize(
    ("text", "domain", "path", "tag", "digest", "familiar"),
    [
        ("busybox", "docker.io", "library/busybox", None, None, "busybox"),
        ("busybox:1.36", "docker.io", "library/busybox", "1.36", None, "busybox:1.36"),
        ("docker.io/busybox", "docker.io", "library/busybox", None, None, "busybox"),
        ("index.docker.io/a/b:1", "docker.io", "a/b", "1", None, "a/b:1"),
        ("docker.io/library/a/b", "docker.io", "library/a/b", None, None, "library/a/b"),
        ("prefecthq/prefect:3-python3.11", "docker.io", "prefecthq/prefect", "3-python3.11", None, None),
        ("localhost:5000/a:1", "localhost:5000", "a", "1", None, None),
        ("localhost:5000/a/b", "localhost:5000", "a/b", None, None, None),
        ("localhost/a", "localhost", "a", None, None, None),
        ("localhost:5000", "docker.io", "library/localhost", "5000", None, None),
        ("docker.io/localhost/a", "docker.io", "localhost/a", None, None, "docker.io/localhost/a"),
        ("Registry/a", "Registry", "a", None, None, None),
        ("registry.example.com/a__b-c.d", "registry.example.com", "a__b-c.d", None, None, None),
        ("[::1]:5000/a", "[::1]:5000", "a", None, None, None),
        ("[2001:db8::1]/a/b:tag", "[2001:db8::1]", "a/b", "tag", None, None),
        (f"a@{SHA256}", "docker.io", "library/a", None, SHA256, None),
        (f"a:1@{SHA256}", "docker.io", "library/a", "1", SHA256, None),
        (f"localhost:5000/a:1@{SHA512}", "localhost:5000", "a", "1", SHA512, None),
        (SHA256, "docker.io", "library/sha256", "0f" * 32, None, None),
        ("a:" + "t" * 128, "docker.io", "library/a", "t" * 128, None, None),
        ("a:_.-", "docker.io", "library/a", "_.-", None, None),
    ],
)
def test_parts(  # noqa: PLR0917 - the columns of the table
    text: str, domain: str, path: str, tag: str | None, digest: str | None, familiar: str | None
) -> None:
    """A reference is split where Docker splits it, and written again as it was."""
    reference = parse_reference(text)
    assert reference == ImageReference(domain, path, tag, digest)
    assert str(reference) == text
    assert reference.familiar == (familiar or text)
    assert parse_reference(reference.familiar) == reference


def test_normalized_form() -> None:
    """The normalized form has everything that Docker fills in; a digest makes a tag needless."""
    assert parse_reference("busybox").normalized == "docker.io/library/busybox:latest"
    assert parse_reference(f"a@{SHA256}").normalized == f"docker.io/library/a@{SHA256}"
    assert str(ImageReference("docker.io", "library/a", "1")) == "a:1"


@pytest.mark.parametrize(
    ("text", "latest"),
    [("a", True), ("a:latest", True), ("a:1", False), (f"a@{SHA256}", False), (f"a:latest@{SHA256}", False)],
)
def test_latest(text: str, latest: bool) -> None:
    """Without a digest, no tag means `latest`."""
    assert parse_reference(text).is_latest is latest


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("https://registry.example.com/a", "leave out the scheme"),
        ("A", "the name 'A' must be in lower case"),
        ("a/B:1", "the name 'a/B' must be in lower case"),
        ("a b", "the name 'a b' may have letters and digits"),
        (" a", "the name ' a' may have"),
        ("a\n", "the name 'a\\n' may have"),
        ("a//b", "the name 'a//b' may have"),
        ("a/", "the name 'a/' may have"),
        ("/a", "the name '/a' may have"),
        ("-a", "the name '-a' may have"),
        ("a..b", "the name 'a..b' may have"),
        ("ä", "the name 'ä' may have"),
        ("a:", "the tag '' must have 1 to 128"),
        ("a:b:c", "the tag 'b:c' must have 1 to 128"),
        ("a:-b", "the tag '-b' must have 1 to 128"),
        ("a:" + "t" * 129, "must have 1 to 128"),
        ("localhost:port/a", "'localhost:port' is no host of a registry"),
        ("a_b.c/d", "'a_b.c' is no host of a registry"),
        ("[::1:5000/a", "'[::1:5000' is no host of a registry"),
        ("localhost/", "the name '' may have"),
        ("a@", "the digest '' must begin with one of sha256, sha384, sha512"),
        ("a@md5:0123", "the digest 'md5:0123' must begin with"),
        ("a@sha256:0f", "the digest 'sha256:0f' must have 64 hexadecimal digits in lower case"),
        (f"a@{SHA256.upper().replace('SHA', 'sha')}", "must have 64 hexadecimal digits in lower case"),
        ("0f" * 32, "write 'sha256:' before it"),
        ("x.y/" + "a" * 256, "the name has 256 characters, 255 are allowed"),
    ],
)
def test_malformed(text: str, reason: str) -> None:
    """The error has the reference and the reason."""
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        parse_reference(text)
    assert str(caught.value).startswith(f"{text!r} is not the reference of an image: ")


PIECES = "a b-c a__b A localhost docker.io library x.y [::1] 5000 / : @ . - _ latest é"
piece = st.sampled_from([*PIECES.split(), SHA256, "0f" * 32, " ", "\n"])


@given(st.lists(piece, max_size=8).map("".join))
@example("localhost:5000/a@" + SHA256)
@example("0f" * 32 * 4)
@example("a__b.io/a")
def test_the_grammar(text: str) -> None:
    """What is accepted is what the grammar of distribution/reference accepts, in Docker's reading of it."""
    try:
        reference = parse_reference(text)
    except ValueError:
        match = GRAMMAR.fullmatch(text)
        # The grammar alone would take any first part for a registry, and what cannot be one for a part of the path;
        # Docker says which ones can be, and must be.
        assert (
            match is None
            or re.fullmatch("[a-f0-9]{64}", text)
            or len(f"library/{match['path']}") > 255
            or (
                match["domain"]
                and match["domain"] == match["domain"].lower()
                and not re.search("[.:]", match["domain"])
            )
            or (match["domain"] is None and "." in match["path"].partition("/")[0] and "/" in match["path"])
        )
        return
    match = GRAMMAR.fullmatch(f"{reference.normalized_name}{reference._suffix(reference.tag)}")
    assert match is not None
    assert match.groupdict() == {
        "domain": reference.domain,
        "path": reference.path,
        "tag": reference.tag,
        "digest": reference.digest,
    }
    assert str(reference) == text
    assert parse_reference(reference.familiar) == reference
    assert parse_reference(reference.normalized).normalized == reference.normalized
