"""Credential plugins for the tests: programs that count their runs."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """
import json, os, sys, time
with open({runs!r}, "a") as file:
    file.write(os.environ["KUBERNETES_EXEC_INFO"] + "\\n")
number = len(open({runs!r}).readlines())
{before}
status = {status!r}
if {counted}:
    status["token"] += "-" + str(number)
print(json.dumps({{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}}))
"""


class Plugin:
    """A plugin that gives `token-1`, `token-2`, … or a certificate.

    Args:
        folder: Where its files are.
        seconds: For how long its credential is good; None: it does not say.
        before: What it does first, in Python.
        status: What it gives in place of a token.
    """

    def __init__(
        self, folder: Path, *, seconds: float | None = None, before: str = "", status: dict[str, Any] | None = None
    ) -> None:
        self._runs = folder / "plugin-runs"
        counted = status is None
        status = status or {"token": "token"}
        if seconds is not None:
            status["expirationTimestamp"] = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime(
                "%Y-%m-%dT%H:%M:%SZ"
            )
        self._program = folder / "plugin.py"
        self._program.write_text(_PROGRAM.format(runs=str(self._runs), before=before, status=status, counted=counted))

    @property
    def user(self) -> dict[str, Any]:
        """The user in a kubeconfig."""
        return {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": sys.executable,
                "args": ["-S", str(self._program)],
                "env": [{"name": "OF_THE_PLUGIN", "value": "x"}],
                "interactiveMode": "IfAvailable",
                "provideClusterInfo": True,
            }
        }

    @property
    def runs(self) -> list[dict[str, Any]]:
        """What it was told at each run."""
        return [json.loads(line) for line in self._runs.read_text().splitlines()] if self._runs.exists() else []
