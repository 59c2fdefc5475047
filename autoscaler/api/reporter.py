"""The bell and the counters of the API's process, as the controller hears of them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import msgspec

from autoscaler.api.messages import Report
from autoscaler.api.metrics import ApiMetrics

REPORT_S = 0.5
# However often the bell is rung.
LEAST_DISTANCE_S = 0.05


class Reporter:
    """Sends reports in a thread of its own, so that no request waits for the controller."""

    def __init__(self, line: Connection, metrics: ApiMetrics) -> None:
        self._line = line
        self._metrics = metrics
        self._rung = threading.Event()
        self._news = threading.Event()
        self._ending = threading.Event()

    def ring(self) -> None:
        """Ring the loop's bell, soon."""
        self._rung.set()
        self._news.set()

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Report while the ``with`` block runs, and what is left at its end."""
        thread = threading.Thread(target=self._run, name="reports", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ending.set()
            self._news.set()
            thread.join()

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                self._news.wait(REPORT_S)
                self._news.clear()
                self._send()
                self._ending.wait(LEAST_DISTANCE_S)
            self._send()
        except OSError:
            # The controller is gone; the main thread finds that out as well.
            return

    def _send(self) -> None:
        rings = self._rung.is_set()
        # Who rings after this is in the next report.
        self._rung.clear()
        self._line.send_bytes(msgspec.json.encode(Report(rings, self._metrics.taken())))
