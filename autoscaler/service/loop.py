"""The endless loop, by APScheduler: cycles never overlap, late ones are merged, one that fails is logged."""

import logging
import queue
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from autoscaler.contracts import StoreError
from autoscaler.service.notify import tell
from autoscaler.service.refit import Refit
from autoscaler.service.retention import EVERY_S, Retention
from autoscaler.service.zone import site_zone

_log = logging.getLogger("autoscaler")

# How often the waiting thread looks whether cycles still come.
LOOK_S = 1.0

HURRY, RELOAD, END = "hurry", "reload", "end"

# However often the bell is rung.
LEAST_DISTANCE_S = 1.0

# A cycle may be late for a slow source; after so many intervals without one, the clock is at fault.
LATE_INTERVALS = 3

# What a round returns in which another controller leads: it is no cycle, neither a good one nor one that failed.
NO_CYCLE = object()

REFIT, RETENTION = "refit", "retention"
# A machine that slept through the night trains when it wakes, unless it is long past.
REFIT_GRACE_S = 6 * 3600


class Bell:
    """Brings the next cycle at once when it is rung, from any thread; before and after the loop it does nothing."""

    def __init__(self) -> None:
        self._answer: Callable[[], None] | None = None

    def ring(self) -> None:
        """Ask for a cycle now. Rung again before that cycle begins, it is one cycle."""
        answer = self._answer
        if answer is not None:
            answer()

    def answered_by(self, answer: Callable[[], None] | None) -> None:
        """Say what ringing does."""
        self._answer = answer


def run_cycles(
    cycle: Callable[[], object],
    interval: timedelta,
    cycles: int | None,
    bell: Bell,
    *,
    refit: Refit | None = None,
    reload: Callable[[], None] | None = None,
    retention: Retention | None = None,
) -> int:
    """Call ``cycle`` every ``interval`` until ``cycles`` are done or SIGTERM or SIGINT comes; return how many failed.

    ``bell`` brings the next one sooner; ``refit`` runs each day and ``retention`` now and then, beside the cycles;
    ``reload``, which must not raise, runs between two cycles after SIGHUP. Must be called in the main thread, because
    of the signals.
    """
    runs = _Runs(cycle, cycles, reload)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, runs.end)
    if reload is not None:
        signal.signal(signal.SIGHUP, runs.ask_to_reload)
    scheduler = BackgroundScheduler(timezone=UTC, executors={"default": ThreadPoolExecutor(1)})
    if refit is not None:
        _plan_refit(scheduler, refit)
    if retention is not None:
        _plan_retention(scheduler, retention)
    job = scheduler.add_job(
        runs.run,
        "interval",
        seconds=interval.total_seconds(),
        max_instances=2,  # the one thread keeps them apart; one may be asked for while another runs
        coalesce=True,
        misfire_grace_time=None,
        next_run_time=datetime.now(UTC),
    )
    runs.at_once = lambda: job.modify(next_run_time=datetime.now(UTC))
    bell.answered_by(runs.hurry)
    scheduler.start()
    while not runs.ended(LOOK_S):
        if runs.overdue(LATE_INTERVALS * interval.total_seconds()):
            # APScheduler waits for a wall-clock time; after the clock was set back, that is far away.
            _log.warning("no cycle for %d intervals, was the clock set back? the next one comes now", LATE_INTERVALS)
            runs.at_once()
    tell("STOPPING=1")
    bell.answered_by(None)
    if refit is not None:
        refit.end()
    if retention is not None:
        retention.end()
    scheduler.shutdown(wait=True)
    return runs.failed


def _plan_refit(scheduler: BackgroundScheduler, refit: Refit) -> None:
    """Each day at its time by the site's clock, in a thread that is not the cycles'."""
    scheduler.add_executor(ThreadPoolExecutor(1), REFIT)
    at = refit.at
    scheduler.add_job(
        refit.run,
        "cron",
        hour=at.hour,
        minute=at.minute,
        second=at.second,
        timezone=site_zone(),
        executor=REFIT,
        coalesce=True,
        misfire_grace_time=REFIT_GRACE_S,
    )


