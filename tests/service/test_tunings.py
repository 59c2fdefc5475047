"""What alerts have begun, in the cycles of the real controller."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from autoscaler.core.rules import Rules
from autoscaler.core.tuning import TuningRule, decide_tuning
from autoscaler.model import Change, Direction, TuningKind
from autoscaler.simulation.redecide import differences, redecide
from autoscaler.store.records import Record
from autoscaler.testing import NOW
from tests.core.alerts import HOUR, an_alert
from tests.service.plant import LIMITS, POLICY, Plant, hosts_named

TWO_MORE = TuningRule({"alertname": "HighQueue"}, TuningKind.BOOST, HOUR, 2)
NO_GROWTH = TuningRule({"alertname": "HighQueue"}, TuningKind.FREEZE, HOUR, None, Direction.GROW, ("a",), "a")


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    started = Plant(tmp_path, hosts_named("a"))
    started.source.queued = 1
    yield started
    started.close()


def hear(plant: Plant, rule: TuningRule, *, firing: bool = True) -> None:
    plant.store.carry_out(decide_tuning([an_alert(firing=firing)], [rule], NOW), NOW)


def test_a_boost_is_there_until_its_alert_is_resolved_and_then_only_the_boost_is_undone(plant: Plant) -> None:
    hear(plant, TWO_MORE)
    plant.cycle()
    assert plant.workers() == {"a": 6}
    hear(plant, TWO_MORE, firing=False)
    plant.cycles(6)
    assert plant.workers() == {"a": 4}


def test_a_boost_is_there_after_a_restart(plant: Plant) -> None:
    hear(plant, TWO_MORE)
    plant.controller.stop()
    plant.start()
    plant.cycle()
    assert plant.workers() == {"a": 6}


def test_a_frozen_host_does_not_grow(plant: Plant) -> None:
    hear(plant, NO_GROWTH)
    plant.cycle()
    assert plant.workers() == {"a": 0}


def test_the_walk_to_the_safe_split_heeds_no_boost(plant: Plant) -> None:
    plant.source.queued = 0
    hear(plant, TWO_MORE)
    assert plant.controller.walk_to_safe("cycles failed").decision.hosts[0].wanted == 0


def test_a_stored_decision_with_a_boost_is_decided_again_as_it_was(plant: Plant) -> None:
    hear(plant, TWO_MORE)
    plant.cycle()
    record = plant.store.latest()
    assert record is not None
    again = redecide(record.decision, plant.facility, Rules(POLICY, LIMITS)).decision
    assert again.hosts == record.decision.hosts
    assert "alert HighQueue (grafana): +2 workers until" in again.hosts[0].reason


def test_a_parameter_is_stepped_until_its_alert_is_resolved_also_over_a_restart(plant: Plant) -> None:
    change = Change("workers_per_session", 2, 1, 8, "workers_per_session +2 within 1 to 8")
    step = TuningRule({"alertname": "HighQueue"}, TuningKind.STEP, HOUR, change=change)
    hear(plant, step)
    plant.cycle()
    assert plant.workers() == {"a": 6}
    plant.controller.stop()
    plant.start()
    hear(plant, step)
    assert plant.cycle().decision.demand.workers == 6
    hear(plant, step, firing=False)
    assert plant.cycle().decision.demand.workers == 4
    records = [each for each in plant.store.stream() if isinstance(each, Record)]
    again = [redecide(each.decision, plant.facility, Rules(POLICY, LIMITS)).decision for each in records]
    assert [differences(each.decision, two) for each, two in zip(records, again, strict=True)] == [()] * 3


def test_a_walk_to_the_safe_split_is_decided_again_as_it_was(plant: Plant) -> None:
    plant.source.queued = 0
    hear(plant, TWO_MORE)
    walked = plant.controller.walk_to_safe("cycles failed").decision
    again = redecide(walked, plant.facility, Rules(POLICY, LIMITS)).decision
    assert (differences(walked, again), again.policy) == ((), walked.policy)
