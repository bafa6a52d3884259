"""A server that answers some requests, as another one answers them, and then is gone."""

from __future__ import annotations

import http.client
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

from tests.processes import WAIT_SECONDS
from tests.served import served

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class ServerThatGoesAway:
    """Passes requests on and their answers back, and closes every connection from then on.

    Args:
        port: The port of the other server on the loopback address.
        after: How many requests it answers, without those that the other one is too busy for.
        keeps_last_answer: Whether it passes one request more on, and goes away before the answer.
    """

    def __init__(self, port: int, after: int, *, keeps_last_answer: bool = False) -> None:
        class Handler(BaseHTTPRequestHandler):
            left = after + keeps_last_answer

            def _pass_on(self) -> None:
                if type(self).left == 0:
                    self.close_connection = True
                    return
                type(self).left -= 1
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
                connection.request(self.command, self.path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                # Its database is busy: the same request comes again, and counts once.
                if answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
                    type(self).left += 1
                elif keeps_last_answer and type(self).left == 0:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_DELETE = _pass_on  # noqa: N815 (http.server's)

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._serving = served(self._server)

    @property
    def api_url(self) -> str:
        """The value for PREFECT_API_URL."""
        return f"http://127.0.0.1:{self._server.server_port}/api"

    def __enter__(self) -> Self:
        self._serving.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._serving.__exit__(kind, error, trace)
