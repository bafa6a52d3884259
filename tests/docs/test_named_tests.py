"""The tests that the documentation names as evidence are there."""

import re

from tests.docs.snippets import ROOT

_NAMED = re.compile(r"`(?P<file>test_\w+\.py)::(?P<test>test_\w+)`")


def test_each_row_on_engines_names_a_test() -> None:
    """Every row of the tables on engines names tests, and each of these exists."""
    folder = ROOT / "tests/integration/docker_engine"
    lines = (ROOT / "docs/reference/engines.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.endswith("| Test |")]
    assert rows
    for row in rows:
        named = list(_NAMED.finditer(row))
        assert named, row
        for match in named:
            assert f"def {match['test']}(" in (folder / match["file"]).read_text(encoding="utf-8"), match[0]
