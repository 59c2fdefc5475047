"""Announced sessions in the cycles of the real controller."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from autoscaler.contracts import StoreError
from autoscaler.core.rules import Rules
from autoscaler.core.sessions import announced
from autoscaler.simulation.redecide import redecide
from tests.service.plant import LIMITS, POLICY, Plant, hosts_named

SPAN = timedelta(minutes=5)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    started = Plant(tmp_path, hosts_named("a"))
    started.source.queued = 0
    started.cycle()
    yield started
    started.close()


def announce(plant: Plant, name: str = "s1") -> None:
    plant.store.announce(announced(name, "maria", 4, plant.now, SPAN), plant.now)
    plant.now += timedelta(seconds=1)


def test_a_session_has_its_workers_before_it_is_opened_and_is_not_counted_twice_when_it_shows(plant: Plant) -> None:
    announce(plant)
    plant.cycle()
    assert plant.workers() == {"a": 4}
    plant.source.queued = 1
    decision = plant.cycle().decision
    assert (plant.workers(), decision.situation.tunings) == ({"a": 4}, ())
    assert plant.store.tunings(plant.now) == ()


def test_one_that_has_shown_and_ended_is_not_counted_again(plant: Plant) -> None:
    announce(plant)
    plant.source.queued = 1
    plant.cycle()
    plant.source.queued = 0
    plant.cycle()
    announce(plant)
    assert plant.cycle().decision.situation.tunings == ()


def test_its_name_is_forgotten_a_day_after_its_time(plant: Plant) -> None:
    announce(plant)
    plant.now += SPAN + timedelta(hours=23)
    announce(plant)
    assert plant.store.tunings(plant.now) == ()
    plant.now += timedelta(hours=2)
    announce(plant)
    assert [each.name for each in plant.store.tunings(plant.now)] == ["s1"]


def test_a_rise_shows_one_session_also_when_the_first_decision_about_it_could_not_be_recorded(plant: Plant) -> None:
    for name in ("s1", "s2"):
        announce(plant, name)
    plant.source.queued = 1
    plant.store.fails_at = "decision"
    with pytest.raises(StoreError):
        plant.cycle()
    plant.store.fails_at = None
    plant.cycle()
    assert [each.name for each in plant.store.tunings(plant.now)] == ["s2"]


def test_one_that_has_shown_is_not_counted_while_the_store_cannot_be_told(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(plant)
    plant.source.queued = 1
    with monkeypatch.context() as patch:
        patch.setattr(plant.store, "end_tunings", _full)
        with pytest.raises(StoreError):
            plant.cycle()
    assert plant.cycle().decision.situation.tunings == ()
    assert plant.store.tunings(plant.now) == ()


def _full(*_: object) -> int:
    raise StoreError("store /var/lib/x.sqlite: database or disk is full")


def test_one_that_never_shows_is_given_up_after_its_time(plant: Plant) -> None:
    announce(plant)
    plant.cycle()
    plant.cycles(12)
    assert plant.workers() == {"a": 0}


def test_it_counts_after_a_restart_and_shows_by_the_decision_before_it(plant: Plant) -> None:
    announce(plant)
    plant.controller.stop()
    plant.start()
    plant.source.queued = 1
    assert plant.cycle().decision.situation.tunings == ()
    assert plant.workers() == {"a": 4}


def test_a_stored_decision_with_a_session_is_decided_again_as_it_was(plant: Plant) -> None:
    announce(plant)
    plant.cycle()
    record = plant.store.latest()
    assert record is not None
    again = redecide(record.decision, plant.facility, Rules(POLICY, LIMITS)).decision
    assert again.hosts == record.decision.hosts
    assert "session s1 of maria: +4 workers until" in again.hosts[0].reason
