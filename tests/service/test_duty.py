"""Cycles that fail: counted, recorded, told, and after many of them the hosts walk to the safe split."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import pytest

from autoscaler.contracts import StoreError
from autoscaler.core.rules import Rules
from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Demand, Memory, Window
from autoscaler.service.duty import Duty, status_text
from autoscaler.service.health import Health
from autoscaler.testing import NOW, SettableSource
from policies.threshold import Threshold
from tests.service.plant import MINUTE, POLICY, Plant, hosts_named

TO_SAFE = 3


@dataclass
class Broken:
    """Raises where a test wants it: nothing that a contract allows."""

    model: bool = False
    source: bool = False
    inner: SettableSource = field(default_factory=SettableSource)

    def given(self, rules: Rules) -> Rules:
        if self.model:
            raise ZeroDivisionError("a surprise")
        return rules

    def read(self, now: datetime) -> Window:
        if self.source:
            raise ZeroDivisionError("a surprise")
        return self.inner.read(now)


@dataclass
class Site:
    plant: Plant
    broken: Broken
    duty: Duty
    health: Health

    def cycles(self, number: int) -> int:
        """Run so many, a minute apart; return how many raised."""
        raised = 0
        for _ in range(number):
            try:
                self.duty.cycle()
            except (ZeroDivisionError, StoreError):
                raised += 1
            self.plant.controller.settle()
            self.plant.now += MINUTE
        return raised

    def metric(self, name: str) -> float:
        samples = [sample for metric in self.health.collect() for sample in metric.samples]
        (value,) = [sample.value for sample in samples if sample.name == name]
        return value


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    made: list[Plant] = []

    def site(**changes: object) -> Site:
        broken, health = Broken(), Health()
        plant = Plant(tmp_path, hosts_named("host-1"), with_model=broken.given, source=broken, **changes)
        made.append(plant)
        duty = Duty(plant.controller, health, TO_SAFE, plant.store.record_failure, lambda: plant.now)
        return Site(plant, broken, duty, health)

    yield site
    for plant in made:
        plant.close()


@pytest.fixture
def site(make: Callable[..., Site]) -> Site:
    """One host with four workers, its users gone."""
    made = make()
    made.broken.inner.queued = 1
    made.cycles(1)
    made.broken.inner.queued = 0
    assert made.plant.workers() == {"host-1": 4}
    return made


def test_a_failed_cycle_moves_nothing(site: Site) -> None:
    before, site.broken.model = site.plant.writes(), True
    assert site.cycles(TO_SAFE - 1) == TO_SAFE - 1
    assert site.plant.writes() == before


def test_a_failed_cycle_is_recorded_with_what_it_raised(site: Site) -> None:
    site.broken.model = True
    site.cycles(2)
    assert [failed.error for failed in site.plant.store.failures(NOW)] == ["ZeroDivisionError: a surprise"] * 2


def test_failures_are_counted_for_prometheus(site: Site) -> None:
    site.broken.model = True
    site.cycles(2)
    assert site.metric("autoscaler_failed_cycles_in_a_row") == 2
    assert site.metric("autoscaler_safe_split") == 0


def test_a_refused_configuration_is_told_to_prometheus_until_one_is_taken_over(site: Site) -> None:
    told = []
    for problem in ("autoscaler.yaml:3: store", None):
        site.duty.reload(lambda problem=problem: problem)
        told.append(site.metric("autoscaler_configuration_refused"))
    assert told == [1, 0]


def test_after_so_many_failed_cycles_proof_goes_dormant_where_nobody_works(site: Site) -> None:
    site.broken.model = True
    assert site.cycles(TO_SAFE) == TO_SAFE
    assert site.plant.workers() == {"host-1": 0}
    assert site.metric("autoscaler_safe_split") == 1


def test_the_walk_to_the_safe_split_is_recorded_with_its_reason(site: Site) -> None:
    site.broken.model = True
    site.cycles(TO_SAFE)
    newest = site.plant.store.newest()
    assert newest is not None
    assert "safe split, 3 cycles failed in a row: no session runs or waits" in newest.hosts[0].reason


def test_the_walk_to_the_safe_split_is_logged_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.broken.model = True
    site.cycles(3 * TO_SAFE)
    told = [text for text in caplog.messages if "hosts are walked" in text]
    assert told == ["3 cycles failed in a row: hosts are walked to the safe split"]


def test_the_workers_of_a_running_query_are_never_taken(site: Site) -> None:
    site.broken.model, site.broken.inner.running = True, 1
    site.cycles(5 * TO_SAFE)
    assert site.plant.workers() == {"host-1": 4}


def test_nothing_moves_while_it_is_unknown_whether_sessions_run(site: Site) -> None:
    site.broken.source = True
    site.cycles(5 * TO_SAFE)
    assert site.plant.workers() == {"host-1": 4}


def test_without_a_record_there_is_no_walk(site: Site) -> None:
    before, site.plant.store.fails_at = site.plant.writes(), "decision"
    assert site.cycles(5 * TO_SAFE) == 5 * TO_SAFE
    assert site.plant.writes() == before
    assert site.metric("autoscaler_store_failing") == 1
    assert site.metric("autoscaler_safe_split") == 0


def test_nothing_is_written_into_a_damaged_store(site: Site) -> None:
    site.plant.store.damaged = True
    site.cycles(5 * TO_SAFE)
    assert site.plant.store.failures(NOW) == ()


def test_a_walk_that_is_not_possible_is_told_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "autoscaler")
    site.broken.model, site.plant.store.fails_at = True, "decision"
    site.cycles(5 * TO_SAFE)
    assert len([text for text in caplog.messages if "no safe split" in text]) == 1


def test_a_cycle_that_finishes_ends_it(site: Site) -> None:
    site.broken.model = True
    site.cycles(2 * TO_SAFE)
    site.broken.model = False
    assert site.cycles(1) == 0
    assert site.metric("autoscaler_safe_split") == 0
    assert site.metric("autoscaler_failed_cycles_in_a_row") == 0


def test_users_who_come_are_served_again_when_cycles_finish(site: Site) -> None:
    site.broken.model = True
    site.cycles(2 * TO_SAFE)
    site.broken.model, site.broken.inner.queued = False, 1
    site.cycles(1)
    assert site.plant.workers() == {"host-1": 4}


@dataclass(frozen=True, slots=True)
class Counting:
    """Remembers how often it was asked."""

    signals: ClassVar = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS)
    history: ClassVar = MINUTE

    def decide(self, window: Window) -> Demand:
        return Demand(0, f"asked {len(window.memory.get('asked', ()))} times before")

    def remember(self, window: Window, demand: Demand) -> Memory:
        del demand
        return {"asked": (*window.memory.get("asked", ()), 1.0)}


def test_what_a_policy_remembers_outlasts_the_walk_and_a_restart(make: Callable[..., Site]) -> None:
    site = make(policy=Counting())
    site.cycles(2)
    site.broken.model = True
    site.cycles(2 * TO_SAFE)
    site.broken.model = False
    site.plant.controller.stop()
    assert site.plant.start().cycle().decision.demand.reason == "asked 2 times before"


def test_the_status_counts_workers_on_the_hosts_that_have_some(tmp_path: Path) -> None:
    plant = Plant(tmp_path, hosts_named("host-1", "host-2", "host-3"))
    plant.source.queued = 2
    cycle = plant.cycle()
    plant.close()
    clock = f"{NOW.astimezone():%H:%M:%S}"
    assert status_text(cycle) == f"cycle 1: 8 workers wanted, 8 granted on 3 of 3 hosts; last change {clock}"


def test_the_policy_of_these_tests_keeps_workers_longer_than_a_walk_takes() -> None:
    assert isinstance(POLICY, Threshold)
    assert POLICY.idle > TO_SAFE * MINUTE
