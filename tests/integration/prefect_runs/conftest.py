"""The server, a client of its API, and the module whose flows are run."""

from __future__ import annotations

from tests.integration.prefect_runs.server_fixtures import api, flows, server

__all__ = ["api", "flows", "server"]
