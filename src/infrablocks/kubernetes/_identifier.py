"""The identifier of a Job: cluster, namespace, name and uid, with colons between them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_UID = re.compile(r"[0-9A-Za-z][-0-9A-Za-z._]*")


@dataclass(frozen=True)
class JobIdentifier:
    """What an identifier says about a Job.

    The uid decides which Job is meant. The other parts tell where to look for it.

    Attributes:
        cluster_id: Tells clusters apart; None: any.
        namespace: Its namespace; None: the block's.
        name: Its name.
        uid: The cluster's own id of it, which no other Job ever has; None: whichever has the name now.
    """

    cluster_id: str | None
    namespace: str | None
    name: str
    uid: str | None

    def __str__(self) -> str:
        parts = (self.cluster_id, self.namespace, self.name, self.uid)
        return ":".join(part for part in parts if part is not None)


def parse_identifier(text: str) -> JobIdentifier | None:
    """Read an identifier: `cluster:namespace:name:uid`, or without the uid, `namespace/name` or `name`.

    Args:
        text: The identifier.

    Returns:
        What it says; None: no Job can have it.
    """
    match text.split(":"):
        case [cluster_id, namespace, name, uid]:
            found = JobIdentifier(cluster_id, namespace, name, uid)
        case [cluster_id, namespace, name]:
            found = JobIdentifier(cluster_id, namespace, name, None)
        case [path]:
            namespace, slash, name = path.partition("/")
            found = JobIdentifier(None, namespace, name, None) if slash else JobIdentifier(None, None, path, None)
        case _:
            return None
    has_name = _NAME.fullmatch(found.name) and (found.namespace is None or _NAME.fullmatch(found.namespace))
    # An empty part is never taken for one that was left out, as that would let go of the check that it stands for.
    has_others = found.cluster_id != "" and (found.uid is None or _UID.fullmatch(found.uid))
    return found if has_name and has_others else None
