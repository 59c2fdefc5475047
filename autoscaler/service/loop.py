"""The endless loop, by APScheduler: cycles never overlap, late ones are merged, one that fails is logged."""

import logging
import queue
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from autoscaler.contracts import StoreError

_log = logging.getLogger("autoscaler")


def run_cycles(cycle: Callable[[], object], interval: timedelta, cycles: int | None) -> int:
    """Call ``cycle`` every ``interval`` until ``cycles`` are done or SIGTERM or SIGINT comes; return how many failed.

    Must be called in the main thread, because of the signals.
    """
    # Unlike an Event, a SimpleQueue may be used in a signal handler that interrupts the thread waiting on it.
    ends: queue.SimpleQueue[None] = queue.SimpleQueue()
    ending = False
    failed = 0
    left = cycles

    def end(*_: object) -> None:
        nonlocal ending
        ending = True
        ends.put(None)

    def job() -> None:
        nonlocal failed, left
        if ending:
            return
        try:
            cycle()
        except Exception as error:  # noqa: BLE001 - the loop outlives whatever a cycle raises
            failed += 1
            known = isinstance(error, StoreError)
            _log.error("this cycle failed, the next one comes: %s", error, exc_info=not known)
        if left is not None:
            left -= 1
            if not left:
                end()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    scheduler = BackgroundScheduler(timezone=UTC, executors={"default": ThreadPoolExecutor(1)})
    scheduler.add_job(
        job,
        "interval",
        seconds=interval.total_seconds(),
        max_instances=1,
        coalesce=True,
        misfire_grace_time=None,
        next_run_time=datetime.now(UTC),
    )
    scheduler.start()
    ends.get()
    scheduler.shutdown(wait=True)
    return failed
