"""A throw-away certificate authority, and a server's and a client's certificate signed by it."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from string import Template

from tests.engines.errors import EngineError

PACKAGES = ("openssl",)

# Sections of our own: the machine's openssl.cnf would make every certificate an authority. Python 3.13 is strict about
# key identifiers and the use of keys.
_CONFIGURATION = Template("""
[req]
distinguished_name = name
prompt = no
[name]
CN = infrablocks tests
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = $names
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[client]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
""")
_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]


def create(directory: Path, *, more_names: Sequence[str] = (), client: str = "/CN=infrablocks client") -> None:
    """Make ``ca.pem``, ``server.pem``, ``server-key.pem`` and ``client``, a directory as DOCKER_CERT_PATH wants it.

    Does nothing if they are there.

    Args:
        directory: Where they go.
        more_names: What the server is called beside 127.0.0.1 and localhost, such as ``IP:10.0.0.1``.
        client: Whom the client's certificate names.
    """
    clients = directory / "client"
    if (clients / "ca.pem").exists():
        return
    clients.mkdir(parents=True, exist_ok=True)
    (directory / "openssl.cnf").write_text(
        _CONFIGURATION.substitute(names=", ".join(["IP:127.0.0.1", "DNS:localhost", *more_names]))
    )
    authority, authority_key = directory / "ca.pem", directory / "ca-key.pem"
    _openssl(directory, "authority", "/CN=infrablocks authority", authority_key, authority)
    signed = ["-CA", str(authority), "-CAkey", str(authority_key)]
    server, server_key = directory / "server.pem", directory / "server-key.pem"
    _openssl(directory, "server", "/CN=infrablocks server", server_key, server, *signed)
    _openssl(directory, "client", client, clients / "key.pem", clients / "cert.pem", *signed)
    (clients / "ca.pem").write_bytes(authority.read_bytes())


def _openssl(directory: Path, section: str, subject: str, key: Path, certificate: Path, *options: str) -> None:
    command = ["openssl", "req", "-x509", "-config", str(directory / "openssl.cnf"), "-extensions", section, *_NEW_KEY]
    done = subprocess.run(
        [*command, "-subj", subject, "-keyout", str(key), "-out", str(certificate), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise EngineError(f"openssl could not make the {section} certificate: {done.stderr.strip()}")
