"""A controller that stands by moves nothing, and one that takes over begins from what the store says."""

from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from socket import AF_UNIX, SOCK_DGRAM, socket
from typing import Any

import pytest

from autoscaler.contracts import StoreError
from autoscaler.model import Decision, Result
from autoscaler.service.duty import Duty
from autoscaler.service.health import Health
from autoscaler.service.shift import Shift
from autoscaler.store.database import LostTermError
from autoscaler.store.sql import SqlStore
from tests.service.plant import Plant, hosts_named
from tests.service.waiting import DEADLINE_S, Gate
from tests.testbed.processes import scratch_folder


@dataclass
class Lead:
    """Who leads, by the test's word."""

    term: int | None = None
    problem: str | None = None
    words: str = "standby, leader is somebody"


class TermStore(SqlStore):
    """The real store, with another controller that may have taken over; a file has no terms of its own."""

    current = 1

    def confirm(self) -> None:
        """Refuse an old term."""
        if self.term != TermStore.current:
            raise LostTermError("store x: somebody leads now")

    def record_asked(self, host: str, domain: str, memory_mib: int) -> None:
        """Refuse an old term."""
        self.confirm()
        super().record_asked(host, domain, memory_mib)


class Two:
    """The plant's controller as one of two."""

    def __init__(self, plant: Plant, lead: Lead) -> None:
        TermStore.current = 1
        self.plant, self.lead, self.health = plant, lead, Health()
        self.duty = Duty(plant.controller, self.health, 3, lambda *_: None, lambda: plant.now)
        self.store = TermStore(plant.folder / "decisions.sqlite")
        self.shift = Shift(self.duty, plant.controller, self.store.of_term, lead)  # type: ignore[arg-type]

    def cycle(self) -> Decision | None:
        """One round, its transfers finished, and a minute gone."""
        done = self.shift.cycle()
        self.plant.controller.settle()
        self.plant.now += timedelta(minutes=1)
        return None if done is None else done.decision


@pytest.fixture
def two(tmp_path: Path):
    plant = Plant(tmp_path, hosts_named("host-1"))
    made = Two(plant, Lead())
    yield made
    made.store.close()
    plant.close()


def metrics(health: Health) -> dict[str, float]:
    return {sample.name: sample.value for family in health.collect() for sample in family.samples}


def test_who_stands_by_reads_no_host_and_moves_nothing(two: Two) -> None:
    two.plant.source.queued = 1
    assert two.cycle() is None
    assert two.plant.events == []
    assert not two.shift.leads


def test_who_leads_moves_memory(two: Two) -> None:
    two.lead.term = 1
    two.plant.source.queued = 1
    assert two.cycle() is not None
    assert two.plant.workers() == {"host-1": 4}


def test_who_has_no_other_beside_it_always_leads(two: Two) -> None:
    alone = Shift(two.duty, two.plant.controller, two.store.of_term, None)
    assert alone.leads
    assert alone.cycle() is not None


def test_who_takes_over_knows_what_the_other_one_decided(two: Two) -> None:
    two.lead.term = 1
    two.cycle()
    two.lead.term = None
    two.cycle()
    two.store.record_decision(Decision(two.plant.now, "other", *_rest(two), memory={"load": (7.0,)}))
    two.lead.term = TermStore.current = 3
    decision = two.cycle()
    assert decision is not None
    assert decision.situation.window.memory == {"load": (7.0,)}


def _rest(two: Two) -> tuple[Any, ...]:
    newest = two.store.newest()
    assert newest is not None
    return newest.situation, newest.demand, newest.hosts


def test_a_transfer_of_an_old_term_writes_no_more_even_when_its_controller_leads_anew(two: Two) -> None:
    """It was under way while another one led: what it knows of the host is no longer true."""
    two.lead.term = 1
    gate = Gate()
    fake = two.plant.fakes["host-1"]
    passed = fake.before_call
    fake.before_call = lambda call: gate.pass_through() if call.startswith("set_memory") else passed(call)
    two.plant.source.queued = 1
    two.shift.cycle()
    assert gate.reached.wait(30)
    two.lead.term = TermStore.current = 3
    fake.before_call = passed
    two.shift.cycle()
    gate.open()
    two.plant.controller.settle()
    latest = two.store.record(1)
    assert [(outcome.result, outcome.reason) for outcome in latest.outcomes] == [
        (Result.FAILED, "store x: somebody leads now")
    ]
    two.cycle()
    assert two.plant.workers() == {"host-1": 4}


def test_standing_by_is_no_failure_and_what_failed_before_is_over(two: Two) -> None:
    two.lead.term = 1
    two.plant.store.close()
    two.health.failed(by_store=True)
    two.lead.term = None
    two.cycle()
    seen = metrics(two.health)
    assert (seen["autoscaler_failed_cycles_in_a_row"], seen["autoscaler_store_failing"]) == (0, 0)
    assert "autoscaler_last_cycle_timestamp_seconds" not in seen


def test_a_standby_that_does_not_reach_the_store_shows_that_it_fails(two: Two) -> None:
    two.lead.problem = "store x: refused"
    two.cycle()
    assert metrics(two.health)["autoscaler_store_failing"] == 1


def test_a_standby_is_ready_for_systemd_and_feeds_the_watchdog(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waits is well; without READY=1 its start would time out."""
    with scratch_folder() as folder, closing(socket(AF_UNIX, SOCK_DGRAM)) as end:
        end.bind(str(folder / "notify"))
        end.settimeout(DEADLINE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        told = []
        for _ in range(2):
            two.cycle()
            told.append(end.recv(4096).decode().split("\n"))
        two.lead.term = 1
        two.cycle()
        told.append(end.recv(4096).decode().split("\n"))
    assert told[0] == ["READY=1", "WATCHDOG=1", "STATUS=standby, leader is somebody"]
    assert told[1] == ["WATCHDOG=1", "STATUS=standby, leader is somebody"]
    assert told[2][0] == "WATCHDOG=1"
    assert told[2][1].startswith("STATUS=cycle ")


def test_a_store_that_refuses_an_old_term_fails_the_cycle(two: Two) -> None:
    two.lead.term = 1
    TermStore.current = 2
    two.plant.source.queued = 1
    two.shift.cycle()
    two.plant.controller.settle()
    assert two.plant.writes() == []
    with pytest.raises(StoreError):
        two.store.of_term(1).confirm()
