"""The endless loop, and how it ends; real signals are in tests/cli/test_run.py."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from autoscaler.contracts import StoreError
from autoscaler.service.loop import NO_CYCLE, Bell, _Runs, run_cycles

SOON = timedelta(milliseconds=1)
NEVER = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Put pytest's own signal handlers back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("cycles", [1, 3, 10])
def test_it_stops_after_so_many_cycles(cycles: int) -> None:
    done = []
    run_cycles(lambda: done.append(1), SOON, cycles, Bell())
    assert len(done) == cycles


def test_the_first_cycle_comes_at_once() -> None:
    done = []
    run_cycles(lambda: done.append(1), NEVER, 1, Bell())
    assert done == [1]


def test_no_failed_cycle_is_0() -> None:
    assert run_cycles(lambda: None, SOON, 3, Bell()) == 0


@pytest.mark.parametrize("error", [StoreError("disk full"), ValueError("surprise"), TimeoutError()])
def test_cycles_that_fail_are_counted_and_the_loop_goes_on(error: Exception) -> None:
    def fail() -> None:
        raise error

    assert run_cycles(fail, SOON, 3, Bell()) == 3


def test_a_failed_cycle_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise StoreError("store x.sqlite: disk full")

    run_cycles(fail, SOON, 1, Bell())
    assert "this cycle failed, the next one comes: store x.sqlite: disk full" in caplog.messages


def test_a_surprise_is_logged_with_where_it_came_from(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    run_cycles(fail, SOON, 1, Bell())
    assert [record.exc_info is not None for record in caplog.records if record.levelno == logging.ERROR] == [True]


def test_rounds_in_which_another_controller_leads_are_no_cycles(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "autoscaler")
    rounds = iter([NO_CYCLE, StoreError("the lead was lost"), NO_CYCLE, None, None])

    def cycle() -> object:
        done = next(rounds)
        if isinstance(done, Exception):
            raise done
        return done

    assert run_cycles(cycle, SOON, 3, Bell()) == 1
    assert next(rounds, "none is left") == "none is left"
    assert caplog.messages.count("cycles finish again") == 1


def test_cycles_do_not_overlap() -> None:
    busy, alone = threading.Lock(), []

    def cycle() -> None:
        alone.append(busy.acquire(blocking=False))
        threading.Event().wait(0.01)  # longer than the interval
        busy.release()

    run_cycles(cycle, SOON, 5, Bell())
    assert alone == [True] * 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_cycle_that_runs(number: signal.Signals) -> None:
    finished = []

    def cycle() -> None:
        os.kill(os.getpid(), number)  # to the process, as systemd does: the main thread, which waits, gets it
        finished.append(1)

    run_cycles(cycle, NEVER, None, Bell())
    assert finished == [1]


def test_cycles_that_stopped_coming_are_overdue() -> None:
    """As after the wall clock was set back: the scheduler waits, the clock that nobody sets goes on."""
    runs = _Runs(lambda: None, None)
    runs.run()
    assert not runs.overdue(60)
    assert runs.overdue(-1)


def test_a_cycle_that_runs_is_not_overdue() -> None:
    seen: list[bool] = []
    runs = _Runs(lambda: seen.append(runs.overdue(-1)), None)
    runs.run()
    assert seen == [False]


def test_a_cycle_that_is_overdue_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interval of an hour stands for a wall clock set back by an hour."""
    monkeypatch.setattr("autoscaler.service.loop.LOOK_S", 0.01)
    monkeypatch.setattr("autoscaler.service.loop.LATE_INTERVALS", 0)
    done = []
    run_cycles(lambda: done.append(1), NEVER, 2, Bell())
    assert done == [1, 1]


def test_ringing_brings_the_next_cycle_at_once() -> None:
    bell, done = Bell(), []

    def cycle() -> None:
        done.append(1)
        bell.ring()

    run_cycles(cycle, NEVER, 2, bell)
    assert len(done) == 2


def test_ringing_many_times_during_a_cycle_is_one_more_cycle() -> None:
    bell, done = Bell(), []

    def cycle() -> None:
        done.append(1)
        if len(done) == 1:
            for _ in range(100):
                bell.ring()
        else:
            threading.Timer(2.5, os.kill, (os.getpid(), signal.SIGTERM)).start()

    run_cycles(cycle, NEVER, None, bell)
    assert len(done) == 2


def test_ringing_without_a_loop_does_nothing() -> None:
    Bell().ring()


def test_a_ring_during_the_last_cycle_does_not_keep_the_loop_from_ending() -> None:
    bell = Bell()

    def cycle() -> None:
        bell.ring()
        os.kill(os.getpid(), signal.SIGTERM)
        bell.ring()

    run_cycles(cycle, NEVER, None, bell)
