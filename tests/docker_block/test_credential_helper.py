"""Credential helpers: programs that the Docker configuration names."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from infrablocks.docker._credentials import registry_header
from infrablocks.docker._reference import parse_reference

if TYPE_CHECKING:
    from pathlib import Path

KEY, KEY_FILE = "INFRABLOCKS_SECRET_KEY", "INFRABLOCKS_SECRET_KEY_FILE"


@pytest.mark.parametrize("kind", ["credHelpers", "credsStore"])
def test_a_helper_does_not_get_the_key_of_the_store(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It inherits the environment without the key to saved blocks, and its answer is used."""
    configuration = {"credHelpers": {"r.example": "infrablockstest"}, "credsStore": "infrablockstest"}
    (tmp_path / "config.json").write_text(json.dumps({kind: configuration[kind]}))
    helper, seen = tmp_path / "docker-credential-infrablockstest", tmp_path / "seen"
    answer = json.dumps({"ServerURL": "r.example", "Username": "u", "Secret": "p"})
    helper.write_text(f"#!/bin/sh\nenv >{seen}\necho '{answer}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name, value in {KEY: "key-3c1d", KEY_FILE: "/the/key", "BESIDE": "beside"}.items():
        monkeypatch.setenv(name, value)

    assert registry_header(parse_reference("r.example/a:1"), None)["X-Registry-Auth"]

    variables = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
    # The SDK can change variables of a helper, but not take one away.
    assert [variables.get(name, "") for name in (KEY, KEY_FILE)] == ["", ""]
    assert variables["BESIDE"] == "beside"
