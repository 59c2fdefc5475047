"""A new model each night: a process beside the loop, whose end, good or bad, the loop does not feel."""

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

import pytest

from autoscaler.service.loop import Bell, run_cycles
from autoscaler.service.refit import Refit
from autoscaler.service.zone import site_zone
from tests.service.waiting import DEADLINE_S, wait_until

AT = time(3, 30)
CYCLES = 3


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Put pytest's own signal handlers back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def refit(program: str, at: time = AT, longest_s: float = DEADLINE_S) -> Refit:
    return Refit([sys.executable, "-c", program], at, longest_s)


def test_what_the_training_says_last_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "autoscaler"):
        refit("print('a table'); print('model 7 acts')").run()
    assert caplog.messages == ["a new model is being made", "model 7 acts"]


def test_a_training_that_fails_is_logged_with_its_reason_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "autoscaler")
    failing = refit("import sys; sys.exit('Error: http://prometheus cannot be reached')")
    failing.run()
    failing.run()
    assert failing.failed == 2
    assert caplog.messages == [
        f"no new model, failure {n} in a row: Error: http://prometheus cannot be reached" for n in (1, 2)
    ]


def test_a_training_that_dies_without_a_word_is_told_by_its_exit_code(caplog: pytest.LogCaptureFixture) -> None:
    refit("import os; os.kill(os.getpid(), 9)").run()
    assert "the training ended with exit code -9" in caplog.text


def test_a_training_that_hangs_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    refit("import time; time.sleep(600)", longest_s=0.5).run()
    assert "it took longer than" in caplog.text


def test_a_command_that_cannot_be_started_is_a_failure_and_no_exception() -> None:
    missing = Refit(["/nonexistent/python"], AT)
    missing.run()
    assert missing.failed == 1


def test_a_good_night_ends_the_count(tmp_path_factory: pytest.TempPathFactory) -> None:
    flag = tmp_path_factory.mktemp("flag") / "good"
    program = f"import pathlib, sys; sys.exit(0 if pathlib.Path({str(flag)!r}).exists() else 1)"
    nightly = refit(program)
    nightly.run()
    flag.touch()
    nightly.run()
    assert nightly.failed == 0


@pytest.mark.parametrize("program", ["pass", "import sys; sys.exit(1)"])
def test_it_knows_when_the_newest_one_ended_good_or_bad(program: str) -> None:
    now = datetime(2026, 11, 23, 3, 33, tzinfo=UTC)
    nightly = Refit([sys.executable, "-c", program], AT, clock=lambda: now)
    assert nightly.ended_at is None
    nightly.run()
    assert nightly.ended_at == now


def test_a_training_is_ended_with_the_loop_and_is_then_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "autoscaler")
    long = refit("import time; time.sleep(600)")
    thread = threading.Thread(target=long.run)
    thread.start()
    wait_until(lambda: long._process is not None, "the training")
    long.end()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert (long.failed, long.ended_at, caplog.records) == (0, None, [])


def test_it_comes_at_its_time_by_the_sites_clock_and_no_cycle_waits_for_it() -> None:
    soon = (datetime.now(site_zone()) + timedelta(seconds=3)).time().replace(microsecond=0)
    nightly = refit("import time; time.sleep(600)", soon)
    beside = 0

    def cycle() -> None:
        nonlocal beside
        beside += nightly._process is not None
        if beside == CYCLES:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    assert run_cycles(cycle, timedelta(milliseconds=50), None, Bell(), refit=nightly) == 0
    assert beside >= CYCLES
    assert nightly._process is not None
    assert nightly._process.poll() is not None
