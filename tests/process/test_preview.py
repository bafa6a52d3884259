"""What `preview` of a process shows, and that a shell runs exactly that."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import SecretStr

from infrablocks import Process

SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"


def test_the_whole_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    """The preview is one variable a line, sets before removals, then the command; what is inherited is left out."""
    monkeypatch.delenv("PREFECT_HOME")
    monkeypatch.setenv("HOME", "/none")
    monkeypatch.setenv("PREFECT_API_URL", "http://localhost:4200/api")
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_key")
    block = Process(
        command=["python", "-m", "prefect.engine", "it's; rm -rf $HOME"],
        env={"A": "1 2", "TOKEN": SecretStr("t0ken"), "GONE": None, "EMPTY": ""},
    )
    assert block.preview() == (
        "PREFECT_API_URL=http://localhost:4200/api \\\n"
        "PREFECT_API_KEY='********' \\\n"
        "A='1 2' \\\n"
        "TOKEN='********' \\\n"
        "EMPTY= \\\n"
        "env -u GONE \\\n"
        "python -m prefect.engine 'it'\"'\"'s; rm -rf $HOME'"
    )
    assert block.preview(show_secrets=True) == block.preview().replace("'********'", "pnu_key", 1).replace(
        "'********'", "t0ken"
    )


def test_secrets_are_masked_wherever_a_block_is_printed() -> None:
    """No repr, text, error or preview of a block holds a secret, whether it is a SecretStr or a Prefect credential."""
    block = Process(command=["true"], env={"A": SecretStr("s3cret"), "PREFECT_API_KEY": "s3cret", "B": "shown"})
    for text in (repr(block), str(block), block.preview(), repr(block._build())):
        assert "s3cret" not in text
    assert "shown" in repr(block)


name = st.text(st.characters(exclude_characters="=\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize("shell", ["sh", "bash"])
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments=st.lists(text, max_size=4), env=st.dictionaries(name, text, max_size=4))
def test_a_shell_runs_exactly_the_preview(shell: str, arguments: list[str], env: dict[str, str]) -> None:
    """Pasted into a shell, the preview gives the command the very arguments and variables that the block has."""
    block = Process(command=[sys.executable, "-c", SHOW, *arguments], env={**env, "REMOVED": None})
    shown = subprocess.run(
        [shell, "-c", block.preview(show_secrets=True)],
        capture_output=True,
        check=True,
        env={**os.environ, "REMOVED": "1", "PYTHONUTF8": "1"},
    )
    arguments_seen, environ = json.loads(shown.stdout)
    assert arguments_seen == arguments
    assert {key: environ.get(key) for key in block.env} == block.env
