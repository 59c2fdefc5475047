"""Telling the controller at once that the demand of PROOF users has changed, instead of at the next scrape.

The message is ``{"source": "proof", "demand_sessions": n, "queue_depth": n, "running_sessions": n, "at": seconds since
the epoch}``. Only the newest state is worth sending; what is unknown is not sent at all.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

from prometheus_client.core import CounterMetricFamily, Metric

from exporters.proof.admin_area import AdminArea
from exporters.proof.delivery import Delivery
from exporters.proof.sessions import Demand, demand_of, masters
from exporters.proof.watching import AreaWatch
from exporters.serving import SourceUnavailable

log = logging.getLogger(__name__)

# After reading, rest this many times the CPU time it took: a storm of events must not take the machine from its users.
REST_RATIO = 9.0

# When inotify refuses, for example at its limit of watches, only asking again tells when it does no more.
TRY_AGAIN_AFTER_S = 15.0


class Notifier:
    """Sends the demand of ``area`` whenever it changes, from a thread of its own.

    ``area`` is for the notifier alone: it is read at other times than a scrape's.
    """

    def __init__(self, area: AdminArea, delivery: Delivery) -> None:
        self._area = area
        self._delivery = delivery
        self._changed = threading.Event()
        self._closed = threading.Event()
        self._watch = AreaWatch(area.path, self._changed.set)
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
        self._told: Demand | None = None
        self._complaint = ""
        self._rest_s = 0.0

    def start(self) -> None:
        """Tell the state as it is now, and from now on each change."""
        self._thread.start()

    def close(self) -> None:
        """Tell nothing any more; waits for a request under way."""
        self._closed.set()
        self._changed.set()
        self._thread.join()
        self._watch.close()

    def beside(self, read: Callable[[], Iterable[Metric]]) -> Callable[[], Iterable[Metric]]:
        """Return ``read`` with the metrics of the notifier added, whether the source can be read or not."""

        def read_both() -> Iterable[Metric]:
            try:
                return [*read(), *self._metrics()]
            except SourceUnavailable as unavailable:
                known = [*unavailable.known, *self._metrics()]
                raise SourceUnavailable(unavailable.reason, known) from unavailable

        return read_both

    def _metrics(self) -> Iterator[Metric]:
        sent = "Changes of demand that --notify was told."
        yield CounterMetricFamily("proof_notifications", sent, self._delivery.delivered)
        failed = "Attempts to tell --notify that failed."
        yield CounterMetricFamily("proof_notification_failures", failed, self._delivery.failed)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._changed.clear()
            try:
                unarmed = [*self._arm()]
                pauses_s = [*unarmed, *self._tell()]
                self._complaint = self._complaint if unarmed else ""
            except Exception as error:  # noqa: BLE001 - whatever it is, the next change must be told
                pauses_s = [self._complain(f"unexpected {type(error).__name__}: {error}")]
            self._closed.wait(self._rest_s)
            self._changed.wait(min(pauses_s, default=None))

    def _arm(self) -> Iterator[float]:
        """Watch what is there; yield after how many seconds to try again if that failed."""
        try:
            self._watch.arm()
        except OSError as error:
            yield self._complain(f"cannot watch {error.filename or self._area.path}: {error.strerror}")

    def _complain(self, complaint: str) -> float:
        """Log it once while it lasts; return after how many seconds to try again."""
        if complaint != self._complaint:
            log.warning("proof: %s; --notify tells of changes late", complaint)
        self._complaint = complaint
        return TRY_AGAIN_AFTER_S

    def _tell(self) -> Iterator[float]:
        """Send the demand if it is new; yield after how many seconds to look again even if no file has changed."""
        begun_s = time.thread_time()
        try:
            sessions = self._area.sessions()
        except SourceUnavailable:
            # The next scrape says why.
            return
        finally:
            self._rest_s = REST_RATIO * (time.thread_time() - begun_s)
        now = self._area.clock()
        demand = demand_of(sessions, now, self._area.waiting())
        if demand != self._told:
            if self._delivery.send({"source": "proof", **asdict(demand), "at": now}):
                self._told = demand
            else:
                yield self._delivery.pause_s
        settling = [at_s - now for session in masters(sessions) if (at_s := session.settles_at_s(now)) is not None]
        if settling:
            yield max(0.0, min(settling))
