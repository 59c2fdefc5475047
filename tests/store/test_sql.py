"""The store on a real file: everything comes back, also after a crash, also to several threads."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscaler.contracts import DamagedStoreError, StoreError
from autoscaler.model import (
    Allocation,
    Cut,
    Decision,
    Demand,
    Direction,
    DomainObservation,
    HostDecision,
    HostObservation,
    HostState,
    HostTimers,
    Orders,
    Outcome,
    Override,
    Pause,
    Result,
    Sample,
    Series,
    Situation,
    Step,
    StepKind,
    Transfer,
    Window,
)
from autoscaler.store.records import Record, Unreadable
from autoscaler.store.sql import DAMAGED_ADVICE, SCHEMA_VERSION, STREAMED_AT_ONCE, SqlStore
from autoscaler.testing import NOW, a_host, observed, proof_window

unhurried = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "decisions.sqlite"


@pytest.fixture
def store(file: Path):
    with closing(SqlStore(file)) as opened:
        yield opened


def a_transfer(host: str = "host-1", workers_from: int = 0, workers_to: int = 3) -> Transfer:
    step = Step(StepKind.SHRINK, "wn", Allocation(6911, 256), Allocation(4535, 256))
    return Transfer(host, workers_from, workers_to, 7483, (step,))


def a_decision(at: datetime = NOW, *, changes: bool = False, reason: str = "so") -> Decision:
    """A decision about one host, with or without a transfer."""
    return about(a_transfer() if changes else None, at=at, reason=reason)


def about(*transfers: Transfer | None, at: datetime = NOW, reason: str = "so") -> Decision:
    """A decision with these transfers."""
    hosts = tuple(HostDecision(each.host if each else "host-1", 0, 3, 3, reason, transfer=each) for each in transfers)
    situation = Situation(proof_window([1], [0], now=at), (observed(a_host()),))
    return Decision(at, "Static(workers=3)", situation, Demand(3, reason), hosts)


def an_outcome(host: str = "host-1", **changes: Any) -> Outcome:
    outcome = Outcome(
        host, Result.DONE, "reached and read back", NOW, NOW + timedelta(seconds=9), observed(a_host()).domains
    )
    return replace(outcome, **changes)


times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers(-(10**12), 10**12)
finite = st.floats(allow_nan=False, allow_infinity=False)
allocations = st.builds(Allocation, numbers, numbers, st.none() | finite)
domains = st.builds(
    DomainObservation, words, allocations, numbers, numbers, finite, st.none() | numbers, st.none() | numbers
)
some_domains = st.lists(domains, max_size=2).map(tuple)
windows = st.builds(
    Window,
    times,
    st.lists(
        st.builds(
            Series,
            words,
            st.lists(st.builds(Sample, times, st.none() | finite), max_size=2).map(tuple),
            st.none() | times,
            st.none() | words,
        ),
        max_size=2,
    ).map(tuple),
)
observations = st.builds(
    HostObservation, words, st.sampled_from(HostState), some_domains, numbers, st.none() | words, st.none() | numbers
)
steps = st.builds(Step, st.sampled_from(StepKind), words, allocations, allocations)
transfers = st.builds(Transfer, words, numbers, numbers, numbers, st.lists(steps, max_size=2).map(tuple))
cuts = st.builds(Cut, words, numbers, numbers, words)
host_decisions = st.builds(
    HostDecision,
    words,
    st.none() | numbers,
    st.none() | numbers,
    st.none() | numbers,
    words,
    st.lists(cuts, max_size=2).map(tuple),
    st.none() | transfers,
)
timers = st.builds(HostTimers, words, st.none() | times, st.none() | times)
pauses = st.builds(Pause, words, st.sampled_from(Direction), times, times, words, words)
overrides = st.builds(Override, words, numbers, times, times, words, words)
orders = st.builds(Orders, st.lists(pauses, max_size=2).map(tuple), st.lists(overrides, max_size=2).map(tuple))
situations = st.builds(
    Situation,
    windows,
    st.lists(observations, max_size=2).map(tuple),
    st.lists(timers, max_size=2).map(tuple),
    orders=orders,
)
decisions = st.builds(
    Decision,
    times,
    words,
    situations,
    st.builds(Demand, st.none() | numbers, words),
    st.lists(host_decisions, max_size=2).map(tuple),
    numbers,
    st.none() | words,
)
outcomes = st.builds(Outcome, words, st.sampled_from(Result), words, times, times, some_domains)


@unhurried
@given(decision=decisions, outcome=outcomes)
def test_every_value_of_a_decision_and_its_outcome_comes_back(
    store: SqlStore, decision: Decision, outcome: Outcome
) -> None:
    number = store.record_decision(decision)
    store.record_outcome(number, outcome)
    assert store.record(number) == Record(number, decision, (outcome,))


@unhurried
@given(at=times, host=words)
def test_a_timer_comes_back_to_the_microsecond(store: SqlStore, at: datetime, host: str) -> None:
    store.record_decision(about(a_transfer(host), at=at))
    assert HostTimers(host, grew_at=at) in [replace(timer, shrank_at=None) for timer in store.timers()]


def test_what_one_store_wrote_another_one_reads(store: SqlStore, file: Path) -> None:
    number = store.record_decision(a_decision(changes=True))
    store.record_outcome(number, an_outcome())
    store.record_asked("host-1", "wn", 4535)
    with closing(SqlStore(file)) as other:
        assert other.latest() == Record(number, a_decision(changes=True), (an_outcome(),))
        assert other.timers() == [HostTimers("host-1", grew_at=NOW)]
        assert other.asked() == {("host-1", "wn"): 4535}


CRASH = """\
import os, signal, sys
from pathlib import Path
from autoscaler.store.sql import SqlStore
SqlStore(Path(sys.argv[1])).record_asked("host-1", "wn", 4535)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_written_survives_a_crash(file: Path) -> None:
    """Another process dies without closing anything, right after the call returned."""
    died = subprocess.run([sys.executable, "-c", CRASH, file], timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    with closing(SqlStore(file)) as store:
        assert store.asked() == {("host-1", "wn"): 4535}


def test_decisions_are_numbered_in_order(store: SqlStore) -> None:
    assert [store.record_decision(a_decision()) for _ in range(3)] == [1, 2, 3]


def test_an_empty_store_has_nothing(store: SqlStore) -> None:
    assert store.latest() is None
    assert store.history(10, changes_only=False) == []
    assert store.timers() == []
    assert store.asked() == {}


def test_what_a_policy_remembered_comes_back_from_the_newest_decision(store: SqlStore) -> None:
    assert store.newest() is None
    for loads in ((1.0,), (1.0, None)):
        store.record_decision(replace(a_decision(), memory={"loads": loads, "alpha": (0.05,)}))
    assert store.newest() == replace(a_decision(), memory={"loads": (1.0, None), "alpha": (0.05,)})


def test_a_newest_decision_that_cannot_be_read_is_none(store: SqlStore, file: Path) -> None:
    number = store.record_decision(replace(a_decision(), memory={"alpha": (0.05,)}))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE decisions SET body = '{}' WHERE number = ?", (number,))
    assert store.newest() is None


@pytest.mark.parametrize("number", [7, 0, 2**63, -(2**63) - 1])
def test_a_decision_that_is_not_there_is_an_error(store: SqlStore, number: int) -> None:
    with pytest.raises(StoreError, match=f"holds no decision {number}"):
        store.record(number)


def test_the_latest_decision_is_the_newest_one(store: SqlStore) -> None:
    store.record_decision(a_decision(reason="first"))
    number = store.record_decision(a_decision(reason="second"))
    assert store.latest() == Record(number, a_decision(reason="second"))


def test_the_latest_decision_at_a_time_is_the_newest_one_until_then(store: SqlStore) -> None:
    for minutes in (0, 1, 2):
        store.record_decision(a_decision(NOW + timedelta(minutes=minutes)))
    at_a_minute, before_all = store.latest(at=NOW + timedelta(seconds=60)), store.latest(at=NOW - timedelta(seconds=1))
    assert at_a_minute is not None
    assert at_a_minute.number == 2
    assert before_all is None


def test_the_history_is_the_newest_decisions_oldest_first(store: SqlStore) -> None:
    for _ in range(5):
        store.record_decision(a_decision())
    assert [record.number for record in store.history(3, changes_only=False)] == [3, 4, 5]


def test_the_history_of_changes_leaves_out_what_changed_nothing(store: SqlStore) -> None:
    for changes in (True, False, True, False, True, False):
        store.record_decision(a_decision(changes=changes))
    assert [record.number for record in store.history(2, changes_only=True)] == [3, 5]


def test_the_history_has_each_decision_with_its_own_outcomes(store: SqlStore) -> None:
    first, second = store.record_decision(a_decision(changes=True)), store.record_decision(a_decision(changes=True))
    store.record_outcome(second, an_outcome("host-2"))
    store.record_outcome(first, an_outcome("host-1"))
    records = store.history(10, changes_only=False)
    assert [record.outcomes for record in records] == [(an_outcome("host-1"),), (an_outcome("host-2"),)]
    assert records[0].outcome("host-1") == an_outcome("host-1")
    assert records[0].outcome("host-2") is None


def test_all_decisions_are_streamed_in_the_order_of_time_with_their_outcomes(store: SqlStore) -> None:
    """Twice as many as are read at once, and two of one time; the clock was set back before the last one."""
    minutes = [*range(2 * STREAMED_AT_ONCE), 7, 3]
    for minute in minutes:
        store.record_decision(a_decision(NOW + timedelta(minutes=minute), changes=minute == 5))
    store.record_outcome(6, an_outcome())
    found = [record for record in store.stream() if isinstance(record, Record)]
    expected = sorted(range(1, len(minutes) + 1), key=lambda number: (minutes[number - 1], number))
    assert [record.number for record in found] == expected
    assert {record.number: len(record.outcomes) for record in found if record.outcomes} == {6: 1}
    assert store.count() == len(minutes)


def test_decisions_are_streamed_from_a_time_on(store: SqlStore) -> None:
    for minute in range(4):
        store.record_decision(a_decision(NOW + timedelta(minutes=minute)))
    since = NOW + timedelta(minutes=2)
    assert [record.number for record in store.stream(since) if isinstance(record, Record)] == [3, 4]
    assert store.count(since) == 2


def test_a_stream_goes_on_after_a_decision_that_cannot_be_read(store: SqlStore, file: Path) -> None:
    for minute in range(3):
        store.record_decision(a_decision(NOW + timedelta(minutes=minute)))
    spoil(file, "UPDATE decisions SET body = '{}' WHERE number = 2")
    one, two, three = store.stream()
    assert isinstance(one, Record)
    assert isinstance(three, Record)
    assert isinstance(two, Unreadable)
    assert (two.number, two.at) == (2, NOW + timedelta(minutes=1))
    assert "decision 2 cannot be read: it is damaged" in two.problem


def test_a_writer_goes_on_while_decisions_are_streamed(store: SqlStore, file: Path) -> None:
    store.record_decision(a_decision())
    with closing(SqlStore(file, read_only=True)) as reader:
        streamed = reader.stream()
        next(streamed)
        store.record_decision(a_decision(NOW + timedelta(minutes=1)))
        assert [record.number for record in streamed if isinstance(record, Record)] == [2]


def test_an_outcome_of_no_decision_is_refused(store: SqlStore) -> None:
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        store.record_outcome(99, an_outcome())


def test_a_second_outcome_of_the_same_transfer_is_refused(store: SqlStore) -> None:
    number = store.record_decision(a_decision(changes=True))
    store.record_outcome(number, an_outcome())
    with pytest.raises(StoreError, match="UNIQUE"):
        store.record_outcome(number, an_outcome(result=Result.FAILED))


def test_each_direction_has_its_own_timer(store: SqlStore) -> None:
    later = NOW + timedelta(minutes=5)
    store.record_decision(about(a_transfer("host-1", 0, 3)))
    store.record_decision(about(a_transfer("host-1", 3, 0), at=later))
    assert store.timers() == [HostTimers("host-1", grew_at=NOW, shrank_at=later)]


def test_a_timer_starts_anew_with_each_change(store: SqlStore) -> None:
    later = NOW + timedelta(minutes=5)
    store.record_decision(about(a_transfer("host-1", 0, 3)))
    store.record_decision(about(a_transfer("host-1", 3, 5), at=later))
    assert store.timers() == [HostTimers("host-1", grew_at=later)]


def test_a_change_of_no_workers_starts_no_timer(store: SqlStore) -> None:
    store.record_decision(about(a_transfer("host-1", 3, 3)))
    assert store.timers() == []


def test_one_decision_starts_the_timers_of_all_its_hosts(store: SqlStore) -> None:
    store.record_decision(about(a_transfer("host-2", 0, 1), a_transfer("host-1", 1, 0), a_transfer("host-3", 2, 2)))
    assert store.timers() == [HostTimers("host-1", shrank_at=NOW), HostTimers("host-2", grew_at=NOW)]


def test_a_decision_whose_timers_cannot_be_written_is_not_written_either(store: SqlStore, file: Path) -> None:
    spoil(file, "DROP TABLE timers")
    with pytest.raises(StoreError, match="no such table: timers"):
        store.record_decision(a_decision(changes=True))
    assert store.latest() is None


def test_the_last_size_asked_for_counts(store: SqlStore) -> None:
    store.record_asked("host-1", "wn", 6911)
    store.record_asked("host-1", "wn", 4535)
    store.record_asked("host-1", "proof", 2948)
    store.record_asked("host-2", "wn", 6000)
    assert store.asked() == {("host-1", "wn"): 4535, ("host-1", "proof"): 2948, ("host-2", "wn"): 6000}


def test_a_reader_sees_what_the_writer_writes(store: SqlStore, file: Path) -> None:
    with closing(SqlStore(file, read_only=True)) as reader:
        number = store.record_decision(a_decision())
        latest = reader.latest()
        assert latest is not None
        assert latest.number == number


def test_a_reader_refuses_to_write(store: SqlStore, file: Path) -> None:
    with closing(SqlStore(file, read_only=True)) as reader:
        with pytest.raises(StoreError, match="readonly"):
            reader.record_decision(a_decision())
        with pytest.raises(StoreError, match="readonly"):
            reader.record_asked("host-1", "wn", 1)
    assert store.latest() is None


def test_a_reader_of_no_file_says_so_and_makes_none(file: Path) -> None:
    with pytest.raises(StoreError, match="does not exist yet: has `autoscaler run` run"):
        SqlStore(file, read_only=True)
    assert list(file.parent.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none/decisions\.sqlite cannot be made: no such folder"):
        SqlStore(tmp_path / "none" / "decisions.sqlite")


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"^store {tmp_path} is a folder, not a file$"):
        SqlStore(tmp_path)


def test_a_reader_refuses_a_folder_too(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder, not a file"):
        SqlStore(tmp_path, read_only=True)


NOBODY = 65534
HOW_TO_READ = "cannot be read by this user while no controller runs: run this as the controller's user, or while"
as_root = pytest.mark.testbed  # deploy/test.sh runs these as root, and only root can become another user


@pytest.fixture
def guarded() -> Iterator[Path]:
    """A store that is closed, in a folder which everybody may read and nobody else may write."""
    with TemporaryDirectory(prefix="store-of-another-user-") as name:
        file = Path(name, "decisions.sqlite")
        with closing(SqlStore(file)) as store:
            store.record_decision(a_decision())
        file.chmod(0o644)
        file.parent.chmod(0o755)
        yield file


@contextmanager
def another_user() -> Iterator[None]:
    """What is done within is done by the user nobody."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@as_root
def test_a_reader_who_may_not_write_there_is_told_what_to_do(guarded: Path) -> None:
    with another_user(), pytest.raises(StoreError, match=HOW_TO_READ):
        SqlStore(guarded, read_only=True)


@as_root
def test_a_reader_who_may_not_write_there_reads_what_a_crash_left(guarded: Path) -> None:
    died = subprocess.run([sys.executable, "-c", CRASH, guarded], timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    with another_user(), closing(SqlStore(guarded, read_only=True)) as reader:
        assert reader.asked() == {("host-1", "wn"): 4535}


@as_root
def test_a_reader_who_may_not_write_there_reads_while_the_controller_runs(guarded: Path) -> None:
    with closing(SqlStore(guarded)) as controller:
        controller.record_decision(a_decision())
        with another_user(), closing(SqlStore(guarded, read_only=True)) as reader:
            assert len(reader.history(10, changes_only=False)) == 2


@as_root
def test_a_reader_of_a_file_that_is_secret_is_told_so(guarded: Path) -> None:
    guarded.chmod(0o600)
    with another_user(), pytest.raises(StoreError, match="may not be read by this user"):
        SqlStore(guarded, read_only=True)


@as_root
def test_a_reader_of_a_folder_that_is_secret_is_told_so(guarded: Path) -> None:
    guarded.parent.chmod(0o700)
    with another_user(), pytest.raises(StoreError, match="cannot be reached: Permission denied"):
        SqlStore(guarded, read_only=True)


def test_a_reader_of_no_folder_asks_for_the_right_one(file: Path) -> None:
    with pytest.raises(StoreError, match=r"does not exist, nor does its folder: is controller\.store the right one"):
        SqlStore(file.parent / "nowhere" / file.name, read_only=True)


def test_a_reader_of_an_empty_file_says_so_and_a_controller_fills_it(file: Path) -> None:
    file.touch()
    with pytest.raises(StoreError, match="is empty: has `autoscaler run` run"):
        SqlStore(file, read_only=True)
    SqlStore(file).close()
    SqlStore(file, read_only=True).close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(file: Path, read_only: bool) -> None:
    file.write_bytes(b"this is no database, but long enough to be one: " + b"x" * 1000)
    with pytest.raises(StoreError, match="file is not a database"):
        SqlStore(file, read_only=read_only)
    assert file.read_bytes().startswith(b"this is no database")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_of_another_version_is_refused(file: Path, read_only: bool) -> None:
    SqlStore(file).close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match=f"is of version {SCHEMA_VERSION + 1}, this program of {SCHEMA_VERSION}"):
        SqlStore(file, read_only=read_only)


def test_the_database_of_another_program_is_refused_and_left_alone(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(StoreError, match="is the database of another program"):
        SqlStore(file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]


def test_a_file_that_was_only_begun_is_finished(file: Path) -> None:
    """A crash between making the file and writing its version leaves version 0."""
    SqlStore(file).close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 0")
    with closing(SqlStore(file)) as store:
        assert store.record_decision(a_decision()) == 1


def spoil(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)


GARBAGE = ["''", "'{}'", "'{\"at\": 5}'", "'not json'", "x'ff00ff'", "'[1, 2]'"]


@pytest.mark.parametrize("body", GARBAGE)
def test_a_decision_that_cannot_be_read_is_an_error(store: SqlStore, file: Path, body: str) -> None:
    store.record_decision(a_decision())
    spoil(file, f"UPDATE decisions SET body = {body}")
    with pytest.raises(StoreError) as caught:
        store.latest()
    assert str(caught.value) == (
        f"store {file}: decision 1 cannot be read: it is damaged, or another version of this program wrote it"
    )


@pytest.mark.parametrize("body", GARBAGE)
def test_an_outcome_that_cannot_be_read_is_an_error(store: SqlStore, file: Path, body: str) -> None:
    store.record_outcome(store.record_decision(a_decision(changes=True)), an_outcome())
    spoil(file, f"UPDATE outcomes SET body = {body}")
    with pytest.raises(StoreError, match=r"decisions\.sqlite: decision 1 cannot be read: it is damaged"):
        store.history(10, changes_only=False)


def test_a_missing_table_is_an_error(store: SqlStore, file: Path) -> None:
    spoil(file, "DROP TABLE asked")
    with pytest.raises(StoreError, match="no such table: asked"):
        store.record_asked("host-1", "wn", 1)


@pytest.mark.parametrize(
    "name", ["a b.sqlite", "a?b.sqlite", "a#b.sqlite", "a%20b.sqlite", "ä.sqlite", "a&mode=ro.sqlite"]
)
def test_any_file_name_works(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with closing(SqlStore(folder / name)) as store:
        store.record_decision(a_decision())
        with closing(SqlStore(folder / name, read_only=True)) as reader:
            assert reader.latest() == store.latest()
    assert [file.name for file in folder.iterdir()] == [name]


def test_a_relative_path_works(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    with closing(SqlStore(Path(file.name))) as store:
        assert store.record_decision(a_decision()) == 1
    assert file.exists()


def test_threads_write_and_read_at_the_same_time(store: SqlStore) -> None:
    """As the loop and the hosts' lanes do."""

    def one_host(name: str) -> None:
        for workers in range(5):
            number = store.record_decision(about(a_transfer(name, workers, workers + 1)))
            store.record_asked(name, "wn", workers)
            store.record_outcome(number, an_outcome(name))
            assert store.record(number).outcome(name) == an_outcome(name)

    names = [f"host-{number}" for number in range(8)]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(one_host, names))
    assert len(store.history(1000, changes_only=True)) == 8 * 5
    assert store.asked() == {(name, "wn"): 4 for name in names}
    assert len(store.timers()) == 8


def test_as_many_threads_write_as_there_are_hosts(store: SqlStore) -> None:
    """Each of their commits alone would keep the last ones waiting until SQLite turns them away."""
    names = [f"host-{number}" for number in range(500)]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: [store.record_asked(name, "wn", size) for size in (1, 2)], names))
    assert store.asked() == {(name, "wn"): 2 for name in names}


