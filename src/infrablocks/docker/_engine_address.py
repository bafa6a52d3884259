"""Which engine to talk to, chosen as the docker command does: `DOCKER_HOST`, then the context, then the default."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from infrablocks._home import home_directory
from infrablocks.exceptions import InfrastructureNotAvailable

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULT_URL = "unix:///var/run/docker.sock"
_DEFAULT_CONTEXT = "default"


@dataclass(frozen=True)
class TLSFiles:
    """What a connection with TLS needs. A file that is None is not used.

    Attributes:
        authority: Certificates that the engine's one is checked against.
        certificate: Ours.
        key: Its key.
        verify: Whether the engine's certificate is checked.
    """

    authority: Path | None
    certificate: Path | None
    key: Path | None
    verify: bool


@dataclass(frozen=True)
class EngineAddress:
    """Where an engine is. Two runs with the same address share one client.

    Attributes:
        url: As `DOCKER_HOST` has it.
        tls: None for a connection without.
        origin: What it was taken from, for people.
    """

    url: str
    tls: TLSFiles | None
    origin: str

    def __str__(self) -> str:
        """Give the URL, without the user and password that it may hold, and where it comes from."""
        parts = urlsplit(self.url)
        if "@" in parts.netloc:
            parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        return f"{urlunsplit(parts) if parts.netloc else self.url} ({self.origin})"


def engine_address(variables: Mapping[str, str] = os.environ) -> EngineAddress:
    """Choose the engine.

    Raises:
        InfrastructureNotAvailable: The context that is chosen does not exist or cannot be read, or its kind of address
            is not supported.
    """
    url = variables.get("DOCKER_HOST")
    if url:
        return _checked(EngineAddress(_with_scheme(url), _tls_of_variables(variables), "DOCKER_HOST"))
    folder = Path(variables.get("DOCKER_CONFIG") or Path(home_directory(), ".docker"))
    if context := variables.get("DOCKER_CONTEXT"):
        origin = "DOCKER_CONTEXT"
    else:
        context, origin = _current_context(folder), f"the current context in {folder / 'config.json'}"
    if context == _DEFAULT_CONTEXT:
        return EngineAddress(_DEFAULT_URL, None, "the default; DOCKER_HOST and the docker context name no other")
    return _checked(_address_of_context(folder, context, origin))


def _with_scheme(url: str) -> str:
    return url if "://" in url else f"tcp://{url}"


def _tls_of_variables(variables: Mapping[str, str]) -> TLSFiles | None:
    folder, verify = variables.get("DOCKER_CERT_PATH"), bool(variables.get("DOCKER_TLS_VERIFY"))
    if not verify and not folder:
        return None
    return _tls_files(Path(folder) if folder else Path(home_directory(), ".docker"), verify=verify)


def _tls_files(folder: Path, *, verify: bool) -> TLSFiles:
    authority, certificate, key = (
        path if path.is_file() else None for path in (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    )
    if authority is None and verify and certificate is None:
        raise InfrastructureNotAvailable(
            f"Could not connect to Docker: TLS is wanted, but {folder} has no ca.pem, cert.pem and key.pem. "
            "Check DOCKER_CERT_PATH."
        )
    return TLSFiles(authority, certificate, key, verify)


def _current_context(folder: Path) -> str:
    try:
        configuration = json.loads((folder / "config.json").read_text())
        return str(configuration.get("currentContext") or _DEFAULT_CONTEXT)
    except (OSError, ValueError, AttributeError):  # as the docker command does, which says more about it
        return _DEFAULT_CONTEXT


def _address_of_context(folder: Path, context: str, origin: str) -> EngineAddress:
    """Read a context where `docker context create` has stored it: in folders named after its SHA-256."""
    name = hashlib.sha256(context.encode()).hexdigest()
    problem = f"Could not connect to Docker: the docker context {context!r} ({origin})"
    try:
        meta = json.loads((folder / "contexts" / "meta" / name / "meta.json").read_text())
        endpoint: dict[str, Any] = meta["Endpoints"]["docker"]
        url = str(endpoint["Host"])
    except FileNotFoundError as error:
        message = f"{problem} does not exist; `docker context ls` lists those there are."
        raise InfrastructureNotAvailable(message) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InfrastructureNotAvailable(f"{problem} cannot be read; make it again with `docker context`.") from error
    files = folder / "contexts" / "tls" / name / "docker"
    tls = _tls_files(files, verify=not endpoint.get("SkipTLSVerify", False)) if files.is_dir() else None
    return EngineAddress(url, tls, f"docker context {context!r}")


def _checked(address: EngineAddress) -> EngineAddress:
    scheme = urlsplit(address.url).scheme
    if scheme == "ssh":
        raise InfrastructureNotAvailable(
            f"Could not connect to Docker at {address}: ssh is not supported. Forward the socket with "
            "`ssh -N -L /tmp/docker.sock:/var/run/docker.sock USER@HOST` and set DOCKER_HOST=unix:///tmp/docker.sock."
        )
    if scheme not in {"unix", "tcp", "http", "https", "npipe"}:
        raise InfrastructureNotAvailable(
            f"Could not connect to Docker at {address}: an address begins with unix:// or tcp://."
        )
    if scheme not in {"unix", "npipe"} and _may_hold_password(address.url):
        raise InfrastructureNotAvailable(
            f"Could not connect to Docker: the address ({address.origin}) has an '@', before which a password may "
            "stand. An engine takes none there: leave it out, and protect the engine with TLS."
        )
    return address


def _may_hold_password(url: str) -> bool:
    return ":" in url.partition("://")[2].rpartition("@")[0]
