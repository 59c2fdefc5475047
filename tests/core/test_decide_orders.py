"""One cycle's decision of hosts of which people, or the calendar, have said something."""

from dataclasses import replace
from datetime import UTC, time, timedelta
from typing import Any

from autoscaler.core.calendar import CalendarEntry, Hours
from autoscaler.core.decide import decide
from autoscaler.core.rest import Rest
from autoscaler.core.rules import Rules
from autoscaler.model import (
    Decision,
    Demand,
    Direction,
    DomainState,
    Facility,
    GuardLimits,
    HostTimers,
    Orders,
    Quarantine,
    Situation,
    Window,
)
from autoscaler.store.records import decision_from_json, decision_to_json
from autoscaler.testing import NOW, observed, proof_window
from policies.static import Static
from tests.core.deciding import FACILITY, Scripted, at, granted, transfers
from tests.core.situations import a_pause, an_override


class TestOrders:
    """What people have said of hosts, in the decision."""

    PAUSED = Orders(tuple(a_pause(each) for each in Direction))
    SET = Orders(overrides=(an_override(5),))

    def decided(self, orders: Orders, *, window: Window | None = None, workers: int = 8, had: int = 2) -> Decision:
        """``orders`` are of host-1."""
        situation = Situation(window or Window(NOW), at(had, had), orders=orders)
        signals = () if window is None else ("proof_queued_sessions",)
        return decide(situation, FACILITY, Rules(Scripted(Demand(workers, "so"), signals), GuardLimits()))

    def test_a_paused_host_is_left_alone_and_its_reason_says_why(self) -> None:
        decision = self.decided(self.PAUSED)
        assert transfers(decision) == {"host-2": (2, 6)}
        reason = "hold: so; paused until 2026-11-23 13:00:00 UTC by anna: kernel update"
        assert decision.hosts[0].reason == reason

    def test_a_paused_host_is_not_even_put_right(self) -> None:
        first, second = at(2, 2)
        proof, wn = first.domains
        half = replace(proof, allocation=proof.allocation.resized(proof.allocation.memory_mib + 300))
        situation = Situation(Window(NOW), (replace(first, domains=(half, wn)), second), orders=self.PAUSED)
        rules = Rules(Static(4), GuardLimits())
        assert transfers(decide(situation, FACILITY, rules)) == {}
        assert transfers(decide(replace(situation, orders=Orders()), FACILITY, rules)) == {"host-1": (2, 2)}

    def test_a_paused_host_in_quarantine_is_not_tried(self) -> None:
        quarantine = Quarantine("wn", "its balloon does not move", NOW, 1, NOW)
        situation = Situation(Window(NOW), at(2, 0), (HostTimers("host-1", quarantine=quarantine),))
        rules = Rules(Static(2), GuardLimits())
        assert decide(situation, FACILITY, rules).hosts[0].transfer is not None
        assert decide(replace(situation, orders=self.PAUSED), FACILITY, rules).hosts[0].transfer is None

    def test_a_pause_that_is_over_is_none(self) -> None:
        over = Orders(tuple(replace(each, until=NOW) for each in self.PAUSED.pauses))
        assert transfers(self.decided(over)) == {"host-1": (2, 4), "host-2": (2, 4)}

    def test_the_last_of_two_pauses_counts(self) -> None:
        longer = tuple(replace(each, until=NOW + timedelta(days=1), who="ben") for each in self.PAUSED.pauses)
        for pauses in ((*self.PAUSED.pauses, *longer), (*longer, *self.PAUSED.pauses)):
            assert "until 2026-11-24 12:00:00 UTC by ben" in self.decided(Orders(pauses)).hosts[0].reason

    def test_a_host_that_is_set_gets_its_workers_and_its_reason_says_why(self) -> None:
        decision = self.decided(self.SET)
        assert transfers(decision) == {"host-1": (2, 5), "host-2": (2, 3)}
        reason = "grow: so; set to 5 workers until 2026-11-23 13:00:00 UTC by anna: tutorial"
        assert decision.hosts[0].reason == reason

    def test_a_host_is_set_while_the_signals_are_unknown_and_nothing_else_moves(self) -> None:
        decision = self.decided(self.SET, window=proof_window([None], [0.0]))
        assert transfers(decision) == {"host-1": (2, 5)}
        assert [cut.guard for cut in decision.hosts[0].cuts] == ["fresh", "override"]

    def test_a_domain_that_could_not_be_woken_is_not_woken_by_an_override_before_its_next_try(self) -> None:
        host = replace(FACILITY.hosts[0], proof=replace(FACILITY.hosts[0].proof, dormant_state=DomainState.PAUSED))
        seen = observed(host)
        asleep = replace(seen.domains[0], state=DomainState.PAUSED)
        quarantine = Quarantine("proof", "it did not wake", NOW, 1, NOW + timedelta(minutes=5))
        situation = Situation(
            Window(NOW),
            (replace(seen, domains=(asleep, *seen.domains[1:])),),
            (HostTimers("host-1", quarantine=quarantine),),
            orders=self.SET,
        )
        rules = Rules(Static(0), GuardLimits())
        assert transfers(decide(situation, Facility((host,)), rules)) == {}
        assert transfers(decide(replace(situation, timers=()), Facility((host,)), rules)) == {"host-1": (0, 5)}

    def test_a_decision_with_orders_can_be_decided_again(self) -> None:
        both = Orders(tuple(replace(each, host="host-2") for each in self.PAUSED.pauses), self.SET.overrides)
        decision = self.decided(both)
        stored = decision_from_json(decision_to_json(decision))
        assert stored == decision
        assert self.decided(stored.situation.orders) == decision

    def test_what_is_known_of_hosts_at_rest_changes_nothing_of_this(self) -> None:
        rules, rest = Rules(Static(4), GuardLimits()), Rest()
        seen = at(2, 2)
        for orders in (Orders(), self.SET, self.PAUSED, Orders()):
            situation = Situation(Window(NOW), seen, orders=orders)
            assert decide(situation, FACILITY, rules, rest) == decide(situation, FACILITY, rules)