def test_two_stores_write_to_one_file(store: SqlStore, file: Path) -> None:
    """A controller that was started twice waits for its turn; nothing is lost."""
    with closing(SqlStore(file)) as other, ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: [one.record_decision(a_decision()) for _ in range(10)], [store, other]))
    assert [record.number for record in store.history(100, changes_only=False)] == list(range(1, 21))


def test_a_record_as_json_values_has_its_number_and_its_outcomes(store: SqlStore) -> None:
    number = store.record_decision(a_decision(changes=True))
    store.record_outcome(number, an_outcome())
    values = store.record(number).json_values()
    assert values["number"] == number
    assert values["demand"] == {"workers": 3, "reason": "so", "may_shrink": True}
    assert [outcome["result"] for outcome in values["outcomes"]] == ["done"]


def test_a_record_finds_its_hosts_by_name() -> None:
    record = Record(1, a_decision())
    assert record.host("host-1") == a_decision().hosts[0]
    assert record.host("host-9") is None


def test_a_store_that_was_removed_while_in_use_takes_no_decision(store: SqlStore, file: Path) -> None:
    store.record_decision(a_decision())
    file.unlink()
    with pytest.raises(StoreError, match="was removed while in use"):
        store.record_decision(a_decision())


HOUR = timedelta(hours=1)


