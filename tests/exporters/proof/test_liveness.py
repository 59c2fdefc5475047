"""Whether the process behind a file lives, shown with real processes."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from exporters.proof.liveness import SESSION_PROGRAMS, is_alive, is_replaced
from tests.exporters.proof.processes import DAEMON, MASTER, WORKER, running
from tests.testbed.processes import wait_until

LONG_AGO_S = 3600


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "100"]) as process:
        yield process
        process.kill()


def test_a_process_is_alive_until_it_is_gone(child: "subprocess.Popen[bytes]") -> None:
    assert is_alive(child.pid)
    child.kill()
    child.wait()
    assert not is_alive(child.pid)


def test_another_users_process_is_alive() -> None:
    assert is_alive(1)


def test_pid_0_is_no_process() -> None:
    assert not is_alive(0)  # kill(0, 0) would ask about our own process group


def test_a_younger_process_of_another_program_has_taken_the_pid(child: "subprocess.Popen[bytes]") -> None:
    assert is_replaced(child.pid, time.time() - LONG_AGO_S, SESSION_PROGRAMS)


def test_an_older_process_is_the_files_own_whatever_its_name(child: "subprocess.Popen[bytes]") -> None:
    assert not is_replaced(child.pid, time.time(), SESSION_PROGRAMS)


def test_a_younger_process_with_the_name_of_a_session_may_be_it_after_the_clock_was_set(tmp_path: Path) -> None:
    with running(tmp_path, MASTER, WORKER, DAEMON) as (master, worker, daemon):
        replaced = [is_replaced(p.pid, time.time() - LONG_AGO_S, SESSION_PROGRAMS) for p in (master, worker, daemon)]
    assert replaced == [False, False, True]


def test_a_zombie_is_nobody(child: "subprocess.Popen[bytes]") -> None:
    child.kill()
    wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE, 60, "the zombie")
    assert is_alive(child.pid)
    assert is_replaced(child.pid, time.time(), SESSION_PROGRAMS)
    assert is_replaced(child.pid, time.time() - LONG_AGO_S, SESSION_PROGRAMS)


def test_a_process_that_cannot_be_looked_at_has_the_benefit_of_the_doubt() -> None:
    assert not is_replaced(2**22 + 1, 0.0, SESSION_PROGRAMS)  # beyond the greatest pid of Linux
