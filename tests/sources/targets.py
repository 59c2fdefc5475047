"""Exporters whose text a test sets, and servers that misbehave; all on the loopback."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.testbed.processes import free_port


def exposition(
    *,
    up: float = 1,
    queued: float | str | None = 0,
    running: float | str | None = 0,
    fresh_at: float | str | None = 1e9,
) -> str:
    """What an exporter of the job ``proof`` shows; ``None`` leaves a metric out."""
    values = {
        "proof_up": up,
        "proof_last_success_timestamp_seconds": fresh_at,
        "proof_queue_depth": queued,
        'proof_sessions{state="idle"}': 7,
        'proof_sessions{state="running"}': running,
    }
    return "".join(f"{name} {value}\n" for name, value in values.items() if value is not None)


class Target:
    """An exporter on one address; ``up()`` and ``down()`` as often as a test likes."""

    def __init__(self) -> None:
        self.text = exposition()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/metrics"
        self._server: ThreadingHTTPServer | None = None

    def up(self) -> None:
        """Serve, if it does not already."""
        if self._server is not None:
            return
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = target.text.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """A test's output is not the place for each request."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def down(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@contextmanager
def running_targets(count: int) -> Iterator[list[Target]]:
    """So many exporters, ended at the end."""
    targets = [Target() for _ in range(count)]
    try:
        for target in targets:
            target.up()
        yield targets
    finally:
        for target in targets:
            target.down()


@contextmanager
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def server_that_sends(data: bytes) -> Iterator[str]:
    """The address of a server that sends just these bytes to whoever asks first, and hangs up."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(timeout=30)


def refused_address() -> str:
    """An address nothing listens on."""
    return f"http://127.0.0.1:{free_port()}"
