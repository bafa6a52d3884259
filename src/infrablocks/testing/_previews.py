"""Checks of `preview`, and of what a block shows of itself."""

from __future__ import annotations

import socket
import subprocess
from typing import TYPE_CHECKING, NoReturn

from pydantic import SecretStr

from infrablocks.testing._contract import contract, expect, expect_equal
from infrablocks.testing._kit import Kit

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from infrablocks.testing._kit import MakeBlock

SECRET = "kit-secret-8d3f0c"  # noqa: S105 (nothing uses it)
"""What must be seen nowhere but in the workload."""


class PreviewChecks(Kit):
    """`preview` says what would be sent, and a block keeps its secrets."""

    @contract()
    def test_preview_needs_no_engine(self, make_block: MakeBlock, monkeypatch: pytest.MonkeyPatch) -> None:
        """`preview` needs no engine: it opens no connection and starts no process."""
        block = self.block(make_block, "exit 0")
        seen: list[str] = []

        def refuse(*arguments: object, **_named: object) -> NoReturn:
            seen.append(repr(arguments[1:]))
            raise OSError("the conformance kit lets `preview` reach nothing")

        with monkeypatch.context() as patch:
            for name in ("connect", "connect_ex"):
                patch.setattr(socket.socket, name, refuse)
            patch.setattr(subprocess.Popen, "__init__", refuse)
            patch.setattr(subprocess.Popen, "__del__", lambda _popen: None)
            text = block.preview()
        expect_equal(seen, [], "What `preview` has tried to reach")
        expect(text, "`preview` has returned no text.")

    @contract()
    def test_preview_is_the_same_each_time(self, make_block: MakeBlock) -> None:
        """`preview` is pure: it says the same each time and leaves the block as it was."""
        block = self.block(make_block, "exit 0", env={"KIT_A": "1", "KIT_B": "2"}, name="kit")
        fields = block.model_dump()
        first = block.preview()
        expect_equal(block.preview(), first, "What `preview` says the second time")
        expect_equal(block.model_dump(), fields, "The block after its preview")

    @contract()
    def test_preview_shows_what_is_run(self, make_block: MakeBlock) -> None:
        """`preview` shows the command and the variables of the block."""
        text = self.block(make_block, "kit-script", "kit-argument", env={"KIT_NAME": "kit-value"}).preview()
        missing = [word for word in ("kit-script", "kit-argument", "KIT_NAME", "kit-value") if word not in text]
        expect(not missing, f"These are not in the preview: {', '.join(missing)}.\n{text}")

    @contract()
    def test_secrets_are_masked(self, make_block: MakeBlock, tmp_path: Path) -> None:
        """The value of a SecretStr is in no preview, repr, JSON or YAML of the block; `preview` names its variable."""
        block = self.block(make_block, "exit 0", env={"KIT_PASSWORD": SecretStr(SECRET)})
        file = tmp_path / "block.yaml"
        block.to_yaml(file)
        shown = {
            "preview()": block.preview(),
            "repr()": repr(block),
            "str()": str(block),
            "model_dump_json()": block.model_dump_json(),
            "to_yaml()": file.read_text(encoding="utf-8"),
        }
        for where, text in shown.items():
            expect(SECRET not in text, f"{where} shows the secret:\n{text}")
        expect("KIT_PASSWORD" in shown["preview()"], f"`preview` does not name the variable:\n{shown['preview()']}")
