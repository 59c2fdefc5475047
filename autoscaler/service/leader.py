"""Of several controllers with one store, the one that leads; the others stand by.

A thread of its own asks the store again and again: cycles may be long, and must not cost the lead.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from autoscaler.contracts import StoreError
from autoscaler.store.database import Leader

_log = logging.getLogger("autoscaler")

BEAT_S = 0.5
# After so long without an answer another one may soon lead: the store's server waits only a second longer.
LEASE_S = 5.0
# What a stopping controller waits for an answer that is under way.
END_S = 5.0


def holds(answered_at_s: float | None, now_s: float) -> bool:
    """Whether who led when the store was asked at ``answered_at_s``, and then answered, surely still leads."""
    return answered_at_s is not None and now_s - answered_at_s < LEASE_S


def standby_words(leader: Leader | None, problem: str | None) -> str:
    """What a controller that does not lead says of itself."""
    if problem is not None:
        return f"standby, no host is resized by this controller: {problem}"
    return "standby, nobody leads" if leader is None else f"standby, leader is {leader.name}"


class Candidate(Protocol):
    """What the election asks of its part in the store; each method raises ``StoreError``."""

    def campaign(self) -> int | None:
        """Try to lead; return the new term, ``None`` when somebody else leads."""
        ...

    def beat(self) -> None:
        """Raise unless this one still leads."""
        ...

    def leader(self) -> Leader | None:
        """Who leads."""
        ...

    def resign(self) -> None:
        """Lead no more, and let others."""
        ...


class Leadership:
    """Leads when it can. ``changed`` is called, in its thread, each time that it begins or ends."""

    def __init__(
        self, candidate: Candidate, changed: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._problem: str | None = None
        self._candidate = candidate
        self._changed = changed
        self._clock = clock
        self._term: int | None = None
        self._answered_at_s: float | None = None
        self._leader: Leader | None = None
        self._told_of: Leader | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leader", daemon=True)

    @property
    def term(self) -> int | None:
        """The term in which this controller leads, ``None`` when it does not, or does not know."""
        return self._term if holds(self._answered_at_s, self._clock()) else None

    @property
    def problem(self) -> str | None:
        """Why it is not known who leads, ``None`` when it is."""
        if self._problem is None and not holds(self._answered_at_s, self._clock()):
            return "the store does not answer"
        return self._problem

    @property
    def words(self) -> str:
        """How a controller that stands by is."""
        return standby_words(self._leader, self.problem)

    def begin(self) -> None:
        """Ask once, so that a first cycle knows, and go on asking."""
        self.step()
        self._thread.start()

    def end(self) -> None:
        """Ask no more, and let another one lead at once."""
        self._ending.set()
        self._thread.join(END_S)

    def step(self) -> None:
        """Ask once; never raises."""
        asked_at_s, led = self._clock(), self._term
        try:
            self._ask()
        except StoreError as error:
            self._term, self._problem = None, str(error)
        except Exception as error:  # noqa: BLE001 - a thread that ended would leave a standby for ever
            self._term, self._problem = None, f"{type(error).__name__}: {error}"
        else:
            self._answered_at_s, self._problem = asked_at_s, None
        if self._term != led:
            self._tell()
            self._changed()
        if self._term is None and self.problem is None and self._leader != self._told_of:
            # Once for each leader: a log must show that a machine which does nothing is well.
            self._told_of = self._leader
            _log.info("%s", self.words)

    def _ask(self) -> None:
        if self._term is not None:
            self._candidate.beat()
            return
        self._term = self._candidate.campaign()
        if self._term is None:
            self._leader = self._candidate.leader()

    def _tell(self) -> None:
        if self._term is not None:
            _log.info("this controller leads now, in term %d", self._term)
        else:
            _log.warning("this controller leads no more: %s", self.problem)

    def _run(self) -> None:
        while not self._ending.wait(BEAT_S):
            self.step()
        self._candidate.resign()


class LeaderMetric(Collector):
    """Whether this controller leads; one that is alone always does."""

    def __init__(self, leads: Callable[[], bool]) -> None:
        self._leads = leads

    def collect(self) -> Iterator[Metric]:
        """One gauge."""
        yield GaugeMetricFamily(
            "autoscaler_leader",
            "Whether this controller leads (1) or stands by (0); one without a standby leads.",
            float(self._leads()),
        )
