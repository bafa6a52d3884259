"""Telling clusters apart without asking them, by a short id that is part of the identifier of a Job."""

from __future__ import annotations

import hashlib
import re
import ssl
from itertools import combinations
from typing import TYPE_CHECKING

from infrablocks.exceptions import InfrastructureNotAvailable
from infrablocks.kubernetes._tls import authorities

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infrablocks.kubernetes._access import ClusterAccess

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_LENGTH = 8
# Each certificate more doubles the number of selections; bundles have one or two.
_MOST_CERTIFICATES = 10


def cluster_id(access: ClusterAccess) -> str:
    """Give the id of a cluster: made of its address and its certificate authorities.

    Raises:
        InfrastructureNotAvailable: The authorities cannot be read.
    """
    return _hash(_address(access), *_certificates(access))


def may_have_id(access: ClusterAccess, found: str) -> bool:
    """Say whether a cluster has, or had, this id.

    An authority that was added to the bundle since then makes no difference, in whatever order the bundle names them:
    the id of any selection of the authorities counts. So does the id that 0.1.0 gave, which the address is no part of,
    unless there are no authorities.

    Args:
        access: The cluster as it is configured now.
        found: The id in an identifier.

    Raises:
        InfrastructureNotAvailable: The authorities cannot be read.
    """
    address = _address(access)
    return any(
        found in {_hash(address, *selected), _hash(*(selected or [address]))}
        for selected in _selections(_certificates(access))
    )


def _selections(certificates: list[bytes]) -> Iterator[Sequence[bytes]]:
    if len(certificates) > _MOST_CERTIFICATES:
        yield from ([], certificates, *([one] for one in certificates))
        return
    for size in range(len(certificates) + 1):
        yield from combinations(certificates, size)


def _certificates(access: ClusterAccess) -> list[bytes]:
    try:
        return sorted(ssl.PEM_cert_to_DER_cert(one.decode()) for one in _CERTIFICATE.findall(authorities(access)))
    except ValueError as error:
        raise InfrastructureNotAvailable(
            f"certificate-authority(-data) of the cluster at {access.address} holds no certificate in PEM."
        ) from error


def _address(access: ClusterAccess) -> bytes:
    return access.address.encode()


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:_LENGTH]
