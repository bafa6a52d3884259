"""What an API server or the transport may raise, in the words of this library: the one table for Kubernetes."""

from __future__ import annotations

import errno
import json
import socket
import ssl
from typing import TYPE_CHECKING, Any

from infrablocks._exception_chain import exception_chain
from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable

if TYPE_CHECKING:
    from collections.abc import Mapping

BAD_REQUEST = 400
UNAUTHORIZED = 401
FORBIDDEN = 403
NOT_FOUND = 404
CONFLICT = 409
GONE = 410
UNPROCESSABLE = 422
TOO_MANY_REQUESTS = 429

PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that another attempt may not get."""

_LONGEST_ANSWER = 1000


class ApiRefusal(InfrastructureError):
    """The API server answered, and said no.

    Attributes:
        status: The status code of HTTP.
        reason: The server's word for it, such as `AlreadyExists`; empty: none.
        message: The server's own words.
        details: What it says about the object, as in `Status.details`.
        retry_after: How many seconds to wait before another attempt; None: the server does not say.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int,
        reason: str = "",
        message: str = "",
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        self.details = dict(details or {})
        self.retry_after = retry_after
        super().__init__(text)


class AccessRefused(ApiRefusal, InfrastructureNotAvailable):
    """The API server does not know the user (401), or does not allow the user this call (403)."""


class ClusterUnreachable(InfrastructureNotAvailable):
    """No answer came.

    Attributes:
        sent: Whether the server may have received the request. False: it certainly has not.
    """

    def __init__(self, text: str, *, sent: bool) -> None:
        self.sent = sent
        super().__init__(text)


def refusal(address: str, request: str, status: int, body: bytes, headers: Mapping[str, str]) -> ApiRefusal:
    """Give the error of an answer that is none of success.

    Args:
        address: Where the cluster is.
        request: Method and path, for the message.
        status: The status code of HTTP.
        body: The answer, mostly a `Status` in JSON.
        headers: Its headers.
    """
    answer = _status_object(body)
    details = answer.get("details")
    details = details if isinstance(details, dict) else {}
    message = _in_one_line(str(answer.get("message") or body.decode(errors="replace")))
    reason = str(answer.get("reason") or "")
    retry_after = _seconds(headers.get("Retry-After")) or _seconds(details.get("retryAfterSeconds"))
    kind = AccessRefused if status in {UNAUTHORIZED, FORBIDDEN} else ApiRefusal
    text = _refusal_text(address, request, status, message)
    return kind(text, status=status, reason=reason, message=message, details=details, retry_after=retry_after)


def _refusal_text(address: str, request: str, status: int, message: str) -> str:
    cluster = f"The Kubernetes cluster at {address}"
    match status:
        case 401:
            return (
                f"{cluster} does not accept the credentials (401 Unauthorized): the token or certificate is wrong or "
                "has expired. Log in again, or put valid ones into the kubeconfig or the cluster_config."
            )
        case 403:
            return (
                f"{cluster} does not allow this: {message}. Give this user a Role with that right, or use another user."
            )
        case _:
            return f"{cluster} answered {status} to {request}: {message or 'no reason given'}"


def status_refusal(address: str, request: str, answer: Mapping[str, Any]) -> ApiRefusal:
    """Give the error of a `Status` that came inside of a watch."""
    return refusal(address, request, int(answer.get("code") or 0), json.dumps(answer).encode(), {})


def unreachable(address: str, error: BaseException, *, sent: bool) -> ClusterUnreachable:
    """Give the error of a request that got no answer; to be raised `from` that of the transport."""
    problem, hint = _problem(error, sent=sent)
    verb = "Lost the connection to" if sent else "Could not connect to"
    return ClusterUnreachable(f"{verb} the Kubernetes cluster at {address}: {problem}. {hint}", sent=sent)


_CHECK = "Check that the cluster runs and that the kubeconfig, its context or the cluster_config names the right one."
_HINTS = {
    errno.EMFILE: "No file descriptors are left; raise `ulimit -n` or run fewer at once.",
    errno.ENFILE: "No file descriptors are left on this machine.",
}


def _problem(error: BaseException, *, sent: bool) -> tuple[str, str]:
    """Say what is wrong, and what to do about it."""
    chain = list(exception_chain(error))
    if found := next(filter(None, map(_tls_problem, chain)), None) or next(filter(None, map(_os_problem, chain)), None):
        return found
    names = " ".join(type(each).__name__ for each in chain)
    if "Timeout" in names:
        return "no answer in time", "Check whether it is overloaded or hangs." if sent else _CHECK
    if "Proxy" in names:
        return "the proxy does not let it through", "Check HTTPS_PROXY, NO_PROXY and proxy-url in the kubeconfig."
    return "it ended before the answer" if sent else type(error).__name__, _CHECK


def _tls_problem(error: BaseException) -> tuple[str, str] | None:
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not accepted ({error.verify_message})",
                "Check certificate-authority(-data) and tls-server-name of the cluster in the kubeconfig.",
            )
        case ssl.SSLError() if error.reason and not isinstance(error, ssl.SSLEOFError):
            words = error.reason.replace("_", " ").lower()
            return f"TLS failed ({words})", "Check that the server's address and the client certificate are right."
        case _:
            return None


def _os_problem(error: BaseException) -> tuple[str, str] | None:
    match error:
        case socket.gaierror():
            return f"its name cannot be resolved ({error.strerror})", _CHECK
        case ssl.SSLError():
            return None
        case OSError() if error.errno and error.strerror:
            return error.strerror, _HINTS.get(error.errno, _CHECK)
        case _:
            return None


def _status_object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _seconds(value: Any) -> float | None:
    try:
        return max(float(value), 0.0) or None
    except (TypeError, ValueError):
        return None


def _in_one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_ANSWER else text[:_LONGEST_ANSWER] + "…"
