"""The name of the machine is left out where the engine has no address for it, and the user is told."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import pytest

from infrablocks.docker._client import EngineFacts
from infrablocks.docker._engine_address import EngineAddress
from infrablocks.docker._errors import EngineRefusal
from infrablocks.docker._host_gateway import is_refused_for_host_gateway, uses_host_gateway, without_host_gateway

GATEWAY = {"host.docker.internal": "host-gateway"}
WORDS = 'unable to replace "host-gateway" of host entry "host.docker.internal:host-gateway": IP address is empty'
NEEDS = {"PREFECT_API_URL": "http://host.docker.internal:4200/api"}
PODMAN, OLD_DOCKER = EngineFacts("5.8.6", is_podman=True), EngineFacts("19.03.1", is_podman=False)


def refusal(answer: str) -> EngineRefusal:
    """Give an answer of an engine."""
    return EngineRefusal(EngineAddress("unix:///x.sock", None, "a test"), 500, answer)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(WORDS, True), ("no such network: host", False), ("gateway timeout", False)],
)
def test_which_answers_are_about_it(answer: str, *, expected: bool) -> None:
    """Only an answer with the word that was sent."""
    assert is_refused_for_host_gateway({"extra_hosts": GATEWAY}, refusal(answer)) is expected


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [(GATEWAY, True), ({"a": "192.0.2.1"}, False), ({}, False), (None, False)],
)
def test_who_uses_it(hosts: dict[str, str] | None, *, expected: bool) -> None:
    """A container without the name is not made twice."""
    assert uses_host_gateway({"extra_hosts": hosts}) is expected
    assert is_refused_for_host_gateway({"extra_hosts": hosts}, refusal(WORDS)) is expected


@pytest.mark.parametrize(
    ("facts", "environment", "warned", "reason"),
    [
        (PODMAN, {}, False, f"Podman v5.8.6 has no address for `host-gateway`: {WORDS}"),
        (PODMAN, {"A": None, "B": "1"}, False, f"Podman v5.8.6 has no address for `host-gateway`: {WORDS}"),
        (PODMAN, NEEDS, True, f"Podman v5.8.6 has no address for `host-gateway`: {WORDS}"),
        (OLD_DOCKER, {}, True, f"Docker Engine v19.03.1 has no address for `host-gateway`: {WORDS}"),
    ],
)
def test_who_is_told(
    facts: EngineFacts,
    environment: dict[str, str | None],
    reason: str,
    caplog: pytest.LogCaptureFixture,
    *,
    warned: bool,
) -> None:
    """A warning if somebody needs the name, a line of the log if nobody does; other hosts and arguments are kept."""
    caplog.set_level(logging.INFO)
    arguments: dict[str, Any] = {"name": "x", "environment": environment, "extra_hosts": {**GATEWAY, "a": "192.0.2.1"}}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kept = without_host_gateway(arguments, facts, refusal(WORDS), logging.getLogger("x"))
    text = f"`host.docker.internal` could not be automatically resolved to the address of this machine: {reason}"
    assert kept == {"name": "x", "environment": environment, "extra_hosts": {"a": "192.0.2.1"}}
    assert [str(each.message) for each in caught] == ([text] if warned else [])
    assert caplog.messages == ([] if warned else [text])


@pytest.mark.parametrize("hosts", [{"db": "host-gateway"}, {**GATEWAY, "db": "host-gateway"}])
def test_a_name_that_the_block_gives(hosts: dict[str, str]) -> None:
    """The user has asked for it, and is warned that the container does not have it."""
    arguments: dict[str, Any] = {"environment": {}, "extra_hosts": hosts}
    with pytest.warns(UserWarning, match="`db` could not be automatically resolved to the address of this machine"):
        assert without_host_gateway(arguments, PODMAN, None, logging.getLogger("x"))["extra_hosts"] is None


def test_the_only_host() -> None:
    """Without any host left the argument is not sent."""
    arguments = {"environment": {}, "extra_hosts": GATEWAY}
    assert without_host_gateway(arguments, PODMAN, None, logging.getLogger("x"))["extra_hosts"] is None
