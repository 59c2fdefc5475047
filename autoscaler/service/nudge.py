"""The address at which the PROOF exporter's ``--notify`` tells that the demand has changed.

What is posted is a hint and never a reading: it brings the next cycle at once, and that one reads for itself. So it
needs no trust: whoever can reach it can cause a cycle, at most one each second.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

# The exporter's message has a hundred bytes.
LARGEST_BYTES = 4096
TIMEOUT_S = 5.0


class NudgeError(Exception):
    """The address cannot be listened on; the message names it."""


@contextmanager
def nudged_at(address: tuple[str, int], nudge: Callable[[], None]) -> Iterator[tuple[str, int]]:
    """Call ``nudge`` for each POST while the ``with`` block runs; yield the address, with the port that was given.

    Raises ``NudgeError``.
    """
    handler = type("NudgeHandler", (_Handler,), {"nudge": staticmethod(nudge)})
    try:
        server = ThreadingHTTPServer(address, handler)
    except OSError as error:
        raise NudgeError(f"controller.notify_listen: {address[0]}:{address[1]}: {error.strerror}") from None
    thread = Thread(target=server.serve_forever, name="nudge", daemon=True)
    thread.start()
    try:
        yield address[0], server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    nudge: Callable[[], None]
    timeout = TIMEOUT_S

    def do_POST(self) -> None:
        """Take a message of any content."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BYTES:
            self.close_connection = True
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        self.rfile.read(int(length))
        self.nudge()
        self.send_response(HTTPStatus.ACCEPTED)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Cycles are recorded, hints are not worth a line."""
