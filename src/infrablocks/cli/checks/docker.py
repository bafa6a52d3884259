"""Checks of what `DockerContainer` needs: the engines that can be found from here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infrablocks import InfrastructureError, InfrastructureNotAvailable
from infrablocks._home import home_directory
from infrablocks.cli.checks.finding import Finding, State
from infrablocks.docker._client import Engine
from infrablocks.docker._engine_address import EngineAddress, engine_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from requests import Response

    from infrablocks.docker._client import EngineFacts
    from infrablocks.docker._session import Session

_ANSWER_SECONDS = 5
_HOW_TO_GET_IT = (
    "install and start Docker Engine (https://docs.docker.com/engine/install/) or Podman, or set DOCKER_HOST"
)
_FIELDS_BY_LIMIT = {"MemoryLimit": "mem_limit", "SwapLimit": "memswap_limit", "CpuCfsQuota": "cpus"}


@dataclass(frozen=True)
class _Candidate:
    """An engine that may be there.

    Attributes:
        address: Where; or why the setting that names it cannot be used.
        named: Whether a setting names it, so that it is wrong when it does not answer.
        used: Whether it is the one that runs use.
    """

    address: EngineAddress | InfrastructureNotAvailable
    named: bool
    used: bool


def engines() -> list[Finding]:
    """Ask each engine that a setting names, and each at a usual place, what it is."""
    return [finding for candidate in _candidates() for finding in _findings(candidate)]


def _candidates() -> Iterator[_Candidate]:
    """Give the engines, the one that is used first and none twice."""
    default = engine_address({"DOCKER_CONTEXT": "default"})
    settings: list[Mapping[str, str]] = [{name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}]
    if os.environ.get("DOCKER_HOST"):
        settings.insert(0, os.environ)
    seen: set[str] = set()
    for index, setting in enumerate(settings):
        try:
            address = engine_address(setting)
        except InfrastructureNotAvailable as error:
            yield _Candidate(error, named=True, used=index == 0)
            continue
        used, named = index == 0, address != default
        if address.url not in seen and (used or named):
            seen.add(address.url)
            yield _Candidate(address, named=named, used=used)
    for address in (default, *_usual_sockets()):
        if address.url not in seen and _socket(address).exists():
            seen.add(address.url)
            yield _Candidate(address, named=False, used=False)


def _usual_sockets() -> Iterator[EngineAddress]:
    """Give the places of engines that the `docker` command would not look at either."""
    paths = [Path("/run/podman/podman.sock"), Path(home_directory(), ".docker/run/docker.sock")]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        paths += [Path(runtime, "docker.sock"), Path(runtime, "podman", "podman.sock")]
    for path in paths:
        yield EngineAddress(f"unix://{path}", None, "a usual place")


def _socket(address: EngineAddress) -> Path:
    return Path(address.url.removeprefix("unix://"))


def _findings(candidate: _Candidate) -> Iterator[Finding]:
    problem = State.BROKEN if candidate.named and candidate.used else State.WARNING
    address = candidate.address
    if isinstance(address, InfrastructureNotAvailable):
        yield Finding("engine", problem, str(address))
        return
    if not candidate.named and not _socket(address).exists():
        yield Finding("engine", problem, f"not found at {address}: {_HOW_TO_GET_IT}")
        return
    engine = Engine(address)
    try:
        engine.connect()
        facts, answer = engine.facts, engine.call(_info)
        spoken = engine.call(lambda session: str(session.api_version))
    except InfrastructureError as error:
        yield Finding("engine", problem, str(error))
        return
    finally:
        engine.close()
    text = f"{facts.label}, API {_api_version(answer, spoken)}, at {address}; {_equipment(answer.json())}"
    yield Finding("engine", State.OK, text if candidate.used else f"{text}; not used{_how_to_use(address)}")
    if candidate.used:
        yield from _what_is_missing(facts, answer.json(), problem)


def _info(session: Session) -> Response:
    response = session.get(session.url("/info"), timeout=_ANSWER_SECONDS)
    response.raise_for_status()
    return response


def _api_version(answer: Response, spoken: str) -> str:
    newest = answer.headers.get("Api-Version", spoken)
    return newest if newest == spoken else f"{newest} ({spoken} is spoken)"


def _equipment(info: Mapping[str, Any]) -> str:
    """Say how the engine limits containers and where it keeps images."""
    store = str(info.get("Driver") or "unknown")
    if any("containerd" in str(value) for _, value in info.get("DriverStatus") or ()):
        store = f"containerd ({store})"
    parts = [f"cgroup version {info.get('CgroupVersion') or 'unknown'}", f"image store {store}"]
    if _is_rootless(info):
        parts.append("rootless")
    return ", ".join(parts)


def _is_rootless(info: Mapping[str, Any]) -> bool:
    return any("rootless" in str(option) for option in info.get("SecurityOptions") or ())


def _how_to_use(address: EngineAddress) -> str:
    return f" (DOCKER_HOST={address.url} would use it)" if address.tls is None else ""


def _what_is_missing(facts: EngineFacts, info: Mapping[str, Any], problem: State) -> Iterator[Finding]:
    if not facts.has_host_gateway():
        if facts.is_podman:
            text = f"{facts.label} does not know `host-gateway`; Podman 4.7 and newer do"
            yield Finding("host.docker.internal", State.WARNING, f"{text}: containers do not get this name")
        else:
            yield Finding("version", problem, f"{facts.label} is too old: Docker Engine 20.10 or newer is needed")
    if facts.is_podman and _is_rootless(info) and str(info.get("CgroupVersion")) == "1":
        ignored = ", ".join(_FIELDS_BY_LIMIT.values())  # and says that it can do them
        yield Finding("limits", State.WARNING, f"rootless Podman with cgroup version 1 ignores {ignored}")
    elif fields := [field for limit, field in _FIELDS_BY_LIMIT.items() if info.get(limit) is False]:
        yield Finding("limits", State.WARNING, f"the engine's machine cannot do {', '.join(fields)}")


CHECKS = (engines,)
