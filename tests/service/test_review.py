"""Replays beside what was really done: the store tells it, and what it does not know is said."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from autoscaler.core.orders import MAINTENANCE
from autoscaler.core.rules import Rules
from autoscaler.core.tuning import TuningPlan
from autoscaler.model import (
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    AlertIdentity,
    Direction,
    Facility,
    GuardLimits,
    Sample,
    Series,
    Tuning,
    TuningKind,
    Window,
)
from autoscaler.service.past import Past
from autoscaler.service.review import Review, Side, review
from autoscaler.simulation.redecide import differences, redecide
from autoscaler.store.records import Record
from autoscaler.testing import NOW, a_host
from policies.hold import Hold
from policies.static import Static
from policies.threshold import Threshold
from tests.core.situations import a_pause, an_override
from tests.service.plant import LIMITS, MINUTE, POLICY, Plant, hosts_named

FACILITY = hosts_named("host-1", "host-2")
ALERT = AlertIdentity("grafana", "g", "f", NOW)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """Two hosts under the real controller."""
    plant = Plant(tmp_path, FACILITY)
    yield plant
    plant.close()


def worked(plant: Plant) -> None:
    """A quiet start, a session that comes and goes, and a time in which nothing is known."""
    plant.cycles(8)
    plant.source.queued = 2.0
    plant.cycles(3)
    plant.source.queued = None
    plant.cycles(2)
    plant.source.queued = 0.0
    plant.cycles(8)


def stored(plant: Plant) -> list[Record]:
    return [record for record in plant.store.stream() if isinstance(record, Record)]


def past(plant: Plant, facility: Facility = FACILITY, lapse: timedelta = 3 * MINUTE) -> Past:
    return Past(plant.store.stream(), facility, POLICY.signals, LIMITS, lapse)


def reviewed(plant: Plant, *sides: Side, start: datetime = NOW, facility: Facility = FACILITY) -> Review:
    """Replay over the windows that the controller saw."""
    windows = [record.decision.situation.window for record in stored(plant)]
    later = [window for window in windows if window.now >= start]
    return review(sides, later, past(plant, facility), start, MINUTE)


def test_what_a_real_controller_decided_is_decided_again_without_a_difference(plant: Plant) -> None:
    worked(plant)
    records = stored(plant)
    assert sum(bool(record.decision.transfers) for record in records) >= 2
    for record in records:
        again = redecide(record.decision, FACILITY, Rules(POLICY, LIMITS))
        assert again.left_out == {}
        assert differences(record.decision, again.decision) == ()
        assert again.decision == record.decision


def test_the_same_policy_over_the_same_windows_does_what_was_really_done(plant: Plant) -> None:
    worked(plant)
    found = reviewed(plant, Side(FACILITY, Rules(POLICY, LIMITS)))
    assert found.moments == []
    assert found.sides[0].total == found.done.total
    assert found.done.total.changes == 4  # two hosts grow and shrink
    assert found.done.total.moved_mib == 4 * 4 * 792
    assert found.sides[0].unknown_signals_s == found.done.unknown_signals_s == 120
    assert found.unknown_cycles == {("proof_queued_sessions", "set to unknown"): 2}


def test_what_people_and_alerts_said_then_is_heeded(plant: Plant) -> None:
    plant.cycles(2)
    until = NOW + 6 * MINUTE
    plant.store.record_override(an_override(3, "host-2", until=until))
    plant.store.record_pauses([a_pause(each, until=until) for each in Direction])
    boost = Tuning(ALERT, "High", "boost", TuningKind.BOOST, NOW, until=NOW + 10 * MINUTE, workers=8)
    freeze = replace(boost, rule="freeze", kind=TuningKind.FREEZE, direction=Direction.SHRINK, hosts=("host-2",))
    plant.store.carry_out(TuningPlan(begin=(boost, freeze)), plant.now)
    plant.cycles(20)
    found = reviewed(plant, Side(FACILITY, Rules(POLICY, LIMITS)))
    assert found.done.total.changes >= 4
    assert found.moments == []
    assert found.sides[0].total == found.done.total
    assert found.ordered_cycles == 8


def test_maintenance_is_that_of_the_side_and_not_that_of_then(plant: Plant) -> None:
    plant.store.record_pauses([a_pause(Direction.GROW, who=MAINTENANCE, until=NOW + 30 * MINUTE)])
    worked(plant)
    found = reviewed(plant, Side(FACILITY, Rules(POLICY, LIMITS)))
    assert found.ordered_cycles == 0
    assert found.sides[0].hosts["host-1"].changes == 2
    stopped = Rules(POLICY, LIMITS, maintenance=(a_pause(Direction.GROW, until=NOW + 30 * MINUTE),))
    assert reviewed(plant, Side(FACILITY, stopped)).sides[0].hosts["host-1"].changes == 0


def test_another_policy_differs_in_moments_that_have_both_reasons(plant: Plant) -> None:
    worked(plant)
    eager = Side(FACILITY, Rules(Threshold(workers_per_session=8, idle=5 * MINUTE), LIMITS))
    found = reviewed(plant, eager)
    assert {moment.host for moment in found.moments} == {"host-1", "host-2"}
    first = found.moments[0]
    assert (first.begin, first.one.workers, first.two.workers) == (NOW + 8 * MINUTE, 8, 4)
    assert first.one.reason.startswith("grow: 2 queued")
    assert first.two.reason.startswith("grow: 2 queued")


def test_two_sides_are_compared_with_each_other_and_both_counted(plant: Plant) -> None:
    worked(plant)
    found = reviewed(plant, Side(FACILITY, Rules(Hold(), LIMITS)), Side(FACILITY, Rules(Static(2), LIMITS)))
    assert [(moment.one.workers, moment.two.workers) for moment in found.moments] == [(0, 1), (0, 1)]
    assert [course.total.changes for course in (*found.sides, found.done)] == [0, 2, 4]


def test_a_signal_is_unknown_only_by_the_limits_of_a_side_that_uses_it() -> None:
    old = Series(PROOF_QUEUED_SESSIONS, (Sample(NOW, 0.0),), NOW - 2 * MINUTE)
    windows = [Window(NOW, (old, Series(PROOF_RUNNING_SESSIONS, (Sample(NOW, 0.0),), NOW)))]
    patient, strict = GuardLimits(fresh_for=5 * MINUTE), GuardLimits(fresh_for=MINUTE)

    def unknown(*rules: Rules) -> dict[tuple[str, str], int]:
        sides = [Side(FACILITY, each) for each in rules]
        return dict(review(sides, windows, Past((), FACILITY, (), LIMITS, MINUTE), NOW, MINUTE).unknown_cycles)

    assert unknown(Rules(POLICY, patient), Rules(Static(2), strict)) == {}
    assert unknown(Rules(POLICY, patient), Rules(POLICY, strict)) == {
        (PROOF_QUEUED_SESSIONS, "older than guards.fresh_for"): 1
    }


def test_a_replay_begins_where_the_hosts_stood(plant: Plant) -> None:
    worked(plant)
    found = reviewed(plant, Side(FACILITY, Rules(Hold(), LIMITS)), start=NOW + 9 * MINUTE)
    assert found.assumed == []
    assert found.sides[0].hosts["host-1"].granted_worker_s == 4 * 12 * 60
    assert found.sides[0].total.changes == 0


def test_a_cooldown_of_the_real_facility_counts_at_the_beginning(plant: Plant) -> None:
    worked(plant)
    limits = GuardLimits(shrink_cooldown=10 * MINUTE)
    found = reviewed(plant, Side(FACILITY, Rules(Static(0), limits)), start=NOW + 9 * MINUTE)
    assert found.sides[0].hosts["host-1"].granted_worker_s == 4 * 9 * 60  # it grew in minute 8


def test_a_facility_that_the_store_does_not_know_begins_dormant_and_that_is_said() -> None:
    facility = Facility((a_host("host-9"),))
    windows = [Window(NOW, (Series("proof_queued_sessions", (Sample(NOW, 0.0),), NOW),))]
    nothing = Past((), facility, (), LIMITS, MINUTE)
    found = review([Side(facility, Rules(Static(4), LIMITS))], windows, nothing, NOW, MINUTE)
    assert [sentence.partition(" ")[0] for sentence in found.assumed] == ["host-9", "host-9:"]
    assert found.done.known_s == 0
    assert found.moments == []


def test_a_host_that_is_not_configured_any_more_is_left_out_and_named(plant: Plant) -> None:
    worked(plant)
    one = Facility(FACILITY.hosts[:1])
    held_against = past(plant, one)
    windows = [record.decision.situation.window for record in stored(plant)]
    found = review([Side(one, Rules(POLICY, LIMITS))], windows, held_against, NOW, MINUTE)
    assert held_against.strangers == {"host-2"}
    assert found.done.hosts.keys() == {"host-1"}


def test_a_time_without_a_controller_is_not_known(plant: Plant) -> None:
    plant.cycles(2)
    plant.now += timedelta(minutes=30)
    plant.cycles(2)
    found = past(plant)
    known = [found.move_to(NOW + n * MINUTE) is not None for n in range(35)]
    assert known == [True] * 5 + [False] * 27 + [True] * 3


def test_a_decision_that_cannot_be_read_is_passed_over_and_kept(plant: Plant) -> None:
    worked(plant)
    damaged = [record for record in plant.store.stream() if isinstance(record, Record)][8]
    plant.store._write(
        lambda connection: connection.exec_driver_sql(f"UPDATE decisions SET body = '' WHERE number = {damaged.number}")
    )
    found = past(plant)
    assert found.move_to(NOW + 30 * MINUTE) is None
    assert [each.number for each in found.unreadable] == [damaged.number]
