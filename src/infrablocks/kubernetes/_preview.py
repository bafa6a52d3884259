"""What `preview` shows: the documents that a run sends, as YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infrablocks import _environment
from infrablocks.blocks.yaml_files import plain_yaml
from infrablocks.kubernetes._settings import SECRET_NAME_PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infrablocks.kubernetes._settings import JobSettings


def job_preview(settings: JobSettings, *, show_secrets: bool) -> str:
    """Show a Job, and the Secret that is made for it where there is one.

    Args:
        settings: The settings, of which the manifest has its secrets masked unless they may be shown.
        show_secrets: Show the Secret with its values, as a second document, in place of a comment about it.
    """
    job = plain_yaml(dict(settings.manifest))
    if not settings.secret_values:
        return job
    if show_secrets:
        return f"{job}---\n{plain_yaml(_secret(settings))}"
    keys = ", ".join(settings.secret_values)
    return f"# Each run makes a Secret, under a name of its own, with: {keys}.\n{job}"


def answer_preview(answer: Mapping[str, Any]) -> str:
    """Show what the API made of a manifest, without the record of who has set which field."""
    metadata = {name: value for name, value in answer["metadata"].items() if name != "managedFields"}
    return plain_yaml({**answer, "metadata": metadata})


def _secret(settings: JobSettings) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET_NAME_PLACEHOLDER, "namespace": settings.namespace},
        "type": "Opaque",
        "stringData": _environment.revealed(settings.secret_values),
    }
