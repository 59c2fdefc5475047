"""What holds of every decision, whatever the facility, the rules and the situation."""

from dataclasses import replace
from datetime import UTC, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.allocation import memory_for_guests_mib
from autoscaler.core.calendar import CalendarEntry, Hours
from autoscaler.core.decide import decide
from autoscaler.core.guards import unknown_reason
from autoscaler.core.rest import Rest
from autoscaler.core.rules import Rules
from autoscaler.core.voices import ACTING
from autoscaler.model import (
    Demand,
    Direction,
    Facility,
    GuardLimits,
    Host,
    HostState,
    Orders,
    Quiet,
    Situation,
    StepKind,
)
from autoscaler.store.records import decision_from_json, decision_to_json
from autoscaler.testing import NOW
from tests.core.deciding import Scripted
from tests.core.situations import a_pause, an_override, hosts, observations, unhurried, windows

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
