"""What we develop with is not taken on the day of its release, from an index that tells when each file came."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import tomllib
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from tests.package.conftest import ROOT
from tests.package.local_server import serving
from tests.package.test_declared_imports import PROJECT, names_of
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOOL, _DEPENDENCY = "some-tool", "anyio"


class Index:
    """A package index that has two releases of everything, one of them a year old.

    Args:
        newer: How old the newer one is; None: the index does not tell the times.
    """

    def __init__(self, newer: dt.timedelta | None) -> None:
        self._ages = {"1.0": newer and dt.timedelta(days=365), "2.0": newer}

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Answer a request with a status, a type and a content."""
        _, project, *file = path.split("/")
        if file == [""]:
            page = {"meta": {"api-version": "1.1"}, "name": project, "files": self._files(project)}
            return 200, "application/vnd.pypi.simple.v1+json", json.dumps(page).encode()
        if file and file[0].endswith(".whl.metadata"):
            version = file[0].split("-")[1]
            return 200, "text/plain", f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n".encode()
        return 404, "text/plain", b""

    def _files(self, project: str) -> list[dict[str, object]]:
        files: list[dict[str, object]] = []
        for version, age in self._ages.items():
            name = f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
            time = {} if age is None else {"upload-time": (dt.datetime.now(dt.UTC) - age).isoformat()}
            files.append({"filename": name, "url": name, "hashes": {}, "core-metadata": True, **time})
        return files


@pytest.fixture
def index_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an index whose newer release is as old as the test says."""
    with serving(Index(request.param).answer) as address:
        yield address


def chosen(uv: str, index_url: str, name: str = _TOOL, **variables: str) -> str:
    """Return what uv chooses in this repository."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    command = [uv, "pip", "compile", "--no-cache", "--no-header", "--no-annotate", "--default-index", index_url, "-"]
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**inherited, **variables},
        input=name,
        text=True,
        timeout=WAIT_SECONDS,
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize(
    ("index_url", "expected"),
    [
        (dt.timedelta(hours=1), "some-tool==1.0"),
        (dt.timedelta(days=6), "some-tool==1.0"),
        (dt.timedelta(days=8), "some-tool==2.0"),
    ],
    indirect=["index_url"],
)
def test_a_release_of_this_week_is_not_taken(uv: str, index_url: str, expected: str) -> None:
    """A tool is taken a week after its release."""
    assert chosen(uv, index_url) == expected


@pytest.mark.parametrize("index_url", [dt.timedelta(hours=1)], indirect=True)
def test_a_dependency_of_the_library_is_taken_at_once(uv: str, index_url: str) -> None:
    """What users get at once is taken on the day of its release, by the tests too."""
    assert chosen(uv, index_url, _DEPENDENCY) == f"{_DEPENDENCY}==2.0"


def test_each_dependency_of_the_library_is_exempt() -> None:
    """pyproject.toml exempts what users install along with the library, the extras included, and nothing else."""
    everything = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    exempt = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["uv"]["exclude-newer-package"]
    assert exempt == dict.fromkeys(names_of(list(chain.from_iterable(everything))), False)


@pytest.mark.parametrize("index_url", [None], indirect=True)
def test_an_index_without_times(uv: str, index_url: str) -> None:
    """Where an index does not tell the times, uv says so, and UV_EXCLUDE_NEWER=false ends the cool-down."""
    assert "missing an upload date" in chosen(uv, index_url)
    assert chosen(uv, index_url, UV_EXCLUDE_NEWER="false") == "some-tool==2.0"