def _plan_retention(scheduler: BackgroundScheduler, retention: Retention) -> None:
    """Now and then, in a thread that is not the cycles'."""
    scheduler.add_executor(ThreadPoolExecutor(1), RETENTION)
    scheduler.add_job(
        retention.run, "interval", seconds=EVERY_S, executor=RETENTION, coalesce=True, misfire_grace_time=None
    )


class _Runs:
    """Counts the cycles, and knows by a clock that nobody sets when the last one was there."""

    def __init__(
        self, cycle: Callable[[], object], cycles: int | None, reload: Callable[[], None] | None = None
    ) -> None:
        self.failed = 0
        self.at_once: Callable[[], None] = lambda: None
        self._cycle = cycle
        self._reload = reload
        self._reload_asked = False
        self._told: str | None = None
        self._left = cycles
        self._ending = False
        # Unlike an Event, a SimpleQueue may be used in a signal handler that interrupts the thread waiting on it.
        self._news: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._running = False
        self._hurried = False
        self._turn = threading.Lock()
        self._newest = time.monotonic()

    def hurry(self) -> None:
        """Bring the next cycle now, or right after the one that runs: that one may have read before the news."""
        with self._turn:
            self._hurried = True
            if not self._running:
                self._news.put(HURRY)

    def ask_to_reload(self, *_: object) -> None:
        """Reload before the next cycle, which comes now; may be a signal handler, and so waits for no lock."""
        self._reload_asked = True
        self._news.put(RELOAD)

    def run(self) -> None:
        """One cycle; never raises."""
        if self._ending:
            return
        self._begin()
        if self._reload_asked and self._reload is not None:
            self._reload_asked = False
            self._reload()
        done: object = None
        try:
            done = self._cycle()
        except Exception as error:  # noqa: BLE001 - the loop outlives whatever a cycle raises
            self._tell_failed(error)
        else:
            if done is not NO_CYCLE:
                self._tell_finished()
        with self._turn:
            self._newest, self._running = time.monotonic(), False
            if self._hurried:
                self._news.put(HURRY)
        if self._left is not None and done is not NO_CYCLE:
            self._left -= 1
            if not self._left:
                self.end()

    def _tell_failed(self, error: Exception) -> None:
        """Log a problem once, however many cycles it lasts."""
        self.failed += 1
        problem = f"{type(error).__name__}: {error}"
        if problem != self._told:
            _log.error("this cycle failed, the next one comes: %s", error, exc_info=not isinstance(error, StoreError))
        self._told = problem

    def _tell_finished(self) -> None:
        if self._told is not None:
            _log.info("cycles finish again")
        self._told = None

    def _begin(self) -> None:
        """Keep cycles that were asked for at a distance; what rings meanwhile is this cycle's."""
        with self._turn:
            self._running = True
        if self._hurried:
            time.sleep(max(0.0, LEAST_DISTANCE_S - (time.monotonic() - self._newest)))
        with self._turn:
            self._hurried = False

    def end(self, *_: object) -> None:
        """Let no further cycle begin; may be a signal handler."""
        self._ending = True
        self._news.put(END)

    def ended(self, timeout_s: float) -> bool:
        """Wait for the end, at most so long; bring the next cycle meanwhile if it is asked for.

        Only the waiting thread touches the scheduler: any other could meet it while it shuts down, and wait for ever.
        """
        try:
            news = self._news.get(timeout=timeout_s)
        except queue.Empty:
            return self._ending
        if news == RELOAD:
            self.hurry()
        if news == HURRY and not self._ending:
            self.at_once()
        return self._ending

    def overdue(self, after_s: float) -> bool:
        """Whether no cycle runs and none has run for so long; asked again, it waits as long again."""
        if self._running or time.monotonic() - self._newest <= after_s:
            return False
        self._newest = time.monotonic()
        return True
