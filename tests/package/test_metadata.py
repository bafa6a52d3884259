"""What a package index shows of the wheel: links, licence, authors."""

from __future__ import annotations

import re
import tomllib
import zipfile
from email.parser import Parser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
import readme_renderer.markdown

from tests.package.conftest import ROOT

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path


@pytest.fixture(scope="session")
def metadata(wheel: Path) -> Message:
    """The metadata of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@pytest.fixture(scope="session")
def links(metadata: Message) -> list[str]:
    """The targets of all links of the project's page, as a package index renders it."""
    assert metadata["Description-Content-Type"] == "text/markdown"
    page = readme_renderer.markdown.render(str(metadata.get_payload()))
    assert page is not None
    return re.findall(r'(?:href|src)="([^"]*)"', page)


def urls() -> dict[str, str]:
    """Read the addresses that pyproject.toml states."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return dict(project["urls"])


def file_in_repository(link: str) -> str | None:
    """Name the file of this repository that a link shows; None where it leads elsewhere."""
    prefix = f"{urls()['Source']}/blob/main/"
    return unquote(urlsplit(link).path.removeprefix(urlsplit(prefix).path)) if link.startswith(prefix) else None


def test_no_link_of_the_page_is_relative(links: list[str]) -> None:
    """Each link leads into the page or is an absolute address: the index has none of the files beside README.md."""
    elsewhere = [link for link in links if not link.startswith("#")]
    assert elsewhere
    assert [link for link in elsewhere if urlsplit(link).scheme != "https"] == []


def test_each_link_to_the_repository_shows_a_file(links: list[str]) -> None:
    """Each link into the repository names a file that is there, from the tutorial to the changelog."""
    files = {name for link in links if (name := file_in_repository(link))}
    assert {"docs/start.md", "CHANGELOG.md", "CONTRIBUTING.md"} <= files
    assert [name for name in sorted(files) if not (ROOT / name).is_file()] == []


def test_addresses(metadata: Message) -> None:
    """The page links documentation, source, changelog and issues; what of this is in the repository is there."""
    shown = dict(text.split(", ", 1) for text in metadata.get_all("Project-URL", []))
    assert shown == urls()
    assert shown.keys() == {"Documentation", "Source", "Changelog", "Issues"}
    for name in ("Documentation", "Changelog"):
        file = file_in_repository(shown[name])
        assert file is not None
        assert (ROOT / file).is_file()


def test_author_and_licence(metadata: Message) -> None:
    """Author and licence are stated, and the licence's files are named."""
    assert metadata["Author"] == "The infrablocks developers"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE", "NOTICE"]
    assert not [text for text in metadata.get_all("Classifier", []) if text.startswith("License ::")]
