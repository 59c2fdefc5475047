"""A night without signals: the walk to the safe split under the real controller, over restarts, and in a replay."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from autoscaler.core.rules import Rules
from autoscaler.service.duty import status_text
from autoscaler.service.past import Past
from autoscaler.service.review import Side, review
from autoscaler.simulation.redecide import differences, redecide
from autoscaler.store.records import Record
from autoscaler.testing import NOW
from tests.service.plant import LIMITS, MINUTE, POLICY, Plant, hosts_named

AFTER = replace(LIMITS, unknown_to_safe=timedelta(hours=1))


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """Two hosts with four workers each, and an exporter that has just died."""
    plant = Plant(tmp_path, hosts_named("host-1", "host-2"), limits=AFTER)
    plant.source.queued = 2
    plant.cycle()
    for fake in plant.fakes.values():
        fake.domains["proof"].used_mib = 300
    plant.source.queued, plant.source.running = None, None
    yield plant
    plant.close()


def live(plant: Plant, minutes: int, *, cores: float = 0.01, cycle: Callable[[], object] | None = None) -> None:
    """A cycle each minute; PROOF takes so many cores on host-2, and next to nothing on host-1."""
    for _ in range(minutes):
        (cycle or plant.cycle)()
        plant.fakes["host-1"].domains["proof"].cpu_time_s += 0.5
        plant.fakes["host-2"].domains["proof"].cpu_time_s += 60 * cores


def test_a_facility_that_nobody_uses_gives_its_workers_back_after_the_stated_time(plant: Plant) -> None:
    live(plant, 60)
    assert plant.workers() == {"host-1": 4, "host-2": 4}
    live(plant, 1)
    assert plant.workers() == {"host-1": 0, "host-2": 0}


def test_a_query_that_runs_all_night_keeps_its_workers(plant: Plant) -> None:
    live(plant, 200, cores=0.3)
    assert plant.workers() == {"host-1": 0, "host-2": 4}


def test_a_user_who_begins_in_the_middle_of_it_keeps_what_there_is(plant: Plant) -> None:
    live(plant, 50)
    live(plant, 2, cores=4)
    live(plant, 50)
    assert plant.workers() == {"host-1": 0, "host-2": 4}


def test_a_restart_of_the_controller_does_not_begin_the_time_anew(plant: Plant) -> None:
    live(plant, 50)
    plant.controller.stop()
    plant.start()
    live(plant, 11)
    assert plant.workers() == {"host-1": 0, "host-2": 0}


def test_users_are_served_with_the_first_cycle_that_knows_of_them(plant: Plant) -> None:
    live(plant, 90)
    plant.source.queued, plant.source.running = 2, 0
    plant.cycle()
    assert plant.workers() == {"host-1": 4, "host-2": 4}


def test_it_is_logged_when_it_begins_and_when_it_is_over(plant: Plant, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "autoscaler")
    live(plant, 90)
    plant.source.queued = plant.source.running = 0
    plant.cycle()
    begun, over = [text for text in caplog.messages if "safe split" in text and "->" not in text]
    assert begun.startswith("safe split, signals have been unknown since 2026-11-23 12:01:00 UTC; hosts whose")
    assert begun.endswith("; hosts whose PROOF does nothing give its workers back")
    assert over == "walk to the safe split: over"


def test_the_status_line_says_so(plant: Plant) -> None:
    live(plant, 61)
    assert ": walking to the safe split, as signals are unknown for long, " in status_text(plant.cycle())


def test_cycles_that_fail_besides_do_not_keep_it_from_coming(plant: Plant) -> None:
    """Each of them is followed by a cycle to the safe split, which does not know either whether sessions run."""

    def fail() -> None:
        plant.controller.walk_to_safe("cycles failed")
        plant.controller.settle()
        plant.now += MINUTE

    live(plant, 30)
    live(plant, 31, cycle=fail)
    assert plant.workers() == {"host-1": 0, "host-2": 0}


def test_every_stored_decision_of_the_night_is_decided_again_alike(plant: Plant) -> None:
    live(plant, 90, cores=0.3)
    for record in plant.store.stream():
        assert isinstance(record, Record)
        again = redecide(record.decision, plant.facility, Rules(POLICY, AFTER))
        assert differences(record.decision, again.decision) == ()


def test_a_replay_of_the_night_does_what_was_really_done(plant: Plant) -> None:
    live(plant, 90, cores=0.3)
    windows = [record.decision.situation.window for record in plant.store.stream() if isinstance(record, Record)]
    past = Past(plant.store.stream(), plant.facility, POLICY.signals, AFTER, 3 * MINUTE)
    found = review([Side(plant.facility, Rules(POLICY, AFTER))], windows, past, NOW, MINUTE)
    assert found.moments == []
    assert found.sides[0].total.changes == found.done.total.changes == 1
