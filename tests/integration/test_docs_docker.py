"""The snippets of the documentation that need an engine do what their pages say, on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.reading import problem_on
from tests.docs.snippets import load_pages
from tests.engines import images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker

    from tests.engines import ContainerEngine

pytestmark = pytest.mark.integration

_PAGES = [name for name, page in load_pages().items() if any(snippet.needs == "docker" for snippet in page.snippets)]

# Podman before 4.7 has no address for `host-gateway`, which is warned of; the page on Podman says so.
_WARNINGS = {"podman": "error,ignore:`host.docker.internal` could not"}


@pytest.fixture
def image(client: docker.DockerClient) -> Iterator[str]:
    """The image of the documentation, which no engine of the tests could pull."""
    name = "busybox:1.36"
    client.images.get(images.BUSYBOX).tag(*name.split(":"))
    yield name
    client.images.remove(name)


@pytest.mark.parametrize("name", _PAGES)
def test_each_page_does_what_it_says(name: str, engine: ContainerEngine, image: str, tmp_path: Path) -> None:
    """A page works as a whole, with the engine as that of the environment."""
    assert image
    variables = {"DOCKER_HOST": engine.docker_host, "PYTHONWARNINGS": _WARNINGS.get(engine.name, "error")}
    problem = problem_on(name, tmp_path, ["docker"], variables)
    if problem:
        pytest.fail(problem, pytrace=False)


def test_the_pages_are_found() -> None:
    """There is something to execute."""
    assert "docs/how-to/run-in-docker.md" in _PAGES
