"""Putting the table into a page of the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = "<!-- benchmarks:begin -->"
END = "<!-- benchmarks:end -->"

_NEW_PAGE = f"""# Performance

Measured by `python -m benchmarks`, both libraries in turn in one run.

{BEGIN}
{END}
"""


def write_section(page: Path, section: str) -> None:
    """Replace what stands between the two marks of a page; a page that is missing is made.

    Raises:
        SystemExit: The page is there, but not its marks.
    """
    text = page.read_text("utf-8") if page.exists() else _NEW_PAGE
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no lines {BEGIN} and {END}, between which the figures go.")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"{before}{BEGIN}\n\n{section.strip()}\n\n{END}{after}", encoding="utf-8")
