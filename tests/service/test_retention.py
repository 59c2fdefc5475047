"""Old decisions are removed beside the cycles, batch by batch."""

import logging
import signal
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from autoscaler.contracts import StoreError
from autoscaler.service.loop import Bell, run_cycles
from autoscaler.service.retention import Retention
from autoscaler.store.retention import Keep
from autoscaler.testing import NOW
from tests.service.waiting import DEADLINE_S

KEEP = Keep(timedelta(days=90), 2048)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoscaler.service.retention.PAUSE_S", 0.0)


@pytest.fixture
def _signals() -> Iterator[None]:
    """Put pytest's own signal handlers back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


class Batches:
    """A store with so many decisions to remove."""

    def __init__(self, *sizes: int) -> None:
        self._sizes: Iterator[int] = iter(sizes)
        self.asked: list[tuple[Keep, datetime]] = []
        self.fails: str | None = None

    def prune(self, keep: Keep, now: datetime) -> int:
        self.asked.append((keep, now))
        if self.fails is not None:
            raise StoreError(self.fails)
        return next(self._sizes, 0)


def test_batches_are_removed_until_none_is_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "autoscaler")
    store = Batches(100, 100, 7)
    Retention(store.prune, KEEP, lambda: NOW).run()
    assert store.asked == [(KEEP, NOW)] * 4
    assert "207 old decisions were removed from the store" in caplog.messages


def test_nothing_to_remove_is_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "autoscaler")
    Retention(Batches().prune, KEEP, lambda: NOW).run()
    assert caplog.messages == []


def test_a_store_that_fails_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    store = Batches(3)
    store.fails = "store x.sqlite: database is locked"
    retention = Retention(store.prune, KEEP, lambda: NOW)
    retention.run()
    retention.run()
    assert caplog.messages == ["old decisions cannot be removed: store x.sqlite: database is locked"]
    store.fails = None
    retention.run()
    assert len(store.asked) == 4


def test_the_batch_that_runs_at_the_end_is_the_last() -> None:
    asked: list[int] = []

    def prune(_keep: Keep, _now: datetime) -> int:
        asked.append(1)
        retention.end()
        return 100

    retention = Retention(prune, KEEP, lambda: NOW)
    retention.run()
    assert asked == [1]


@pytest.mark.usefixtures("_signals")
def test_it_runs_beside_the_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only cycle waits for it, in a thread that is not its own."""
    monkeypatch.setattr("autoscaler.service.loop.EVERY_S", 0.01)
    removed = threading.Event()

    def prune(_keep: Keep, _now: datetime) -> int:
        removed.set()
        return 0

    retention = Retention(prune, KEEP, lambda: NOW)
    seen: list[bool] = []
    run_cycles(lambda: seen.append(removed.wait(DEADLINE_S)), timedelta(hours=1), 1, Bell(), retention=retention)
    assert seen == [True]
