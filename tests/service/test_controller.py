"""The loop's cycle: read, decide, record the intent, act, record the outcome."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from autoscaler.contracts import Hypervisor, StoreError
from autoscaler.hypervisors import connect
from autoscaler.model import (
    Demand,
    Direction,
    Facility,
    GuardLimits,
    Host,
    HostState,
    HostTimers,
    Memory,
    Result,
    Window,
)
from autoscaler.service.controller import Pace
from autoscaler.store.sql import SqlStore
from autoscaler.testing import NOW, FakeHost, a_host
from tests.core.situations import a_pause, an_override
from tests.hypervisors.site import on_test_driver
from tests.service.plant import MINUTE, PACE, Plant, decided, hosts_named
from tests.service.test_metrics import LEARNED
from tests.service.waiting import DEADLINE_S, Gate, wait_until

MakePlant = Callable[..., Plant]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[MakePlant]:
    """Make a plant; it is stopped at the end of the test."""
    made: list[Plant] = []

    def make(*names: str, **changes: object) -> Plant:
        made.append(Plant(tmp_path, hosts_named(*names), **changes))
        return made[-1]

    yield make
    for one in made:
        one.close()


class TestOrders:
    """What people say of hosts while the controller runs."""

    def test_are_heard_at_the_next_cycle(self, tmp_path: Path, plant: MakePlant) -> None:
        site = plant("host-1", "host-2")
        site.cycle()
        with closing(SqlStore(tmp_path / "decisions.sqlite")) as command:
            command.record_pauses([a_pause(each, until=NOW + 10 * MINUTE) for each in Direction])
            command.record_override(an_override(3, "host-2", until=NOW + 10 * MINUTE))
        site.source.queued = 1
        site.cycle()
        assert site.workers() == {"host-1": 0, "host-2": 3}

    def test_end_by_themselves(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.store.record_override(an_override(3, until=NOW + MINUTE))
        site.cycle()
        assert site.workers() == {"host-1": 3}
        site.cycles(7)
        assert site.workers() == {"host-1": 0}

    def test_that_cannot_be_read_end_the_cycle_before_anything_is_done(self, tmp_path: Path, plant: MakePlant) -> None:
        site = plant("host-1")
        site.store.record_override(an_override(3))
        with closing(sqlite3.connect(tmp_path / "decisions.sqlite")) as connection, connection:
            connection.execute("UPDATE overrides SET body = '{}'")
        site.source.queued = 1
        with pytest.raises(StoreError, match="a pause or an override cannot be read"):
            site.cycle()
        assert site.writes() == []


class TestTheMainJob:
    """Users come, users leave."""

    def test_a_host_grows_in_the_cycle_in_which_sessions_queue(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.cycle()
        site.source.queued = 1
        site.cycle()
        assert site.workers() == {"host-1": 4}

    def test_workers_are_spread_over_the_hosts(self, plant: MakePlant) -> None:
        site = plant("host-1", "host-2")
        site.source.queued = 2
        site.cycle()
        assert site.workers() == {"host-1": 4, "host-2": 4}

    def test_workers_stay_while_the_sessions_run(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.source.queued = 1
        site.cycle()
        site.source.queued, site.source.running = 0, 1
        site.cycles(10)
        assert site.workers() == {"host-1": 4}

    def test_a_host_keeps_its_workers_until_the_idle_time_is_over(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.source.queued = 1
        site.cycle()
        site.source.queued = 0
        site.cycles(5)
        assert site.workers() == {"host-1": 4}

    def test_a_host_is_dormant_again_after_the_idle_time(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.source.queued = 1
        site.cycle()
        site.source.queued = 0
        site.cycles(7)
        assert site.workers() == {"host-1": 0}
        assert site.fakes["host-1"].domains["wn"].memory_mib == 6911

    def test_an_unknown_load_changes_nothing(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.source.queued = 1
        site.cycle()
        before = site.writes()
        site.source.queued = site.source.running = None
        site.cycles(20)
        assert site.writes() == before

    def test_libvirt_itself_is_resized(self, tmp_path: Path, plant: MakePlant) -> None:
        host = on_test_driver(tmp_path)
        host = replace(host, wns=(replace(host.wns[0], swap_down_to_mib=572),))
        opened: list[Hypervisor] = []

        def open_one(host: Host) -> Hypervisor:
            opened.append(connect(host))
            return opened[-1]

        site = plant("host-1", connect=open_one)
        site.facility = Facility((host,))
        site.start()
        site.source.queued = 1
        site.cycle()
        proof, wn = opened[-1].read().domains
        assert (proof.allocation.memory_mib, wn.allocation.memory_mib) == (572 + 4 * 792, 7483 - 572 - 4 * 792)

    def test_a_restarted_controller_goes_on_where_the_last_one_was(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.source.queued = 1
        site.cycle()
        site.controller.stop()
        site.start()
        again = site.cycle()
        assert decided(again, "host-1").current == 4
        assert again.decision.transfers == ()


class TestAHostInTrouble:
    """One host's trouble is that host's."""

    def test_is_recorded_while_the_others_go_on(self, plant: MakePlant) -> None:
        site = plant("host-1", "host-2")
        missing = connect(a_host("host-1", uri="test:///nowhere/host.xml"))
        site.connect = lambda host: missing if host.name == "host-1" else site.fakes[host.name]
        site.start()
        site.source.queued = 1
        cycle = site.cycle()
        assert "nowhere" in (cycle.decision.situation.host("host-1").problem or "")
        assert site.workers() == {"host-1": 0, "host-2": 4}

    def test_gets_no_workers_and_the_others_get_them(self, plant: MakePlant) -> None:
        site = plant("host-1", "host-2")
        missing = connect(a_host("host-1", uri="test:///nowhere/host.xml"))
        site.connect = lambda host: missing if host.name == "host-1" else site.fakes[host.name]
        site.start()
        site.source.queued = 2
        site.cycle()
        assert site.workers() == {"host-1": 0, "host-2": 8}

    def test_that_is_only_late_keeps_its_workers_and_no_other_gets_them(self, plant: MakePlant) -> None:
        site, gate = plant("host-1", "host-2"), Gate()
        site.source.running = 1
        site.cycle()
        assert site.workers() == {"host-1": 2, "host-2": 2}
        hang_at(site.fakes["host-1"], "read", gate)
        site.source.running = 2
        cycle = site.cycle()
        assert decided(cycle, "host-1").reason == "late: this cycle did not wait for its answer"
        assert site.workers() == {"host-1": 2, "host-2": 6}  # 8 wanted
        gate.open()

    def test_is_logged_once_when_it_comes_and_once_when_it_is_over(
        self, plant: MakePlant, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, logger="autoscaler")
        site = plant("host-1")
        site.source.running = None
        site.cycles(3)
        site.source.running = 0
        site.cycles(3)
        assert caplog.messages == ["proof_running_sessions is unknown: set to unknown", "signals: well again"]


class TestTheStore:
    """Intent first, so that a crash can be understood."""

    def test_has_the_intent_before_the_first_write(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.source.queued = 1
        site.cycle()
        first_write = site.events.index(site.writes()[0])
        assert "decision" in site.events[:first_write]

    def test_has_the_outcome_after_the_last_write(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.source.queued = 1
        site.cycle()
        assert site.events.index("outcome host-1") > site.events.index(site.writes()[-1])

    def test_has_the_outcome_of_every_transfer(self, plant: MakePlant) -> None:
        site = plant("host-1", "host-2")
        site.source.queued = 2
        number = site.cycle().number
        results = {outcome.host: outcome.result for outcome in site.store.record(number).outcomes}
        assert results == {"host-1": Result.DONE, "host-2": Result.DONE}

    def test_has_a_decision_of_every_cycle(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.cycles(5)
        assert len(site.store.history(100, changes_only=False)) == 5

    def test_has_what_every_domain_was_asked_for(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.source.queued = 1
        site.cycle()
        asked = {("host-1", "proof"): 572 + 4 * 792, ("host-1", "wn"): 7483 - 572 - 4 * 792}
        assert site.store.asked() == asked

    def test_has_the_timer_of_a_growth(self, plant: MakePlant) -> None:
        site = plant("host-1")
        at = site.now
        site.source.queued = 1
        site.cycle()
        assert list(site.store.timers()) == [HostTimers("host-1", grew_at=at)]

    def test_has_the_timer_of_a_return(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.source.queued = 1
        grew_at = site.now
        site.cycle()
        site.source.queued = 0
        site.cycles(7)
        (timers,) = site.store.timers()
        assert timers.grew_at == grew_at
        assert timers.shrank_at == grew_at + 6 * MINUTE

    def test_keeps_a_cooldown_over_a_restart(self, plant: MakePlant) -> None:
        site = plant("host-1", limits=GuardLimits(shrink_cooldown=30 * MINUTE))
        site.source.queued = 1
        site.cycle()
        site.controller.stop()
        site.start()
        site.source.queued = 0
        cycle = site.cycles(10)
        assert [cut.guard for cut in decided(cycle, "host-1").cuts] == ["cooldown"]

    def test_that_fails_before_the_act_keeps_every_host_as_it_is(self, plant: MakePlant) -> None:
        site = plant("host-1", "host-2")
        site.source.queued = 2
        site.store.fails_at = "decision"
        with pytest.raises(StoreError):
            site.cycle()
        site.controller.settle()
        assert site.writes() == []

    def test_that_fails_at_the_ledger_gives_the_acceptor_nothing(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.source.queued = 1
        site.store.fails_at = "asked"
        number = site.cycle().number
        assert site.workers() == {"host-1": 0}
        assert site.store.record(number).outcomes[0].result is Result.FAILED

    def test_that_fails_at_the_outcome_ends_neither_the_lane_nor_the_next_cycle(
        self, plant: MakePlant, caplog: pytest.LogCaptureFixture
    ) -> None:
        site = plant("host-1")
        site.source.queued = 1
        site.store.fails_at = "outcome"
        site.cycle()
        assert "host-1: the outcome of the transfer cannot be recorded: store" in caplog.text
        site.store.fails_at = None
        assert decided(site.cycle(), "host-1").current == 4

    def test_that_works_again_lets_the_next_cycle_do_what_was_left(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.source.queued = 1
        site.store.fails_at = "decision"
        with pytest.raises(StoreError):
            site.cycle()
        site.store.fails_at = None
        site.cycle()
        assert site.workers() == {"host-1": 4}


class TestWhileATransferRuns:
    """A cycle does not wait for balloons."""

    def test_a_cycle_sees_its_host_moving_and_leaves_it_alone(self, plant: MakePlant) -> None:
        site, gate = plant("host-1"), Gate()
        hang_at(site.fakes["host-1"], "set_memory", gate)
        site.source.queued = 1
        site.controller.cycle()
        cycle = site.controller.cycle()
        assert cycle.decision.situation.host("host-1").state is HostState.MOVING
        assert decided(cycle, "host-1").reason == "in transfer to 4 workers"
        gate.open()

    def test_a_host_in_transfer_does_not_delay_another(self, plant: MakePlant) -> None:
        site, gate = plant("host-1", "host-2"), Gate()
        hang_at(site.fakes["host-1"], "set_memory", gate)
        site.source.queued = 1
        site.controller.cycle()
        lane = site.controller._hosts.lane("host-2")
        wait_until(lambda: lane.transferring is None, "the first transfer of host-2")
        site.source.queued = 2
        site.controller.cycle()
        wait_until(lambda: lane.transferring is None, "the second transfer of host-2")
        assert site.workers() == {"host-1": 0, "host-2": 6}  # 8 wanted, 2 of them are on their way on host-1
        gate.open()
        site.controller.settle()
        assert site.workers() == {"host-1": 2, "host-2": 6}

    def test_a_surprise_in_a_transfer_ends_neither_the_lane_nor_the_next_cycle(
        self, plant: MakePlant, caplog: pytest.LogCaptureFixture
    ) -> None:
        site = plant("host-1")
        before = site.fakes["host-1"].before_call

        def surprise(call: str) -> None:
            if call.startswith("set_memory"):
                raise ZeroDivisionError
            before(call)

        site.fakes["host-1"].before_call = surprise
        site.source.queued = 1
        site.cycle()
        assert "host-1: the transfer failed unexpectedly" in caplog.text
        site.fakes["host-1"].before_call = before
        site.cycle()
        assert site.workers() == {"host-1": 4}


class TestStopping:
    """The controller ends; every host stays at a safe split."""

    def test_waits_for_the_transfers(self, plant: MakePlant) -> None:
        site, gate = plant("host-1"), Gate()
        hang_at(site.fakes["host-1"], "set_memory", gate)
        site.source.queued = 1
        site.controller.cycle()
        assert gate.reached.wait(DEADLINE_S)
        stopping = threading.Thread(target=lambda: (site.controller.stop(), site.events.append("stopped")))
        stopping.start()
        stopping.join(0.2)
        assert stopping.is_alive()
        gate.open()
        stopping.join(DEADLINE_S)
        assert site.events.index("outcome host-1") < site.events.index("stopped")

    def test_interrupts_a_transfer_that_does_not_finish_in_the_grace_time(
        self, plant: MakePlant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("autoscaler.service.controller.STOP_GRACE_S", 0.01)
        site = plant("host-1")
        site.fakes["host-1"].stuck = frozenset({"wn"})
        site.source.queued = 1
        number = site.controller.cycle().number
        site.controller.stop()
        assert site.store.record(number).outcomes[0].result is Result.INTERRUPTED

    def test_does_not_wait_for_a_host_that_hangs_at_a_read(self, plant: MakePlant) -> None:
        site, gate = plant("host-1", pace=Pace(timedelta(seconds=0.2), PACE.transfer_stall)), Gate()
        hang_at(site.fakes["host-1"], "read", gate)
        site.controller.cycle()
        stopping = threading.Thread(target=site.controller.stop)
        stopping.start()
        stopping.join(DEADLINE_S)
        assert not stopping.is_alive()
        gate.open()

    def test_without_transfers_is_over_at_once(self, plant: MakePlant) -> None:
        site = plant("host-1")
        site.cycle()
        site.controller.stop()
        assert site.controller.settle(timeout_s=0)


def test_a_policy_that_raises_holds_everything_and_is_recorded(plant: MakePlant) -> None:
    class Broken:
        signals: tuple[str, ...] = ()
        history = timedelta(0)

        def decide(self, window: Window) -> Demand:
            raise LookupError(window.now)

    site = plant("host-1", policy=Broken())
    cycle = site.cycle()
    assert (site.store.record(cycle.number).decision.error or "").startswith("policy failed: LookupError")
    assert site.writes() == []


def test_the_parts_of_a_cycle_are_timed(plant: MakePlant) -> None:
    cycle = plant("host-1").cycle()
    assert cycle.read_s > 0
    assert cycle.decide_s > 0


def hang_at(fake: FakeHost, word: str, gate: Gate) -> None:
    before = fake.before_call

    def hang(call: str) -> None:
        if call.startswith(word):
            gate.pass_through()
        before(call)

    fake.before_call = hang


def test_what_the_policy_remembers_outlives_the_controller(plant: MakePlant) -> None:
    class Counting:
        signals: tuple[str, ...] = ()
        history = timedelta(0)

        def decide(self, window: Window) -> Demand:
            return Demand(0, f"asked {len(window.memory.get('asked', ()))} times before")

        def remember(self, window: Window, _demand: Demand) -> Memory:
            return {"asked": (*window.memory.get("asked", ()), 1.0)}

    site = plant("host-1", policy=Counting())
    site.cycles(2)
    site.controller.stop()
    site.start()
    assert site.cycle().decision.demand.reason == "asked 2 times before"


def test_a_learned_policy_that_steps_back_is_told_once_with_its_reason(
    plant: MakePlant, caplog: pytest.LogCaptureFixture
) -> None:
    class SteppedBack:
        signals: tuple[str, ...] = ()
        history = timedelta(0)

        def decide(self, _window: Window) -> Demand:
            return Demand(0, "nobody")

        def remember(self, _window: Window, _demand: Demand) -> Memory:
            return LEARNED

    caplog.set_level(logging.INFO, "autoscaler")
    plant("host-1", policy=SteppedBack()).cycles(3)
    told = [record.message for record in caplog.records if "threshold rule" in record.message]
    assert told == ["the policy: the threshold rule decides alone: the model is too old"]
