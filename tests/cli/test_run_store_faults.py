"""`autoscaler run` on a store in trouble, with real SQLite: it holds, says so, and goes on when it can."""

import os
import resource
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.cli.systemd import Systemd, running, status
from tests.service.waiting import DEADLINE_S

# Room for the log, and for some decisions in the journal.
FULL_BYTES = 200_000


@contextmanager
def full_disk(process: subprocess.Popen[str]) -> Iterator[None]:
    """No file of the process may grow beyond some size: to SQLite that is a full disk."""
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (FULL_BYTES, before[1]))
    yield
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)


def log(systemd: Systemd) -> str:
    return (systemd.site.folder / "log").read_text()


def test_a_full_disk_holds_until_there_is_room_again(systemd: Systemd) -> None:
    with running(systemd) as process:
        systemd.hear("READY=1")
        with full_disk(process):
            systemd.hear("STATUS=1 cycles failed")
            systemd.site.exporter.queued = 1
            told = status(systemd.hear("STATUS=4 cycles failed"))
            assert f"store {systemd.site.store}: " in told
            assert told.endswith("hosts keep what they have")
            assert " 0 -> 4 workers" not in log(systemd)
        systemd.hear("WATCHDOG=1")
        assert "4 workers wanted" in status(systemd.hear("WATCHDOG=1"))
    assert log(systemd).count("this cycle failed") == 1


def test_a_lock_of_another_program_holds_until_it_is_gone(systemd: Systemd) -> None:
    with running(systemd):
        systemd.hear("READY=1")
        with closing(sqlite3.connect(systemd.site.store)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            told = status(systemd.hear("STATUS=1 cycles failed"))
            assert f"store {systemd.site.store}: database is locked; hosts keep what they have" in told
        systemd.hear("WATCHDOG=1")


def test_garbage_in_the_middle_of_the_file_is_told_with_its_name_and_what_to_do(systemd: Systemd) -> None:
    site = systemd.site
    site.run(cycles=40)
    size = site.store.stat().st_size
    with site.store.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(os.urandom(size - 3 * 4096))
    damaged = site.store.read_bytes()
    with running(systemd) as process:
        told = status(systemd.hear("STATUS="))
        assert f"store {site.store}: " in told
        assert "the file is damaged; `autoscaler set-aside` moves it aside" in told
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) in {3, 4}
    assert site.store.read_bytes() == damaged
