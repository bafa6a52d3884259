"""The snippets of the documentation that need a cluster do what their pages say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.docs.reading import problem_on
from tests.docs.snippets import load_pages
from tests.engines import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.kubernetes import Kubernetes

pytestmark = pytest.mark.integration

_NEEDS = "kubernetes"
_PAGES = [name for name, page in load_pages().items() if any(snippet.needs == _NEEDS for snippet in page.snippets)]


@pytest.mark.parametrize("name", _PAGES)
def test_each_page_does_what_it_says(name: str, cluster: Kubernetes, tmp_path: Path) -> None:
    """A page works as a whole, with the cluster as that of the environment and in its namespace `default`."""
    cluster.load(replace(images.busybox(), reference="busybox:1.36"))
    try:
        problem = problem_on(name, tmp_path, [_NEEDS], {"KUBECONFIG": str(cluster.kubeconfig)})
    finally:
        cluster.api("DELETE", "/apis/batch/v1/namespaces/default/jobs?propagationPolicy=Background")
    if problem:
        pytest.fail(problem, pytrace=False)


def test_the_pages_are_found() -> None:
    """There is something to execute."""
    assert "docs/how-to/run-on-kubernetes.md" in _PAGES
