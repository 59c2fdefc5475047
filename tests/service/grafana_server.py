"""A little Grafana: a real HTTP server that takes annotations, and does whatever a test wants before."""

import json
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "glsa_seCret"

Trick = Callable[["Handler"], None]


class FakeGrafana:
    """What it was told: ``requests`` are all of them, ``annotations`` those that it keeps, by their ids.

    Each trick that is put into ``tricks`` is played on one request, in place of an answer.
    """

    def __init__(self) -> None:
        self.token = TOKEN
        self.requests: list[tuple[str, str]] = []
        self.annotations: dict[int, dict[str, Any]] = {}
        self.tricks: queue.SimpleQueue[Trick] = queue.SimpleQueue()
        self.url = ""

    def plays(self, *tricks: Trick) -> None:
        """Play these on the next requests."""
        for trick in tricks:
            self.tricks.put(trick)

    def texts(self) -> list[str]:
        """The texts of all annotations."""
        return [each["text"] for each in self.annotations.values()]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    grafana: FakeGrafana

    def do_POST(self) -> None:
        """Take a new one, as Grafana does."""
        self._take(lambda: len(self.grafana.annotations) + 1, "Annotation added")

    def do_PUT(self) -> None:
        """Take another body for one."""
        self._take(lambda: int(self.path.rpartition("/")[2]), "Annotation updated")

    def _take(self, find: Callable[[], int], message: str) -> None:
        self.grafana.requests.append((self.command, self.path))
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.grafana.tricks.empty():
            self.grafana.tricks.get()(self)
        elif self.headers["Authorization"] != f"Bearer {self.grafana.token}":
            self.answer(401, {"message": "Invalid API key"})
        else:
            number = find()
            self.grafana.annotations[number] = body
            self.answer(200, {"message": message, "id": number})

    def answer(self, status: int, body: object, **headers: str) -> None:
        """Answer with JSON, or with a text as it is."""
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Tests look at what is kept."""


@contextmanager
def grafana() -> Iterator[FakeGrafana]:
    """Serve one on a free port."""
    fake = FakeGrafana()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("GrafanaHandler", (Handler,), {"grafana": fake}))
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answers(status: int, body: object = "", **headers: str) -> Trick:
    """A trick: another answer."""
    return lambda handler: handler.answer(status, body, **headers)


def hangs_up(handler: Handler) -> None:
    """A trick: no answer."""
    handler.close_connection = True


def garbage(handler: Handler) -> None:
    """A trick: nothing of HTTP."""
    handler.wfile.write(b"\x00\xff SSH-2.0-OpenSSH_9.2\r\n")
    handler.close_connection = True
