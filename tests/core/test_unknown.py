"""Signals that stay unknown: since when, what PROOF does meanwhile, and which hosts are walked to the safe split."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.calendar import CalendarEntry, Hours
from autoscaler.core.decide import decide
from autoscaler.core.rules import Rules
from autoscaler.core.unknown import watching
from autoscaler.core.voices import ACTING, Canary
from autoscaler.model import (
    Decision,
    DomainState,
    Facility,
    GuardLimits,
    HostObservation,
    HostState,
    HostTimers,
    Orders,
    Quiet,
    Situation,
)
from autoscaler.testing import NOW, a_host, a_window, observed
from policies.threshold import Threshold
from tests.core.situations import a_pause, an_override

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
FACILITY = Facility((a_host("host-1"), a_host("host-2")))
RULES = Rules(Threshold(), GuardLimits(unknown_to_safe=HOUR))


def a_host_at(
    workers: int, host: str = "host-1", *, cpu_time_s: float = 0.0, used_mib: int | None = 300
) -> HostObservation:
    """A host whose PROOF domain has so many workers, and has got so much CPU time."""
    seen = observed(FACILITY.host(host), workers=workers)
    proof, *wns = seen.domains
    proof = replace(proof, cpu_time_s=cpu_time_s, used_mib=used_mib)
    return replace(seen, domains=(proof, *wns))


def a_decision(
    at: datetime,
    *hosts: HostObservation,
    before: Decision | None = None,
    known: bool = False,
    rules: Rules = RULES,
    **changes: object,
) -> Decision:
    """What is decided then, as the loop decides it: with what the cycle before knew."""
    value = 0.0 if known else None
    window = a_window({"proof_queued_sessions": [value], "proof_running_sessions": [value]}, now=at)
    situation = Situation(window, hosts or (a_host_at(4),), **changes)  # type: ignore[arg-type]
    situation = watching(situation, before, FACILITY, rules.acting_signals, rules.limits)
    return decide(situation, FACILITY, rules)


def cycles(
    minutes: int, cpu_s_each: float = 0.0, *, before: Decision | None = None, rules: Rules = RULES, **changes: object
) -> Decision:
    """So many cycles a minute apart in which nothing is known and PROOF takes so much CPU; the last decision."""
    begin, cpu_s = (NOW, 0.0) if before is None else (before.at + MINUTE, cpu_of(before))
    for minute in range(minutes):
        host = a_host_at(4, cpu_time_s=cpu_s + minute * cpu_s_each)
        before = a_decision(begin + minute * MINUTE, host, before=before, rules=rules, **changes)
    assert before is not None
    return before


def cpu_of(decision: Decision) -> float:
    return decision.situation.hosts[0].domains[0].cpu_time_s


def moves(decision: Decision) -> dict[str, tuple[int, int]]:
    return {each.host: (each.workers_from, each.workers_to) for each in decision.transfers}


class TestUnknownSince:
    """The time since when a signal has been unknown without a break."""

    def test_begins_with_the_first_cycle_that_does_not_know(self) -> None:
        first = a_decision(NOW)
        second = a_decision(NOW + MINUTE, before=first)
        assert (first.situation.unknown_since, second.situation.unknown_since) == ({ACTING: NOW}, {ACTING: NOW})

    def test_ends_at_once_when_the_signals_are_back(self) -> None:
        known = a_decision(NOW + MINUTE, before=a_decision(NOW), known=True)
        assert (known.situation.unknown_since, known.situation.quiet) == ({}, ())
        assert a_decision(NOW + 2 * MINUTE, before=known).situation.unknown_since == {ACTING: NOW + 2 * MINUTE}

    def test_begins_anew_after_a_time_in_which_nobody_looked(self) -> None:
        at = NOW + 16 * MINUTE
        found = a_decision(at, before=a_decision(NOW)).situation
        assert found.unknown_since == {ACTING: at}
        assert found.quiet == (Quiet("host-1", at, at, 0.0),)

    def test_goes_on_over_a_restart_of_the_controller(self) -> None:
        assert a_decision(NOW + 15 * MINUTE, before=a_decision(NOW)).situation.unknown_since == {ACTING: NOW}

    def test_begins_anew_after_a_clock_was_set_back(self) -> None:
        at = NOW - HOUR
        assert a_decision(at, before=a_decision(NOW)).situation.unknown_since == {ACTING: at}

    def test_is_of_each_policy_that_acts(self) -> None:
        """The canary needs no signal, the acting policy two."""
        rules = replace(RULES, shadows={"next": replace(Threshold())}, canary=Canary("next", frozenset({"host-2"})))
        assert set(a_decision(NOW, rules=rules).situation.unknown_since) == {ACTING, "next"}


class TestQuiet:
    """A PROOF domain that does next to nothing: less than 0.05 of a core in the mean over five minutes."""

    def quiet(self, decision: Decision) -> datetime:
        (found,) = decision.situation.quiet
        return found.since

    def test_lasts_while_the_guest_does_its_housekeeping(self) -> None:
        """2 s a minute are 0.033 of a core."""
        assert self.quiet(cycles(60, 2)) == NOW

    def test_ends_with_work(self) -> None:
        """4 s a minute are 0.067 of a core, and more than 15 s after four minutes."""
        assert self.quiet(cycles(60, 4)) > NOW + 50 * MINUTE

    def test_ends_at_the_first_look_at_a_query(self) -> None:
        before = cycles(61)
        found = a_decision(before.at + MINUTE, a_host_at(4, cpu_time_s=16), before=before)
        assert self.quiet(found) == before.at + MINUTE

    def test_ends_with_a_short_query_in_five_minutes(self) -> None:
        before = a_decision(NOW + MINUTE, a_host_at(4, cpu_time_s=10), before=a_decision(NOW))
        found = a_decision(NOW + 2 * MINUTE, a_host_at(4, cpu_time_s=16), before=before)
        assert self.quiet(found) == NOW + 2 * MINUTE

    def test_counts_what_was_done_while_the_host_could_not_be_read(self) -> None:
        away = HostObservation("host-1", HostState.UNUSABLE, problem="it does not answer")
        before = a_decision(NOW + 5 * MINUTE, away, before=a_decision(NOW))
        assert self.quiet(before) == NOW
        found = a_decision(NOW + 10 * MINUTE, a_host_at(4, cpu_time_s=31), before=before)
        assert self.quiet(found) == NOW + 10 * MINUTE

    def test_begins_anew_with_a_host_that_could_not_be_read_for_long(self) -> None:
        """A query that has just begun would be lost in the mean of so long a time."""
        before = a_decision(NOW)
        for minutes in (10, 20):
            away = HostObservation("host-1", HostState.UNUSABLE, problem="it does not answer")
            before = a_decision(NOW + minutes * MINUTE, away, before=before)
        found = a_decision(NOW + 30 * MINUTE, a_host_at(4, cpu_time_s=60), before=before)
        assert self.quiet(found) == NOW + 30 * MINUTE

    def test_ends_when_the_guest_was_started_anew(self) -> None:
        before = a_decision(NOW, a_host_at(4, cpu_time_s=1000))
        assert self.quiet(a_decision(NOW + MINUTE, a_host_at(4), before=before)) == NOW + MINUTE

    @pytest.mark.parametrize("state", [DomainState.PAUSED, DomainState.SHUT_OFF, DomainState.SAVED])
    def test_is_not_said_of_a_domain_that_does_not_run(self, state: DomainState) -> None:
        seen = a_host_at(4)
        asleep = replace(seen, domains=(replace(seen.domains[0], state=state), *seen.domains[1:]))
        assert a_decision(NOW, asleep).situation.quiet == ()


class TestTheWalk:
    """What is unknown for long leads to the safe split."""

    def test_begins_when_signals_were_unknown_and_proof_quiet_for_the_stated_time(self) -> None:
        assert moves(cycles(60)) == {}
        after = cycles(61)
        assert moves(after) == {"host-1": (4, 0)}
        assert after.safe_split == "safe split, signals have been unknown since 2026-11-23 12:00:00 UTC"
        assert after.hosts[0].reason == f"shrink: {after.safe_split}"

    def test_records_what_the_policy_said(self) -> None:
        assert cycles(61).demand.workers is None

    def test_leaves_a_host_alone_whose_proof_works(self) -> None:
        after = cycles(180, 30)
        assert moves(after) == {}
        assert after.safe_split is not None
        assert after.hosts[0].reason.endswith("; fresh: proof is quiet only since 2026-11-23 14:59:00 UTC")

    def test_takes_each_host_by_what_is_known_of_it(self) -> None:
        before = None
        for minute in range(61):
            hosts = a_host_at(4), a_host_at(4, "host-2", cpu_time_s=60.0 * minute)
            before = a_decision(NOW + minute * MINUTE, *hosts, before=before)
        assert before is not None
        assert moves(before) == {"host-1": (4, 0)}

    def test_waits_for_quiet_after_the_last_work(self) -> None:
        busy = cycles(60, 60)
        assert moves(cycles(59, before=busy)) == {}
        assert moves(cycles(60, before=busy)) == {"host-1": (4, 0)}

    def test_leaves_the_workers_whose_memory_the_guest_uses(self) -> None:
        """(1500 - 572) / 792 = 1.2 workers."""
        before = cycles(60)
        after = a_decision(before.at + MINUTE, a_host_at(4, used_mib=1500), before=before)
        assert moves(after) == {"host-1": (4, 2)}
        assert after.hosts[0].reason.endswith("; fresh: proof uses 1500 MiB")

    def test_takes_nothing_when_the_guest_uses_more_than_it_has_workers_for(self) -> None:
        before = cycles(60)
        assert moves(a_decision(before.at + MINUTE, a_host_at(4, used_mib=6000), before=before)) == {}

    def test_ends_at_once_when_the_signals_are_back(self) -> None:
        before = cycles(60)
        after = a_decision(before.at + MINUTE, a_host_at(4), before=before, known=True)
        assert after.safe_split is None

    def test_takes_nothing_from_a_guest_that_does_not_say_what_it_uses(self) -> None:
        """Xen's guests never do, and nothing would be watched while it is squeezed."""
        before = cycles(60)
        after = a_decision(before.at + MINUTE, a_host_at(4, used_mib=None), before=before)
        assert moves(after) == {}
        assert after.hosts[0].reason.endswith("; fresh: proof does not say how much memory it uses")

    def test_never_begins_without_a_time(self) -> None:
        rules = replace(RULES, limits=GuardLimits(unknown_to_safe=None))
        after = cycles(600, rules=rules)
        assert (moves(after), after.safe_split) == ({}, None)

    def test_keeps_to_the_cooldown(self) -> None:
        timers = (HostTimers("host-1", grew_at=NOW + 59 * MINUTE),)
        after = cycles(61, timers=timers)
        assert moves(after) == {}
        assert [cut.guard for cut in after.hosts[0].cuts] == ["cooldown"]

    def test_leaves_a_paused_host_alone(self) -> None:
        orders = Orders(pauses=(a_pause("shrink", until=NOW + 2 * HOUR),))  # type: ignore[arg-type]
        assert moves(cycles(61, orders=orders)) == {}

    def test_leaves_a_host_its_workers_that_a_person_has_given_it(self) -> None:
        orders = Orders(overrides=(an_override(4, until=NOW + 2 * HOUR),))
        assert moves(cycles(61, orders=orders)) == {}

    def test_leaves_what_the_calendar_keeps(self) -> None:
        rules = replace(
            RULES, calendar=(CalendarEntry("course", Hours(NOW.tzinfo), None, "all", 3, None, frozenset()),)
        )
        assert moves(cycles(61, rules=rules)) == {"host-1": (4, 3)}

    def test_lets_no_host_grow_to_what_the_calendar_wants(self) -> None:
        rules = replace(
            RULES, calendar=(CalendarEntry("course", Hours(NOW.tzinfo), None, "all", 8, None, frozenset()),)
        )
        assert moves(cycles(61, rules=rules)) == {}

    def test_of_a_stored_decision_is_decided_again_alike(self) -> None:
        after = cycles(61)
        assert decide(after.situation, FACILITY, RULES) == after


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from([None, 0.0, 1.0]), st.floats(0, 60), st.integers(1, 20)), max_size=30))
def test_no_host_shrinks_unless_nothing_was_known_and_proof_was_quiet_for_all_of_the_hour(steps) -> None:
    """Whatever the signals and the guest do: the mean of 0.05 of a core is 180 s of CPU time in an hour."""
    at, cpu_s, before = NOW, 0.0, None
    past: list[tuple[datetime, float, bool]] = []
    for value, used_s, minutes in steps:
        at, cpu_s = at + minutes * MINUTE, cpu_s + used_s
        past.append((at, cpu_s, value is None))
        window = a_window({"proof_queued_sessions": [value], "proof_running_sessions": [1.0]}, now=at)
        situation = Situation(window, (a_host_at(4, cpu_time_s=cpu_s),))
        situation = watching(situation, before, FACILITY, RULES.acting_signals, RULES.limits)
        before = decide(situation, FACILITY, RULES)
        if moves(before) and value is None:
            hour = [each for each in past if each[0] >= at - HOUR]
            assert all(unknown for _, _, unknown in hour)
            assert hour[0][0] < at
            assert cpu_s - hour[0][1] <= 0.05 * (at - hour[0][0]).total_seconds() + 0.05 * 300
