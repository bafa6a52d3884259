"""Requests to the Prefect API, with the address and the credentials of the Prefect settings in force."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from infrablocks import _environment
from infrablocks._credentials import basic_authorization, bearer_token
from infrablocks._pauses import Pauses
from infrablocks._threads import cancellation_requested
from infrablocks.exceptions import BlockStoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
_BUSY_SECONDS = 15.0


class PrefectClient:
    """Makes requests, each on a connection of its own: a save or a load is a handful of them.

    Raises:
        BlockStoreError: No address is set, or the extra `prefect` is not installed.
    """

    def __init__(self) -> None:
        self._settings = _environment.prefect_settings()
        self._url = self._settings.get("PREFECT_API_URL", "").rstrip("/")
        if not self._url:
            raise BlockStoreError(
                "INFRABLOCKS_STORE is prefect, but PREFECT_API_URL is not set: set it to the address of a Prefect API, "
                "such as http://127.0.0.1:4200/api, as a variable or in the active profile of Prefect"
            )
        self._location = _without_credentials(self._url)
        try:
            import httpx  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise BlockStoreError("blocks in the Prefect API need httpx: pip install 'infrablocks[prefect]'") from error
        self._httpx = httpx

    @property
    def location(self) -> str:
        """The address, without a user and a password that may stand in it."""
        return self._location

    def get(self, path: str, **query: str) -> Any:
        """Ask for something; None when it is not there."""
        return self._request("GET", path, query=query, expected={HTTPStatus.NOT_FOUND: None})

    def post(self, path: str, body: Mapping[str, Any], *, conflict: bool = False) -> Any:
        """Send something and give what came of it.

        Args:
            path: The path below the address of the API.
            body: What to send.
            conflict: Give None when the server says that it has such a thing already.
        """
        return self._request("POST", path, body=body, expected={HTTPStatus.CONFLICT: None} if conflict else {})

    def patch(self, path: str, body: Mapping[str, Any]) -> bool:
        """Change something; false when it is not there."""
        return self._request("PATCH", path, body=body, expected={HTTPStatus.NOT_FOUND: False}) is not False

    def delete(self, path: str) -> bool:
        """Delete something; false when it is not there."""
        return self._request("DELETE", path, expected={HTTPStatus.NOT_FOUND: False}) is not False

    def _request(
        self,
        method: str,
        path: str,
        *,
        expected: Mapping[HTTPStatus, Any],
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        httpx = self._httpx
        try:
            answer = self._answer(method, f"{self._url}{path}", json=body, params=query)
        except (httpx.HTTPError, OSError) as error:
            raise BlockStoreError(
                f"the Prefect API at {self.location} is out of reach ({type(error).__name__}): look whether the server "
                "runs and PREFECT_API_URL is its address"
            ) from error
        except (httpx.InvalidURL, ImportError, ValueError) as error:
            problem = type(error).__name__
        else:
            return self._value_of(answer, f"{method} {path}", expected)
        # Not while that one is handled: it may quote a password.
        raise BlockStoreError(
            f"the Prefect API cannot be asked ({problem}): look whether PREFECT_API_URL, and the proxy that "
            "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names, are addresses that httpx can use"
        )

    def _value_of(self, answer: httpx.Response, request: str, expected: Mapping[HTTPStatus, Any]) -> Any:
        for status, value in expected.items():
            if answer.status_code == status:
                return value
        if not answer.is_success:
            self._refused(answer, request)
        if answer.status_code == HTTPStatus.NO_CONTENT:
            return True
        try:
            return answer.json()
        except ValueError as error:
            raise BlockStoreError(
                f"what answers at {self.location} is no Prefect API: look at PREFECT_API_URL, which ends with /api"
            ) from error

    def _answer(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        """Send a request, again where the server says 503: it has changed nothing then, as its database was locked."""
        pauses, deadline = Pauses(), time.monotonic() + _BUSY_SECONDS
        with self._client() as client:
            while True:
                answer = client.request(method, url, **arguments)
                is_final = answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE
                if is_final or time.monotonic() > deadline or cancellation_requested():
                    return answer
                time.sleep(pauses.next())

    def _client(self) -> httpx.Client:
        timeout = self._httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
        return self._httpx.Client(headers=self._credentials(), timeout=timeout, verify=self._verification())

    def _credentials(self) -> dict[str, str]:
        if key := self._settings.get("PREFECT_API_KEY"):
            try:
                return {"Authorization": f"Bearer {bearer_token(key, 'PREFECT_API_KEY')}"}
            except ValueError as error:
                raise BlockStoreError(f"the Prefect API cannot be asked: {error}") from None
        # A line break at its end is that of the file it comes from.
        if user_and_password := self._settings.get("PREFECT_API_AUTH_STRING", "").rstrip("\r\n"):
            return {"Authorization": basic_authorization(user_and_password)}
        return {}

    def _verification(self) -> Any:
        if self._settings.get("PREFECT_API_TLS_INSECURE_SKIP_VERIFY", "").lower() in {"1", "true", "yes", "on"}:
            return False
        if (file := self._settings.get("PREFECT_API_SSL_CERT_FILE")) and self._url.startswith("https:"):
            import ssl  # noqa: PLC0415 - costs import time

            return ssl.create_default_context(cafile=file)
        return self._url.startswith("https:")  # without TLS the authorities are not worth reading

    def _refused(self, answer: httpx.Response, request: str) -> NoReturn:
        # Never the body: the server repeats in it what it was sent, secrets included.
        if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            advice = "look at PREFECT_API_KEY or PREFECT_API_AUTH_STRING"
        elif answer.is_server_error:
            advice = "its own log says why; try again later"
        else:
            advice = "look whether PREFECT_API_URL is the address of a Prefect API, of version 3"
        raise BlockStoreError(
            f"the Prefect API at {self.location} answered {request} with status {answer.status_code}: {advice}"
        )


def _without_credentials(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BlockStoreError(
            "PREFECT_API_URL is not the address of a Prefect API: it must look like http://127.0.0.1:4200/api"
        )
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
