"""One cycle's decision from end to end: what users do, what fails, and that it can be decided again."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.allocation import memory_for_guests_mib
from autoscaler.core.calendar import CalendarEntry, Hours
from autoscaler.core.decide import Rules, decide
from autoscaler.core.guards import GUARDS, HostView, Verdict, unknown_reason
from autoscaler.core.rest import Rest
from autoscaler.core.voices import ACTING
from autoscaler.model import (
    Allocation,
    Decision,
    Demand,
    Direction,
    DomainState,
    Facility,
    GuardLimits,
    Host,
    HostObservation,
    HostState,
    HostTimers,
    Memory,
    Orders,
    Quarantine,
    Quiet,
    Situation,
    StepKind,
    Window,
)
from autoscaler.store.records import decision_from_json, decision_to_json
from autoscaler.testing import A_SWAPPING_WN, NOW, a_host, observed, proof_window
from policies.hold import Hold
from policies.static import Static
from policies.threshold import Threshold
from tests.core.situations import a_pause, an_override, hosts, observations, unhurried, windows

FACILITY = Facility((a_host("host-1"), a_host("host-2")))
IDLE: list[float | None] = [0.0] * 7
THRESHOLD = Rules(Threshold(workers_per_session=2, idle=timedelta(minutes=5)), GuardLimits())


@dataclass(frozen=True)
class Scripted:
    """A policy that answers, or raises, what it was given."""

    answer: Any
    signals: tuple[str, ...] = ()
    history: timedelta = field(default=timedelta(0))

    def decide(self, _window: Window) -> Demand:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def at(*workers: int) -> tuple[HostObservation, ...]:
    """The hosts of the facility with so many workers each."""
    return tuple(observed(host, workers=number) for host, number in zip(FACILITY.hosts, workers, strict=True))


def granted(decision: Decision) -> dict[str, int | None]:
    return {host.host: host.granted for host in decision.hosts}


def transfers(decision: Decision) -> dict[str, tuple[int, int]]:
    return {transfer.host: (transfer.workers_from, transfer.workers_to) for transfer in decision.transfers}


def test_when_users_come_every_host_grows() -> None:
    """Three sessions of two workers are 6, on two equal hosts 3 each."""
    decision = decide(Situation(proof_window([*IDLE, 3], [*IDLE, 0]), at(0, 0)), FACILITY, THRESHOLD)
    assert transfers(decision) == {"host-1": (0, 3), "host-2": (0, 3)}
    assert decision.error is None


def test_when_users_have_left_every_host_goes_dormant() -> None:
    decision = decide(Situation(proof_window(IDLE, IDLE), at(3, 3)), FACILITY, THRESHOLD)
    assert transfers(decision) == {"host-1": (3, 0), "host-2": (3, 0)}


def test_when_users_just_left_nothing_changes() -> None:
    decision = decide(Situation(proof_window(IDLE, [*IDLE[1:], 3, 0]), at(3, 3)), FACILITY, THRESHOLD)
    assert transfers(decision) == {}
    assert granted(decision) == {"host-1": 3, "host-2": 3}


def test_a_dormant_facility_without_users_stays_as_it_is() -> None:
    decision = decide(Situation(proof_window(IDLE, IDLE), at(0, 0)), FACILITY, THRESHOLD)
    assert decision.transfers == ()
    assert [host.reason for host in decision.hosts] == [
        "hold: 0 queued and 0 running sessions, idle for 5 min",
        "hold: 0 queued and 0 running sessions, idle for 5 min",
    ]


def test_a_decision_says_what_was_wanted_what_was_granted_and_who_cut_it() -> None:
    """The Worker Node of host-1 uses 4000 MiB: room for 3 of the 5 workers there."""
    seen = (observed(FACILITY.hosts[0], wn_used_mib=4000), observed(FACILITY.hosts[1], wn_used_mib=500))
    first, second = decide(Situation(proof_window([5], [0]), seen), FACILITY, THRESHOLD).hosts
    assert (first.current, first.wanted, first.granted) == (0, 5, 3)
    assert [(cut.guard, cut.before, cut.after) for cut in first.cuts] == [("wn_floor", 5, 3)]
    assert (
        first.reason
        == "grow: 5 queued and 0 running sessions, peak of the last 5 min is 5; wn_floor: wn keeps 4256 MiB"
    )
    assert (second.wanted, second.granted, second.cuts) == (5, 5, ())


UNKNOWN = {
    "no value": proof_window([None], [1]),
    "a stale value": replace(proof_window([5], [1]), now=NOW + timedelta(seconds=91)),
    "no signal at all": Window(NOW),
}


@pytest.mark.parametrize("window", UNKNOWN.values(), ids=UNKNOWN)
@pytest.mark.parametrize("workers", [0, 2, 5], ids=["would shrink", "would stay", "would grow"])
def test_on_an_unknown_signal_nothing_is_resized(window: Window, workers: int) -> None:
    """Not even what a repair would put right: host-1 has half a worker too much."""
    rules = Rules(Scripted(Demand(workers * 2, "so"), signals=THRESHOLD.policy.signals), GuardLimits())
    one, two = at(2, 2)
    proof, wn = one.domains
    half = replace(proof, allocation=replace(proof.allocation, memory_mib=proof.allocation.memory_mib + 396))
    decision = decide(Situation(window, (replace(one, domains=(half, wn)), two)), FACILITY, rules)
    assert decision.transfers == ()
    assert granted(decision) == {"host-1": 2, "host-2": 2}


def test_what_a_holding_policy_leaves_is_not_repaired_either() -> None:
    one, two = at(2, 2)
    proof, wn = one.domains
    half = replace(proof, allocation=replace(proof.allocation, memory_mib=proof.allocation.memory_mib + 396))
    situation = Situation(Window(NOW), (replace(one, domains=(half, wn)), two))
    assert decide(situation, FACILITY, Rules(Hold(), GuardLimits())).transfers == ()


def test_a_known_demand_repairs_part_of_a_worker() -> None:
    one, two = at(2, 2)
    proof, wn = one.domains
    half = replace(proof, allocation=replace(proof.allocation, memory_mib=proof.allocation.memory_mib + 396))
    situation = Situation(Window(NOW), (replace(one, domains=(half, wn)), two))
    (transfer,) = decide(situation, FACILITY, Rules(Static(4), GuardLimits())).transfers
    assert (transfer.host, transfer.workers_from, transfer.workers_to) == ("host-1", 2, 2)
    assert [(step.kind, step.domain) for step in transfer.steps] == [(StepKind.SHRINK, "proof")]


BROKEN_POLICIES = {
    "raises": (Scripted(ZeroDivisionError("division by zero")), "ZeroDivisionError: division by zero"),
    "wants a negative number": (Scripted(Demand(-1, "oops")), "ValueError: demand of -1 workers"),
    "wants part of a worker": (Scripted(Demand(2.5, "oops")), "ValueError: demand of 2.5 workers"),
    "wants NaN": (Scripted(Demand(float("nan"), "oops")), "ValueError: demand of nan workers"),
    "forgets to answer": (Scripted(None), "AttributeError: 'NoneType' object has no attribute 'workers'"),
}


@pytest.mark.parametrize(("policy", "error"), BROKEN_POLICIES.values(), ids=BROKEN_POLICIES)
def test_a_policy_that_fails_holds_every_host_and_is_recorded(policy: Scripted, error: str) -> None:
    decision = decide(Situation(Window(NOW), at(2, 5)), FACILITY, Rules(policy, GuardLimits()))
    assert decision.error == f"policy failed: {error}"
    assert decision.demand.workers is None
    assert decision.transfers == ()
    assert granted(decision) == {"host-1": 2, "host-2": 5}


def test_a_guard_that_fails_empties_the_plan_of_every_host_and_is_recorded() -> None:
    def faulty(wanted: int, view: HostView) -> Verdict:
        if view.host.name == "host-2":
            raise RuntimeError("boom")
        return Verdict(wanted, "")

    rules = Rules(Static(6), GuardLimits(), (*GUARDS, faulty))
    decision = decide(Situation(Window(NOW), at(0, 0)), FACILITY, rules)
    assert decision.error == "guard failed on host-2: RuntimeError: boom"
    assert decision.transfers == ()
    assert granted(decision) == {"host-1": 3, "host-2": None}


def test_the_first_of_several_errors_is_kept() -> None:
    def faulty(_wanted: int, view: HostView) -> Verdict:
        raise RuntimeError(view.host.name)

    rules = Rules(Static(6), GuardLimits(), (faulty,))
    assert (
        decide(Situation(Window(NOW), at(0, 0)), FACILITY, rules).error
        == "guard failed on host-1: RuntimeError: host-1"
    )


def test_an_unusable_host_does_not_stop_the_others() -> None:
    lost = HostObservation("host-2", HostState.UNUSABLE, problem="host-2 does not answer in time")
    decision = decide(Situation(Window(NOW), (at(0, 0)[0], lost)), FACILITY, Rules(Static(6), GuardLimits()))
    assert transfers(decision) == {"host-1": (0, 6)}
    assert decision.hosts[1].reason == "host-2 does not answer in time"
    assert (decision.hosts[1].current, decision.hosts[1].wanted, decision.hosts[1].granted) == (None, None, None)


def test_a_moving_host_is_left_alone() -> None:
    """Its 4 workers to be count: 6 - 4 = 2 for the other."""
    moving = HostObservation("host-2", HostState.MOVING, moving_to_workers=4)
    decision = decide(Situation(Window(NOW), (at(0, 0)[0], moving)), FACILITY, Rules(Static(6), GuardLimits()))
    assert transfers(decision) == {"host-1": (0, 2)}
    assert decision.hosts[1].reason == "in transfer to 4 workers"


def test_timers_of_one_host_do_not_hold_another() -> None:
    timers = (HostTimers("host-1", grew_at=NOW - timedelta(seconds=10)),)
    decision = decide(Situation(Window(NOW), at(2, 2), timers), FACILITY, Rules(Static(0), GuardLimits()))
    assert transfers(decision) == {"host-2": (2, 0)}


class TestQuarantine:
    """A host with a balloon that does not move is left as it is, and tried again from time to time."""

    SOON, DUE = NOW + timedelta(seconds=1), NOW

    def decision(self, probe_at: object, *, domain: str = "wn", **changes: object) -> Decision:
        """Eight workers are wanted; host-1 has two and is quarantined, host-2 has none. ``changes`` are of a domain."""
        quarantine = Quarantine(domain, "wn did not move", NOW - timedelta(minutes=5), 1, probe_at)
        one, two = at(2, 0)
        domains = tuple(replace(each, **changes) if each.name == domain else each for each in one.domains)
        situation = Situation(
            Window(NOW), (replace(one, domains=domains), two), (HostTimers("host-1", quarantine=quarantine),)
        )
        return decide(situation, FACILITY, Rules(Static(8), GuardLimits()))

    def test_leaves_the_host_as_it_is_and_says_since_when_and_until_when(self) -> None:
        first = self.decision(self.SOON).hosts[0]
        assert (first.current, first.wanted, first.granted, first.transfer) == (2, None, 2, None)
        assert first.reason == ("quarantined since 2026-11-23 11:55:00 UTC: wn did not move; tried again at 12:00:01")

    def test_counts_the_host_with_its_present_workers(self) -> None:
        """8 - 2 = 6 are for the other."""
        assert transfers(self.decision(self.SOON)) == {"host-2": (0, 6)}

    def test_is_probed_when_its_time_has_come(self) -> None:
        first = self.decision(self.DUE).hosts[0]
        assert first.transfer is not None
        assert (first.transfer.probe, [step.domain for step in first.transfer.steps]) == ("wn", ["wn"])
        assert first.reason.endswith("; trying whether it moves now")

    def test_is_not_probed_while_the_signals_are_unknown(self) -> None:
        quarantine = Quarantine("wn", "wn did not move", NOW, 1, self.DUE)
        situation = Situation(proof_window([None], [1]), at(2, 0), (HostTimers("host-1", quarantine=quarantine),))
        assert decide(situation, FACILITY, THRESHOLD).transfers == ()

    def test_is_not_probed_while_the_policy_holds(self) -> None:
        quarantine = Quarantine("wn", "wn did not move", NOW, 1, self.DUE)
        situation = Situation(Window(NOW), at(2, 0), (HostTimers("host-1", quarantine=quarantine),))
        assert decide(situation, FACILITY, Rules(Hold(), GuardLimits())).transfers == ()

    def test_tries_the_other_way_every_second_time(self) -> None:
        """At its lower limit a balloon moves up only."""
        quarantine = Quarantine("wn", "wn did not move", NOW, 2, self.DUE)
        situation = Situation(Window(NOW), at(2, 0), (HostTimers("host-1", quarantine=quarantine),))
        transfer = decide(situation, FACILITY, Rules(Static(8), GuardLimits())).hosts[0].transfer
        assert transfer is not None
        assert [(step.kind, step.domain) for step in transfer.steps][-1] == (StepKind.GROW, "wn")

    @pytest.mark.parametrize(("probe_at", "workers"), [(SOON, None), (DUE, 4)])
    def test_of_what_could_not_be_woken_gives_the_host_no_workers_until_the_next_try(
        self, probe_at: datetime, workers: int | None
    ) -> None:
        """The other one holds seven beside what its Worker Node uses."""
        facility = Facility(
            tuple(
                replace(host, proof=replace(host.proof, dormant_state=DomainState.SHUT_OFF)) for host in FACILITY.hosts
            )
        )
        one, two = at(0, 0)
        asleep = replace(one.domains[0], state=DomainState.SHUT_OFF, allocation=Allocation(0, 256), start_mib=572)
        quarantine = Quarantine("proof", "cannot be woken: no such disk", NOW, 1, probe_at)
        situation = Situation(
            Window(NOW),
            (replace(one, domains=(asleep, *one.domains[1:])), two),
            (HostTimers("host-1", quarantine=quarantine),),
        )
        first, second = decide(situation, facility, Rules(Static(8), GuardLimits())).hosts
        assert (first.granted, second.granted) == ((0, 7) if workers is None else (workers, workers))
        assert ("cannot be woken: no such disk" in first.reason) == (workers is None)

    def test_that_cannot_be_tried_says_so(self) -> None:
        """It does not say what it uses, and has all that it can have."""
        first = self.decision(self.DUE, used_mib=None, allocation=Allocation(6911, 32)).hosts[0]
        assert first.transfer is None
        assert first.reason.endswith("; it cannot be tried now")

    @pytest.mark.parametrize("state", [DomainState.PAUSED, DomainState.SHUT_OFF])
    def test_of_a_domain_that_does_not_run_binds_nobody(self, state: DomainState) -> None:
        """The administrator has stopped what was stuck: the host goes on without it, 4 workers on each."""
        changes = {"state": state, "used_mib": None}
        if state is DomainState.SHUT_OFF:
            changes["allocation"] = Allocation(0, 256)
        assert self.decision(self.SOON, **changes).hosts[0].wanted == 4

    def test_of_a_domain_that_is_not_ours_any_more_binds_nobody(self) -> None:
        assert self.decision(self.SOON, domain="gone").hosts[0].wanted == 4


def test_workers_without_a_place_are_reported() -> None:
    """Two hosts hold 8 each."""
    decision = decide(Situation(Window(NOW), at(0, 0)), FACILITY, Rules(Static(20), GuardLimits()))
    assert decision.unplaced_workers == 20 - 2 * 8


def test_a_decision_names_its_policy_with_all_parameters() -> None:
    rules = Rules(Static(20), GuardLimits())
    situation = Situation(Window(NOW), at(0, 0))
    assert decide(situation, FACILITY, rules).policy == "Static(workers=20)"
    assert decide(situation, FACILITY, replace(rules, told=lambda name, _policy: name)).policy == ACTING


LONG = timedelta(hours=3)
_states = st.sampled_from([HostState.READY, HostState.READY, HostState.MOVING, HostState.UNUSABLE])
# Often none, else any mixture of pauses and overrides, some of them over.
_untils = st.sampled_from([NOW + timedelta(hours=1), NOW + timedelta(hours=1), NOW])
_pauses = st.builds(
    lambda direction, host, until: a_pause(direction, host, until=until),
    st.sampled_from(Direction),
    st.sampled_from(["host-1", "host-2"]),
    _untils,
)
_overrides = st.builds(lambda workers, until: an_override(workers, "host-2", until=until), st.integers(0, 20), _untils)
_orders = st.just(Orders()) | st.builds(
    Orders, st.lists(_pauses, max_size=3).map(tuple), st.lists(_overrides, max_size=1).map(tuple)
)
_entries = st.builds(
    lambda hosts, least, most, frozen: CalendarEntry("now", Hours(UTC), hosts, "some", least, most, frozen),
    st.sampled_from([None, frozenset({"host-1"}), frozenset({"host-1", "host-2"})]),
    st.integers(0, 20),
    st.none() | st.integers(0, 20),
    st.sampled_from([frozenset(), frozenset({Direction.GROW}), frozenset(Direction)]),
)
situations = st.builds(
    lambda window, seen, states, orders, since: Situation(
        window,
        tuple(
            replace(one, host=name, state=state, moving_to_workers=3 if state is HostState.MOVING else None)
            for name, one, state in zip(("host-1", "host-2"), seen, states, strict=True)
        ),
        orders=orders,
        unknown_since={} if since is None else {ACTING: since},
        quiet=() if since is None else (Quiet("host-1", since, NOW, 0.0), Quiet("host-2", NOW, NOW, 0.0)),
    ),
    windows,
    st.tuples(observations, observations),
    st.tuples(_states, _states),
    _orders,
    st.sampled_from([None, NOW, NOW - LONG]),
)
facilities = st.builds(
    lambda one, two: Facility((replace(one, name="host-1"), replace(two, name="host-2"))), hosts, hosts
)
rules_of_any_policy = st.builds(
    lambda policy, dead_band_workers, calendar: Rules(
        policy, GuardLimits(dead_band_workers=dead_band_workers), calendar=calendar
    ),
    st.builds(
        Scripted,
        st.builds(Demand, st.none() | st.integers(0, 40), st.just("so")) | st.just(ValueError("no")),
        st.sampled_from([(), ("one",), ("one", "two")]),
    ),
    st.integers(1, 4),
    st.just(()) | st.lists(_entries, max_size=2).map(tuple),
)


@settings(unhurried, max_examples=100)
@given(situations, facilities, rules_of_any_policy)
def test_a_paused_host_moves_only_when_its_memory_does_not_hold_what_is_there(situation, facility, rules) -> None:
    decision = decide(situation, facility, rules)
    in_force = {(each.host, each.direction) for each in situation.orders.pauses if each.until > NOW}
    for transfer in decision.transfers:
        if {(transfer.host, each) for each in Direction} <= in_force:
            cuts = next(host.cuts for host in decision.hosts if host.host == transfer.host)
            assert cuts[-1].guard == "host_sum"
            assert transfer.workers_to < transfer.workers_from


@settings(unhurried, max_examples=100)
@given(st.lists(situations, min_size=2, max_size=3), facilities, rules_of_any_policy)
def test_what_is_known_from_earlier_cycles_changes_no_decision(several, facility: Facility, rules: Rules) -> None:
    rest = Rest()
    for situation in [*several, *several]:
        assert decide(situation, facility, rules, rest) == decide(situation, facility, rules)


@settings(unhurried, max_examples=100)
@given(situations, facilities, rules_of_any_policy)
def test_on_unknown_signals_only_a_host_that_has_been_quiet_for_long_shrinks_and_none_grows(
    situation: Situation, facility: Facility, rules: Rules
) -> None:
    if unknown_reason(situation.window, rules.policy.signals, rules.limits) is None:
        return
    set_by_hand = {each.host for each in situation.orders.overrides if each.until > NOW}
    quiet = {each.host for each in situation.quiet if each.since == NOW - LONG}
    for transfer in decide(situation, facility, rules).transfers:
        assert transfer.host in set_by_hand | quiet
        assert transfer.host in set_by_hand or transfer.workers_to < transfer.workers_from


@settings(unhurried, max_examples=100)
@given(situations, facilities, rules_of_any_policy)
def test_the_same_situation_gives_the_same_decision(situation: Situation, facility: Facility, rules: Rules) -> None:
    assert decide(situation, facility, rules) == decide(situation, facility, rules)


@settings(unhurried, max_examples=100)
@given(situations, facilities, rules_of_any_policy)
def test_a_stored_decision_decided_again_is_equal(situation: Situation, facility: Facility, rules: Rules) -> None:
    decision = decide(situation, facility, rules)
    read_back = decision_from_json(decision_to_json(decision))
    assert read_back == decision
    assert decide(read_back.situation, facility, rules) == decision


@settings(unhurried, max_examples=100)
@given(situations, facilities, rules_of_any_policy)
def test_only_ready_hosts_get_a_transfer_and_every_host_a_reason(
    situation: Situation, facility: Facility, rules: Rules
) -> None:
    decision = decide(situation, facility, rules)
    ready = {seen.host for seen in situation.hosts if seen.state is HostState.READY}
    assert {transfer.host for transfer in decision.transfers} <= ready
    assert [host.host for host in decision.hosts] == [seen.host for seen in situation.hosts]
    assert all(host.reason for host in decision.hosts)


@settings(unhurried, max_examples=100)
@given(situations, facilities, rules_of_any_policy)
def test_every_transfer_ends_within_its_hosts_memory(situation: Situation, facility: Facility, rules: Rules) -> None:
    """Or commits no more than is committed already; a domain may stay 8 MiB above its target."""
    for transfer in decide(situation, facility, rules).transfers:
        host: Host = facility.host(transfer.host)
        seen = situation.host(transfer.host)
        after = {domain.name: domain.committed_mib for domain in seen.domains}
        after |= {step.domain: step.after.memory_mib for step in transfer.steps if step.kind is not StepKind.CPU}
        floor_mib = host.proof.dormant.memory_mib + host.wns[0].memory_floor_mib + seen.unmanaged_mib
        most_mib = max(memory_for_guests_mib(host, seen), seen.committed_mib, floor_mib)
        assert seen.unmanaged_mib + sum(after.values()) <= most_mib + 8


def test_a_repair_is_called_one() -> None:
    host = a_host(wns=(A_SWAPPING_WN,))
    seen = observed(host, workers=0)
    proof, wn = seen.domains
    strange = replace(seen, domains=(replace(proof, allocation=replace(proof.allocation, cpu_weight=999)), wn))
    decision = decide(
        Situation(proof_window([0.0], [0.0]), (strange,)), Facility((host,)), Rules(Static(0), GuardLimits())
    )
    assert decision.hosts[0].reason == "put right: always 0 workers"
    assert [step.kind for step in decision.transfers[0].steps] == [StepKind.CPU]


def test_a_host_that_is_overcommitted_says_so() -> None:
    """3000 + 6911 = 9911 MiB of 8056 - 573 = 7483 MiB."""
    host = a_host()
    seen = observed(host, workers=0)
    proof, wn = seen.domains
    over = replace(seen, domains=(replace(proof, allocation=replace(proof.allocation, memory_mib=3000)), wn))
    decision = decide(Situation(proof_window([None], [None]), (over,)), Facility((host,)), Rules(Hold(), GuardLimits()))
    assert decision.hosts[0].reason.endswith("; overcommitted: 9911 MiB are taken of 7483 MiB for guests")


def test_a_host_out_of_bounds_is_left_alone_on_unknown_data() -> None:
    host = a_host(proof=replace(a_host().proof, workers_max=4))
    decision = decide(
        Situation(proof_window([None], [None]), (observed(host, workers=8),)),
        Facility((host,)),
        Rules(Threshold(), GuardLimits()),
    )
    assert (decision.hosts[0].granted, decision.transfers) == (8, ())
    assert decision.hosts[0].reason.startswith("hold: ")


def test_workers_go_to_the_other_host_while_a_worker_node_of_one_is_left_alone() -> None:
    """The emptier one would have got both workers of the second session."""
    timers = (HostTimers("host-1", strained_at=NOW - timedelta(minutes=1)),)
    decision = decide(Situation(proof_window([1.0], [1.0]), at(0, 2), timers), FACILITY, THRESHOLD)
    assert granted(decision) == {"host-1": 0, "host-2": 4}


@dataclass(frozen=True)
class Counting:
    """Remembers how often it was asked; fails when it is told to."""

    fails_at: float = -1.0
    signals: tuple[str, ...] = ()
    history: timedelta = timedelta(0)

    def decide(self, _window: Window) -> Demand:
        return Demand(0, "nobody")

    def remember(self, window: Window, _demand: Demand) -> Memory:
        (asked,) = window.memory.get("asked", (0.0,))
        if asked == self.fails_at:
            raise ValueError("too often")
        return {"asked": ((asked or 0.0) + 1,)}


def test_what_a_policy_remembers_is_in_the_decision_and_comes_back_in_the_window() -> None:
    first = decide(Situation(Window(NOW), at(0, 0)), FACILITY, Rules(Counting(), GuardLimits()))
    again = replace(first.situation.window, memory=first.memory)
    second = decide(Situation(again, at(0, 0)), FACILITY, Rules(Counting(), GuardLimits()))
    assert (first.memory, second.memory) == ({"asked": (1.0,)}, {"asked": (2.0,)})
    assert decision_from_json(decision_to_json(second)) == second


def test_a_policy_that_fails_to_remember_holds_and_knows_what_it_knew() -> None:
    window = Window(NOW, memory={"asked": (3.0,)})
    decision = decide(Situation(window, at(2, 2)), FACILITY, Rules(Counting(fails_at=3.0), GuardLimits()))
    assert decision.error == "policy failed: ValueError: too often"
    assert (decision.memory, decision.transfers) == ({"asked": (3.0,)}, ())


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
