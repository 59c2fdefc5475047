"""Tunings in the store: begun once for a firing, ended for good, there again after a restart."""

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event

from autoscaler.core.tuning import REMEMBERED, decide_tuning
from autoscaler.store.postgresql import PostgresDatabase
from autoscaler.store.sql import SqlStore
from autoscaler.testing import NOW
from tests.core.alerts import BOOST, HOUR, MINUTE, a_tuning, an_alert


def hear(store: SqlStore, *alerts, now=NOW):
    return store.carry_out(decide_tuning(alerts, [BOOST], now), now)


def test_what_was_begun_is_in_force_after_a_restart(store: SqlStore, place: Path | PostgresDatabase) -> None:
    assert hear(store, an_alert()).begun == (a_tuning(),)
    store.close()
    with closing(SqlStore(place)) as again:
        assert again.tunings(NOW) == (a_tuning(),)


def test_an_alert_told_again_begins_nothing_and_lasts_no_longer(store: SqlStore) -> None:
    hear(store, an_alert())
    assert hear(store, an_alert(), now=NOW + HOUR).begun == ()
    assert store.tunings(NOW + HOUR) == (a_tuning(),)
    assert store.tunings(NOW + 2 * HOUR) == ()


def test_an_alert_told_again_after_its_time_begins_nothing(store: SqlStore) -> None:
    hear(store, an_alert())
    assert hear(store, an_alert(), now=NOW + 3 * HOUR).begun == ()
    assert store.tunings(NOW + 3 * HOUR) == ()


def test_resolved_ends_it_and_no_replay_begins_it_again(store: SqlStore) -> None:
    hear(store, an_alert())
    assert hear(store, an_alert(firing=False)).ended == (a_tuning(),)
    assert store.tunings(NOW) == ()
    assert hear(store, an_alert()).begun == ()
    assert store.tunings(NOW) == ()


def test_resolved_that_comes_before_its_alert_keeps_it_from_beginning(store: SqlStore) -> None:
    hear(store, an_alert(firing=False))
    assert hear(store, an_alert()).begun == ()
    assert store.tunings(NOW) == ()


def test_firing_anew_begins_anew_and_an_old_resolved_does_not_end_that(store: SqlStore) -> None:
    hear(store, an_alert())
    hear(store, an_alert(firing=False))
    anew = NOW + MINUTE
    hear(store, an_alert(starts_at=anew), now=anew)
    hear(store, an_alert(firing=False), now=anew)
    assert [each.alert.starts_at for each in store.tunings(anew)] == [anew]


def test_a_firing_that_comes_after_a_later_one_of_the_same_alert_begins_nothing(store: SqlStore) -> None:
    anew = NOW + MINUTE
    hear(store, an_alert(starts_at=anew), now=anew)
    hear(store, an_alert(starts_at=anew, firing=False), now=anew)
    assert hear(store, an_alert(), now=anew).begun == ()
    assert store.tunings(anew) == ()


def test_resolved_by_a_clock_that_was_wrong_keeps_nothing_from_beginning(store: SqlStore) -> None:
    hear(store, an_alert(starts_at=NOW + HOUR, firing=False))
    assert hear(store, an_alert()).begun == (a_tuning(),)


def test_thousands_of_alerts_hold_the_store_for_few_statements(store: SqlStore) -> None:
    statements = 0

    @event.listens_for(store._engine, "before_cursor_execute")
    def _count(*_: object) -> None:
        nonlocal statements
        statements += 1

    many = [f"{number:016x}" for number in range(2000)]
    assert len(hear(store, *(an_alert(fingerprint=each) for each in many)).begun) == 2000
    assert hear(store, *(an_alert(fingerprint=each) for each in many)).begun == ()
    assert len(hear(store, *(an_alert(fingerprint=each, firing=False) for each in many)).ended) == 2000
    assert store.tunings(NOW) == ()
    assert statements < 100


def test_an_alert_that_is_told_twice_in_one_body_begins_once(store: SqlStore) -> None:
    assert hear(store, an_alert(), an_alert()).begun == (a_tuning(),)


def test_resolved_of_one_alert_leaves_that_of_another(store: SqlStore) -> None:
    hear(store, an_alert(fingerprint="a"), an_alert(fingerprint="b"))
    hear(store, an_alert(fingerprint="a", firing=False))
    assert [each.alert.fingerprint for each in store.tunings(NOW)] == ["b"]


def test_ended_by_hand_its_alert_does_not_begin_it_again(store: SqlStore) -> None:
    hear(store, an_alert())
    assert store.end_tunings([BOOST.words], "maria", NOW) == 1
    assert store.end_tunings(None, "maria", NOW) == 0
    assert hear(store, an_alert()).begun == ()
    assert store.tunings(NOW) == ()


def test_what_nobody_can_send_again_is_forgotten(store: SqlStore) -> None:
    hear(store, an_alert())
    hear(store, now=NOW + REMEMBERED)
    assert store.end_tunings(None, "maria", NOW) == 0


@pytest.mark.parametrize("fingerprint", ["x" * 20_000, "a\0b"])
def test_an_alert_with_any_name_begins_once_and_ends(store: SqlStore, fingerprint: str) -> None:
    """What a sender makes up must not become what the store cannot hold."""
    (begun,) = hear(store, an_alert(fingerprint=fingerprint)).begun
    assert begun.alert.fingerprint == fingerprint
    assert hear(store, an_alert(fingerprint=fingerprint)).begun == ()
    assert hear(store, an_alert(fingerprint=fingerprint, firing=False)).ended == (begun,)
    assert store.tunings(NOW) == ()
