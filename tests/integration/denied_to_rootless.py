"""What machines deny to rootless Podman: a test of it is skipped there, and in CI no other test of ours is skipped.

The test, or one set of its parameters, carries the marker ``denied_to_rootless``, whose text says what is denied and by
what.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import infrablocks.testing
from tests.engines import podman_rootless
from tests.nightly import parameters_of

if TYPE_CHECKING:
    from collections.abc import Generator

_MARKER = "denied_to_rootless"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is denied."""
    for item in items:
        if (reason := _reason(item)) is not None:
            item.add_marker(pytest.mark.skip(reason=f"denied to rootless Podman: {reason}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip that is not in the list into a failure, in CI."""
    report = yield  # what the other hooks have made
    is_listed = _reason(item) is not None or _is_the_kits(report)
    if report.skipped and os.environ.get("CI") == "true" and not is_listed:
        report.outcome = "failed"
        report.longrepr = f"in CI a test is skipped only by the marker `{_MARKER}`: {report.longrepr}"
    return report


def _is_the_kits(report: pytest.TestReport) -> bool:
    """Tell whether a check of `infrablocks.testing` says that it is not for this kind of block."""
    folder = Path(infrablocks.testing.__file__).resolve().parent
    return isinstance(report.longrepr, tuple) and Path(report.longrepr[0]).resolve().is_relative_to(folder)


def _reason(item: pytest.Item) -> str | None:
    """Return why a test cannot run, or None if it can.

    Raises:
        TypeError: Its marker gives no reason.
    """
    marker = item.get_closest_marker(_MARKER)
    if marker is None or podman_rootless.engine().name not in parameters_of(item):
        return None
    if len(marker.args) != 1 or not isinstance(marker.args[0], str):
        raise TypeError(f"{item.nodeid}: the marker `{_MARKER}` takes one text, the reason")
    return marker.args[0]
