"""What is removed from the store, and what never is."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from autoscaler.contracts import StoreError
from autoscaler.model import Decision, Demand, Outcome, Result, Situation
from autoscaler.store.retention import AT_ONCE, Keep
from autoscaler.store.sql import SqlStore
from autoscaler.testing import NOW, proof_window

DAY = timedelta(days=1)
# PostgreSQL would make little of a text that repeats itself.
LONG = Random(1).randbytes(10_000).hex()
DECISION = Decision(NOW, "hold", Situation(proof_window([0], [0]), (), ()), Demand(None, LONG), ())
PLENTY = 1024

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("BEGIN IMMEDIATE")
print(flush=True)
input()
"""
FILL = """
import resource, signal, sys
from pathlib import Path
from autoscaler.contracts import StoreError
from autoscaler.store.sql import SqlStore
from tests.store.test_retention import DECISION
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = SqlStore(Path(sys.argv[1]))
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, limits[1]))
done, problem = 0, None
while problem is None:
    try:
        done = store.record_decision(DECISION)
    except StoreError as error:
        problem = str(error)
assert store.asked() == {} and store.newest() is not None
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
assert store.record_decision(DECISION) == done + 1
print(problem)
"""


@pytest.fixture
def in_file(file: Path) -> Iterator[SqlStore]:
    with closing(SqlStore(file)) as opened:
        yield opened


def fill(store: SqlStore, days: int, *, a_day: int = 1) -> None:
    """Decisions of so many days up to now, oldest first."""
    for number in range(days * a_day):
        at = NOW - (days - 1 - number // a_day) * DAY
        store.record_decision(replace(DECISION, at=at))


def prune_all(store: SqlStore, keep: Keep) -> int:
    removed = 0
    while batch := store.prune(keep, NOW):
        removed += batch
    return removed


def test_decisions_are_removed_when_they_are_too_old(store: SqlStore) -> None:
    fill(store, 10)
    assert prune_all(store, Keep(timedelta(days=3, hours=1), PLENTY)) == 6
    assert [record.number for record in store.history(100, changes_only=False)] == [7, 8, 9, 10]


def test_the_newest_is_never_removed(store: SqlStore) -> None:
    store.record_decision(replace(DECISION, at=NOW - 100 * DAY))
    assert prune_all(store, Keep(DAY, 0)) == 0
    assert store.newest() is not None


def test_the_oldest_go_when_there_are_too_many(store: SqlStore) -> None:
    fill(store, 1, a_day=200)
    prune_all(store, Keep(DAY, 1))
    kept = [record.number for record in store.history(1000, changes_only=False)]
    assert kept == list(range(201 - len(kept), 201))
    assert len(kept) < 200 - AT_ONCE + 1


def test_the_file_does_not_grow_while_decisions_come_and_go(in_file: SqlStore, file: Path) -> None:
    """2 MiB stay and 2.4 MB come between two removals; 14.4 MB are written in all."""
    for _ in range(6):
        fill(in_file, 1, a_day=120)
        prune_all(in_file, Keep(DAY, 2))
    assert file.stat().st_size < 5 * 1024**2


def test_a_batch_is_small(store: SqlStore) -> None:
    fill(store, 2 * AT_ONCE)
    assert 0 < store.prune(Keep(DAY, PLENTY), NOW) <= AT_ONCE


def test_outcomes_go_with_their_decision(in_file: SqlStore, file: Path) -> None:
    number = in_file.record_decision(replace(DECISION, at=NOW - 10 * DAY))
    in_file.record_outcome(number, Outcome("host-1", Result.DONE, "", NOW, NOW))
    fill(in_file, 1)
    prune_all(in_file, Keep(DAY, PLENTY))
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM outcomes").fetchone() == (0,)


def test_the_ledger_and_the_timers_stay(store: SqlStore) -> None:
    store.record_asked("host-1", "proof", 2048)
    store.record_strain("host-1", NOW - 100 * DAY)
    fill(store, 10)
    prune_all(store, Keep(DAY, PLENTY))
    assert store.asked() == {("host-1", "proof"): 2048}
    assert [timers.strained_at for timers in store.timers()] == [NOW - 100 * DAY]


def test_numbers_are_not_given_again(store: SqlStore) -> None:
    fill(store, 5)
    prune_all(store, Keep(timedelta(hours=1), PLENTY))
    assert store.record_decision(DECISION) == 6


def test_failed_cycles_are_removed_with_age(store: SqlStore) -> None:
    fill(store, 1)
    store.record_failure(NOW - 10 * DAY, "an old one")
    store.record_failure(NOW, "a new one")
    prune_all(store, Keep(DAY, PLENTY))
    assert [failed.error for failed in store.failures(NOW - 100 * DAY)] == ["a new one"]


class TestAStoreInTrouble:
    """Real faults: every method says so in a ``StoreError``, and works again when the fault is over."""

    def test_a_lock_held_by_another_process(self, in_file: SqlStore, file: Path) -> None:
        fill(in_file, 2)
        argv = [sys.executable, "-c", HOLD, str(file)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            for write in (lambda: in_file.record_decision(DECISION), lambda: in_file.prune(Keep(DAY, 0), NOW)):
                with pytest.raises(StoreError, match="database is locked"):
                    write()
            assert in_file.newest() is not None
            holder.communicate("\n")
        assert in_file.record_decision(DECISION) == 3

    def test_a_full_disk(self, tmp_path: Path) -> None:
        """A limit on the size of files is to SQLite what a full disk is."""
        argv = [sys.executable, "-c", FILL, str(tmp_path / "decisions.sqlite")]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert str(tmp_path / "decisions.sqlite") in done.stdout

    def test_garbage_in_the_middle_of_the_file(self, in_file: SqlStore, file: Path) -> None:
        fill(in_file, 40)
        in_file.close()
        size = file.stat().st_size
        with file.open("r+b") as damaged:
            damaged.seek(4096 * 2)
            damaged.write(os.urandom(size - 4096 * 3))
        with closing(SqlStore(file)) as again:
            with pytest.raises(StoreError, match=f"store {file}: .*damaged.*autoscaler set-aside"):
                prune_all(again, Keep(DAY, PLENTY))
            with pytest.raises(StoreError, match=f"store {file}: .*damaged.*autoscaler set-aside"):
                again.history(100, changes_only=False)
