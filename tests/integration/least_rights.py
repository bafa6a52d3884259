"""The rights that the documentation says a run needs: the tests run with exactly these."""

from __future__ import annotations

from typing import Any

import yaml

from tests.docs.snippets import ROOT, markdown_page


def documented_rules() -> list[dict[str, Any]]:
    """Read the rules of the Role on the page about rights."""
    (role,) = markdown_page(ROOT / "docs/how-to/kubernetes-rights.md").snippets
    document = yaml.safe_load(role.text)
    assert document["kind"] == "Role"
    return list(document["rules"])
