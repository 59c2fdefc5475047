"""The web server of an exporter: /metrics, a page for people at /, TLS and basic authentication.

prometheus_client makes the exposition and brings the threading server; what stands here is what its
``start_http_server`` cannot be given: a page of one's own, and a lock on the door.
"""

import base64
import binascii
import functools
import html
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO
from wsgiref.simple_server import WSGIRequestHandler

import bcrypt
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from exporters.serving.options import Address, Serving

# Nobody who asks for metrics is silent for so long in the middle of a request.
REQUEST_TIMEOUT_S = 15

Environment = Mapping[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Any, Any], Iterable[bytes]]

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>vaf-exporter {name}</title></head>
<body><h1>vaf-exporter {name}</h1><p>{about}</p><p><a href="/metrics">Metrics</a></p></body></html>
"""


class _Writer:
    """Says that the pipe is broken whatever keeps an answer from its client, as that is what wsgiref passes over."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        """Send ``data``; a client that speaks TLS leaves with an error of its own, a slow one with a time-out."""
        try:
            return self._stream.write(data)
        except OSError as error:
            raise BrokenPipeError from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT_S

    def setup(self) -> None:
        """Prepare the streams."""
        super().setup()
        self.wfile: Any = _Writer(self.wfile)

    def handle(self) -> None:
        """Answer one request; a client that is gone, or speaks no TLS, is none of the log's business."""
        with suppress(OSError):
            super().handle()

    def log_message(self, *_: Any) -> None:
        """Log no requests."""


class _Server(ThreadingWSGIServer):
    def __init__(self, address: Address, tls: ssl.SSLContext | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._tls = tls
        super().__init__((address.host, address.port), _Handler)

    def get_request(self) -> tuple[Any, Any]:
        """Take a connection; its handshake is left to its own thread: a client that never makes it delays nobody."""
        connection, address = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address


class WebServer:
    """Serves ``registry`` in a thread until :meth:`close`; ``name`` and ``about`` are for the page at /.

    Raises :class:`OSError` if the address cannot be listened on.
    """

    def __init__(self, registry: CollectorRegistry, serving: Serving, name: str, about: str) -> None:
        self._server = _Server(serving.listen, serving.web.tls)
        page = with_page(make_wsgi_app(registry), name, about)
        self._server.set_app(with_basic_auth(page, serving.web.users))
        address = Address(serving.listen.host, self._server.server_port)
        self.url = f"{'https' if serving.web.tls else 'http'}://{address}/metrics"
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and give the address back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def with_page(metrics: Application, name: str, about: str) -> Application:
    """Serve a page for people at /, ``metrics`` at /metrics, and nothing elsewhere."""
    page = PAGE.format(name=html.escape(name), about=html.escape(about)).encode()

    def application(environ: Environment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            return metrics(environ, start_response)
        if path == "/":
            start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
            return [page]
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"Not found: the metrics are at /metrics.\n"]

    return application


def with_basic_auth(application: Application, users: Mapping[str, str]) -> Application:
    """Let only ``users`` (bcrypt hashes by name) pass (RFC 7617); without any, everybody."""
    if not users:
        return application
    # A name that is not there takes as long as one that is, and tells nothing to who measures.
    nobody = next(iter(users.values()))

    @functools.lru_cache(maxsize=64)  # bcrypt is slow by design, and Prometheus comes with the same words each time
    def allowed(header: str) -> bool:
        credentials = _credentials(header)
        if credentials is None:
            return False
        user, password = credentials
        matches = bcrypt.checkpw(password[:72], users.get(user, nobody).encode())
        return matches and user in users

    def guarded(environ: Environment, start_response: StartResponse) -> Iterable[bytes]:
        if allowed(environ.get("HTTP_AUTHORIZATION", "")):
            return application(environ, start_response)
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("WWW-Authenticate", 'Basic realm="vaf-exporter"')]
        start_response("401 Unauthorized", headers)
        return [b"Unauthorized\n"]

    return guarded


def _credentials(header: str) -> tuple[str, bytes] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, UnicodeDecodeError):
        return None
