"""What becomes of an answer: its JSON, or whether the request is sent again."""

from __future__ import annotations

import json
import time
from typing import Any

from infrablocks._threads import cancellation_requested
from infrablocks.exceptions import InfrastructureError
from infrablocks.kubernetes._errors import FORBIDDEN, PASSING, TOO_MANY_REQUESTS, ApiRefusal, ClusterUnreachable

_POLL_SECONDS = 0.1


def json_of(data: bytes, path: str) -> dict[str, Any]:
    """Read the object that an answer holds.

    Raises:
        InfrastructureError: It holds something else, such as the page of a proxy.
    """
    try:
        answer = json.loads(data)
    except ValueError as error:
        raise InfrastructureError(f"The Kubernetes cluster's answer to {path} is no JSON.") from error
    if not isinstance(answer, dict):
        raise InfrastructureError(f"The Kubernetes cluster's answer to {path} is no object.")
    return answer


def body_of(response: Any) -> bytes:
    """Read the answer of a refusal, which is short, so that its connection can be used again."""
    from infrablocks.kubernetes._transport import TRANSPORT_ERRORS  # noqa: PLC0415 - loads the SDK

    try:
        return bytes(response.data)
    except TRANSPORT_ERRORS:
        return b""
    finally:
        response.release_conn()


def may_be_repeated(method: str, error: ApiRefusal | ClusterUnreachable) -> bool:
    """Say whether it is safe to send a request again, and may help."""
    if isinstance(error, ClusterUnreachable):
        # Where nobody is there, whoever wants to wait for a cluster does so by itself.
        return error.sent and method == "GET"
    return error.status == TOO_MANY_REQUESTS or (error.status in PASSING and method == "GET")


def lacks_right(error: ApiRefusal) -> bool:
    """Say whether the user may not ask for this; what is asked for may be forbidden as well, by a quota say."""
    return error.status == FORBIDDEN and " cannot " in error.message  # 'User "…" cannot list resource "jobs" …'


def slept(seconds: float) -> bool:
    """Wait, and say whether nobody has cancelled the call."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if cancellation_requested():
            return False
        time.sleep(min(left, _POLL_SECONDS))
    return True
