"""What an engine or the SDK may raise, in the words of this library: the one table for Docker."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, TypeGuard

from infrablocks._credentials import without_credentials
from infrablocks._exception_chain import exception_chain
from infrablocks.exceptions import InfrastructureError, InfrastructureNotAvailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import Response

    from infrablocks.docker._engine_address import EngineAddress

NOT_FOUND = 404
CONFLICT = 409
INTERNAL_ERROR = 500
_OF_A_PROXY = frozenset({502, 503, 504})

_LONGEST_ANSWER = 1000

# Any other header of a request is X-Registry-Auth, or one of Docker's config.json.
_HEADERS_WITHOUT_CREDENTIALS = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "upgrade", "user-agent"}
)


class EngineRefusal(InfrastructureError):
    """The engine answered, and said no.

    Attributes:
        status: The status code of HTTP.
        answer: The engine's own words.
        image_missing: Whether it does not have the image.
    """

    def __init__(self, address: EngineAddress, status: int, answer: str, *, image_missing: bool = False) -> None:
        self.status = status
        self.answer = answer
        self.image_missing = image_missing
        super().__init__(f"The Docker engine at {address} answered {status}: {answer}")


def translated(error: Exception, address: EngineAddress) -> InfrastructureError:  # noqa: PLR0911 - a table
    """Give the error of ours for one of the SDK, or of what it is made of. To be raised `from` that one."""
    import docker.errors  # noqa: PLC0415 - with the client, which is there, the SDK is loaded
    import requests.exceptions  # noqa: PLC0415
    import urllib3.exceptions  # noqa: PLC0415

    if isinstance(error, docker.errors.APIError):
        error.explanation = _without_headers(error.explanation, error.response)  # a traceback prints it
    match error:
        case InfrastructureError():
            return error
        case docker.errors.APIError() if error.status_code in _OF_A_PROXY:
            return _lost_by_proxy(address, error.status_code, error.explanation)
        case docker.errors.APIError():
            missing = isinstance(error, docker.errors.ImageNotFound)
            return EngineRefusal(address, error.status_code or 0, _answer(error.explanation), image_missing=missing)
        case requests.exceptions.HTTPError() if error.response is not None:
            status, message = error.response.status_code, _without_headers(_message(error.response), error.response)
            if status in _OF_A_PROXY:
                return _lost_by_proxy(address, status, message)
            return EngineRefusal(address, status, _answer(message))
        case requests.exceptions.ReadTimeout() | urllib3.exceptions.ReadTimeoutError():
            return InfrastructureNotAvailable(
                f"The Docker engine at {address} did not answer in time. Check whether it is overloaded or hangs."
            )
        case requests.exceptions.RequestException() | urllib3.exceptions.HTTPError() | OSError():
            return not_connected(address, error)
        case docker.errors.DockerException():
            return InfrastructureError(f"The Docker engine at {address} cannot be used: {error}")
        case _:
            return InfrastructureError(f"The Docker engine at {address} answered what is not understood: {error}")


def not_connected(address: EngineAddress, error: BaseException) -> InfrastructureNotAvailable:
    """Give the error of an engine that is out of reach."""
    problem = next((text for text in map(_problem, exception_chain(error)) if text), type(error).__name__)
    hint = _HINTS.get(_number(error), "Check that the engine runs and that DOCKER_HOST or the docker context is right.")
    return InfrastructureNotAvailable(f"Could not connect to Docker at {address}: {problem}. {hint}")


def _lost_by_proxy(address: EngineAddress, status: int, answer: str | None) -> InfrastructureNotAvailable:
    """Give the error of an answer that comes from between us and the engine, which may have acted or not."""
    return InfrastructureNotAvailable(
        f"Could not connect to Docker at {address}: it answered {status}: {_answer(answer)}. Check the engine, and "
        "what stands between it and here."
    )


_HINTS = {
    errno.EACCES: "Add the user to the group that owns the socket (mostly `docker`), and log in again.",
    errno.ECONNREFUSED: "Start the engine, or set DOCKER_HOST or the docker context to one that runs.",
    errno.ENOENT: "Start the engine, or set DOCKER_HOST or the docker context to one that runs.",
    errno.EMFILE: "No file descriptors are left; raise `ulimit -n` or run fewer at once.",
}


def _without_headers(answer: str | None, response: Response | None) -> str:
    """Mask in an answer what the headers of its request held."""
    headers: Mapping[str, str | bytes] = getattr(getattr(response, "request", None), "headers", {})
    credentials = [value for name, value in headers.items() if name.lower() not in _HEADERS_WITHOUT_CREDENTIALS]
    texts = [value.decode("latin-1") if isinstance(value, bytes) else value for value in credentials]
    return without_credentials(answer or "", [part for text in texts for part in (text, text.rpartition(" ")[2])])


def _message(response: Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text


def _answer(text: str | None) -> str:
    text = " ".join((text or "no reason given").split())
    return text if len(text) <= _LONGEST_ANSWER else text[:_LONGEST_ANSWER] + "…"


def _number(error: BaseException) -> int:
    return next((each.errno or 0 for each in exception_chain(error) if _has_number(each)), 0)


def _has_number(error: BaseException) -> TypeGuard[OSError]:
    """Say whether the operating system has raised it: those of requests are OSErrors with anything in their place."""
    return isinstance(error, OSError) and isinstance(error.errno, int) and bool(error.strerror)


def _problem(error: BaseException) -> str:
    """Say what is wrong, without the request that the SDK would tell about."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if _has_number(error):
        return str(error.strerror)
    return "no answer in time" if "Timeout" in type(error).__name__ else ""