def a_pause(host: str = "host-1", direction: Direction = Direction.GROW, **changes: Any) -> Pause:
    return replace(Pause(host, direction, NOW, NOW + HOUR, "anna", "kernel update"), **changes)


def an_override(host: str = "host-1", workers: int = 4, **changes: Any) -> Override:
    return replace(Override(host, workers, NOW, NOW + HOUR, "anna", "tutorial"), **changes)


class TestOrders:
    """What people have said of hosts."""

    def test_survive_a_restart(self, file: Path) -> None:
        with closing(SqlStore(file)) as store:
            store.record_pauses([a_pause(), a_pause("host-2")])
            store.record_override(an_override())
        with closing(SqlStore(file)) as store:
            assert store.orders(NOW) == Orders((a_pause(), a_pause("host-2")), (an_override(),))

    def test_are_seen_by_who_has_the_store_open(self, file: Path) -> None:
        with closing(SqlStore(file)) as controller, closing(SqlStore(file)) as command:
            assert controller.orders(NOW) == Orders()
            command.record_pauses([a_pause()])
            assert controller.orders(NOW).pauses == (a_pause(),)

    def test_are_over_at_their_time(self, store: SqlStore) -> None:
        store.record_pauses([a_pause()])
        store.record_override(an_override(until=NOW + 2 * HOUR))
        assert store.orders(NOW + HOUR) == Orders(overrides=(an_override(until=NOW + 2 * HOUR),))

    def test_of_a_clock_that_was_set_back_are_in_force(self, store: SqlStore) -> None:
        store.record_pauses([a_pause()])
        assert store.orders(NOW - HOUR).pauses == (a_pause(),)

    def test_a_new_one_takes_the_place_of_the_one_before(self, store: SqlStore) -> None:
        store.record_pauses([a_pause(), a_pause(direction=Direction.SHRINK)])
        store.record_pauses([a_pause(who="ben")])
        store.record_override(an_override())
        store.record_override(an_override(workers=0))
        found = store.orders(NOW)
        assert [each.who for each in found.pauses] == ["ben", "anna"]
        assert [each.workers for each in found.overrides] == [0]

    def test_end_early_by_host_and_direction(self, store: SqlStore) -> None:
        store.record_pauses([a_pause(host, each) for host in ("host-1", "host-2") for each in Direction])
        store.end_pauses(["host-1"], [Direction.GROW])
        left = [(each.host, each.direction) for each in store.orders(NOW).pauses]
        assert left == [("host-1", "shrink"), ("host-2", "grow"), ("host-2", "shrink")]

    def test_overrides_end_early_by_host(self, store: SqlStore) -> None:
        store.record_override(an_override())
        store.record_override(an_override("host-2"))
        store.end_overrides(["host-1"])
        assert store.orders(NOW).overrides == (an_override("host-2"),)

    def test_that_are_damaged_are_an_error_not_no_pause(self, file: Path, store: SqlStore) -> None:
        store.record_pauses([a_pause()])
        spoil(file, "UPDATE pauses SET body = '{}'")
        with pytest.raises(StoreError, match="a pause or an override cannot be read: it is damaged"):
            store.orders(NOW)


def test_a_file_of_the_version_before_gets_the_new_tables_and_keeps_what_it_has(file: Path) -> None:
    with closing(SqlStore(file)) as store:
        store.record_decision(a_decision())
    spoil(file, "DROP TABLE tunings")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 3")
    with closing(SqlStore(file)) as store:
        assert store.count() == 1
        assert store.tunings(NOW) == ()


def test_a_text_that_is_garbage_is_told_as_damage_without_the_garbage(file: Path, store: SqlStore) -> None:
    store.record_decision(a_decision())
    spoil(file, "UPDATE decisions SET body = CAST(x'ff00ff' AS TEXT)")
    with pytest.raises(DamagedStoreError) as caught:
        store.newest()
    assert str(caught.value) == f"store {file}: a text in it is none: {DAMAGED_ADVICE}"
