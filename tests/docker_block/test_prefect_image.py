"""The image that is used when none is given."""

from __future__ import annotations

import re
import sys

import anyio
import pytest
from hypothesis import given, strategies as st

from infrablocks import _versions
from infrablocks.docker import DockerContainer, get_prefect_image_name
from infrablocks.docker._reference import parse_reference

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.parametrize(
    ("installed", "tag"),
    [(None, "3"), ("3.1.0", "3.1.0"), ("2.20.25", "2.20.25"), ("3.1.0+4.gabc", "dev"), ("3.0.0rc1", "3.0.0rc1")],
)
def test_the_installed_version(installed: str | None, tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image is that of the installed Prefect, `dev` for a version with local changes, `3` without one."""
    monkeypatch.setattr(_versions, "PREFECT", installed)
    assert get_prefect_image_name() == f"prefecthq/prefect:{tag}-{PYTHON}"
    assert DockerContainer().image == f"prefecthq/prefect:{tag}-{PYTHON}"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("2.0.4", "3.9", None), "prefecthq/prefect:2.0.4-python3.9"),
        (("2.0.4", "3.9", "conda"), "prefecthq/prefect:2.0.4-python3.9-conda"),
        (("2.0.4+dirty", "3.9", "conda"), "prefecthq/prefect:dev-python3.9-conda"),
        (("2.0.4/x y", "3.9", None), "prefecthq/prefect:2.0.4-x-y-python3.9"),
        (("v" * 200, "3.9", None), "prefecthq/prefect:" + "v" * 128),
    ],
)
def test_given_parts(arguments: tuple[str | None, str | None, str | None], expected: str) -> None:
    """What is given replaces what is found out; the tag has only what a tag may have."""
    assert get_prefect_image_name(*arguments) == expected


@given(st.text(), st.text(), st.text())
def test_always_a_reference(prefect_version: str, python_version: str, flavor: str) -> None:
    """Whatever the parts, the image can be asked for."""
    name = get_prefect_image_name(prefect_version, python_version, flavor)
    assert parse_reference(name).path == "prefecthq/prefect"
    assert re.fullmatch("[A-Za-z0-9_.-]{1,128}", name.partition(":")[2])


@pytest.mark.anyio
async def test_a_block_made_in_an_event_loop() -> None:
    """Finding the version of Prefect does not hold up the loop."""
    assert DockerContainer().image.startswith("prefecthq/prefect:")
    assert await anyio.to_thread.run_sync(DockerContainer().preview)
