"""The schemas of our block types as files, beside this one: whoever changes the fields of a block changes its file too.

`python -m tests.blocks.golden_schemas` writes them.
"""

from __future__ import annotations

import json
from pathlib import Path

from infrablocks import DockerContainer, DockerRegistry, KubernetesClusterConfig, KubernetesJob, Process
from infrablocks.blocks.schema import _canonical

FOLDER = Path(__file__).parent / "schemas"
BLOCKS = {
    block.get_block_type_slug(): block
    for block in (DockerContainer, DockerRegistry, KubernetesClusterConfig, KubernetesJob, Process)
}


def schema_text(slug: str) -> str:
    """Give what the file of a block type holds: its checksum, and of the schema what the checksum is made of."""
    block = BLOCKS[slug]
    schema = block.model_json_schema()
    parts = {"checksum": block._calculate_schema_checksum(), "schema": _canonical(schema)}
    return json.dumps(parts, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in BLOCKS:
        (FOLDER / f"{name}.json").write_text(schema_text(name), encoding="utf-8")