class TestCalendar:
    """What the calendar says, in the decision; it is a Monday, 12:00."""

    NOON = Hours(UTC, frozenset({0}), begin=time(12), end=time(13))

    def decided(self, *, had: int = 2, wanted: int = 4, **entry: Any) -> Decision:
        rules = Rules(Static(wanted), GuardLimits(), calendar=(CalendarEntry("noon", self.NOON, **entry),))
        return decide(Situation(Window(NOW), at(had, had)), FACILITY, rules)

    def test_the_facility_has_at_least_its_minimum_and_every_reason_says_why(self) -> None:
        decision = self.decided(workers_min=10)
        assert granted(decision) == {"host-1": 5, "host-2": 5}
        assert decision.hosts[0].reason == "grow: always 4 workers; calendar: at least 10 workers (noon)"
        assert decision.demand.workers == 4

    def test_some_hosts_have_at_most_their_maximum(self) -> None:
        decision = self.decided(workers_max=0, hosts=frozenset({"host-1"}), where="rack")
        assert granted(decision) == {"host-1": 0, "host-2": 4}
        assert decision.hosts[0].reason.endswith("; calendar: at most 0 workers on rack (noon)")

    def test_hosts_do_not_change_while_they_are_frozen_and_their_reason_says_why(self) -> None:
        decision = self.decided(wanted=8, frozen=frozenset(Direction))
        assert transfers(decision) == {}
        assert decision.hosts[0].reason.endswith("; growing frozen (noon); shrinking frozen (noon)")
        assert decision.unplaced_workers == 4

    def test_at_other_times_nothing_is_limited(self) -> None:
        rules = Rules(Static(4), GuardLimits(), calendar=(CalendarEntry("noon", self.NOON, workers_min=10),))
        later = Window(NOW + timedelta(hours=1))
        assert granted(decide(Situation(later, at(2, 2)), FACILITY, rules)) == {"host-1": 2, "host-2": 2}
