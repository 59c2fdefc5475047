"""What every store promises, on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given

from autoscaler.contracts import StoreError
from autoscaler.model import (
    Decision,
    Direction,
    HostTimers,
    Orders,
    Outcome,
    Result,
)
from autoscaler.store.postgresql import PostgresDatabase
from autoscaler.store.records import Record
from autoscaler.store.sql import STREAMED_AT_ONCE, EmptyStoreError, SqlStore
from autoscaler.testing import NOW
from tests.store.values import (
    HOUR,
    a_decision,
    a_pause,
    a_transfer,
    about,
    an_outcome,
    an_override,
    decisions,
    outcomes,
    times,
    unhurried,
    words,
)


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


def test_what_one_store_wrote_another_one_reads(store: SqlStore, place: Path | PostgresDatabase) -> None:
    number = store.record_decision(a_decision(changes=True))
    store.record_outcome(number, an_outcome())
    store.record_asked("host-1", "wn", 4535)
    with closing(SqlStore(place)) as other:
        assert other.latest() == Record(number, a_decision(changes=True), (an_outcome(),))
        assert other.timers() == [HostTimers("host-1", grew_at=NOW)]
        assert other.asked() == {("host-1", "wn"): 4535}


def test_a_reader_sees_what_the_writer_writes_and_refuses_to_write(
    store: SqlStore, place: Path | PostgresDatabase
) -> None:
    with closing(SqlStore(place, read_only=True)) as reader:
        number = store.record_decision(a_decision())
        assert reader.record(number).decision == a_decision()
        with pytest.raises(StoreError, match=r"read-?only"):
            reader.record_decision(a_decision())


def test_a_store_in_which_nobody_has_written_says_so_to_a_reader(database: PostgresDatabase) -> None:
    with pytest.raises(EmptyStoreError, match="is empty: has `autoscaler run` run"):
        SqlStore(database, read_only=True)


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


def test_an_outcome_of_no_decision_is_refused(store: SqlStore) -> None:
    with pytest.raises(StoreError, match=r"(?i)foreign key"):
        store.record_outcome(99, an_outcome())


def test_a_second_outcome_of_the_same_transfer_is_refused(store: SqlStore) -> None:
    number = store.record_decision(a_decision(changes=True))
    store.record_outcome(number, an_outcome())
    with pytest.raises(StoreError, match=r"(?i)unique"):
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


def test_the_last_size_asked_for_counts(store: SqlStore) -> None:
    store.record_asked("host-1", "wn", 6911)
    store.record_asked("host-1", "wn", 4535)
    store.record_asked("host-1", "proof", 2948)
    store.record_asked("host-2", "wn", 6000)
    assert store.asked() == {("host-1", "wn"): 4535, ("host-1", "proof"): 2948, ("host-2", "wn"): 6000}


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


def test_a_record_as_json_values_has_its_number_and_its_outcomes(store: SqlStore) -> None:
    number = store.record_decision(a_decision(changes=True))
    store.record_outcome(number, an_outcome())
    values = store.record(number).json_values()
    assert values["number"] == number
    assert values["demand"] == {"workers": 3, "reason": "so", "may_shrink": True}
    assert [outcome["result"] for outcome in values["outcomes"]] == ["done"]


class TestOrders:
    """What people have said of hosts."""

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
