"""Announced sessions: what they make of a demand, when the signals show them, and which workers are theirs."""

from datetime import datetime, timedelta

from autoscaler.core.decide import decide
from autoscaler.core.rules import Rules
from autoscaler.core.sessions import Readiness, announced, readiness, shown_sessions
from autoscaler.core.tuning import tuned_demand
from autoscaler.model import Decision, Demand, Facility, GuardLimits, HostDecision, Situation, Tuning, TuningKind
from autoscaler.testing import NOW, a_host, observed, proof_window
from policies.threshold import Threshold
from tests.core.alerts import HOUR, MINUTE, a_tuning
from tests.core.test_tuning import CAP

SECOND = timedelta(seconds=1)


def a_session(name: str = "s1", workers: int = 4, at: datetime = NOW - MINUTE, user: str = "maria") -> Tuning:
    return announced(name, user, workers, at, 5 * MINUTE)


def decision(
    *tunings: Tuning, queued: float | None = 0.0, demand: int | None = 0, granted: int | None = 0, at: datetime = NOW
) -> Decision:
    situation = Situation(proof_window([queued], [0.0], now=at), (observed(a_host()),), tunings=tunings)
    hosts = (HostDecision("host-1", 0, granted, granted, ""),)
    return Decision(at, "Threshold()", situation, Demand(demand, "the load"), hosts)


class TestDemand:
    """What it adds."""

    def test_a_session_adds_its_workers_and_names_itself_and_its_user(self) -> None:
        found = tuned_demand(Demand(8, "one session"), [a_session()])
        assert found == Demand(12, "one session; session s1 of maria: +4 workers until 2026-11-23 12:04:00 UTC")

    def test_two_sessions_are_both_counted(self) -> None:
        assert tuned_demand(Demand(0, ""), [a_session(), a_session("s2")]).workers == 8

    def test_many_sessions_are_told_as_their_number(self) -> None:
        found = tuned_demand(Demand(8, "one"), [*(a_session(f"s{number}") for number in range(100)), a_tuning()])
        assert found.workers == 416
        assert found.reason.endswith("until 2026-11-23 14:00:00 UTC; 100 announced sessions: +400 workers")
        assert len(found.reason) < 200

    def test_where_the_policy_holds_there_are_at_least_the_workers_of_sessions_and_nothing_is_taken(self) -> None:
        found = tuned_demand(Demand(None, "not yet idle"), [a_session(), a_tuning()])
        assert (found.workers, found.may_shrink) == (4, False)

    def test_a_cap_limits_sessions_as_well(self) -> None:
        assert tuned_demand(Demand(None, ""), [a_session(), a_tuning(CAP)]).workers == 3

    def test_nothing_is_resized_while_the_signals_are_unknown(self) -> None:
        situation = Situation(proof_window([None], [None]), (observed(a_host()),), tunings=(a_session(),))
        rules = Rules(Threshold(idle=5 * MINUTE), GuardLimits())
        decided = decide(situation, Facility((a_host(),)), rules).hosts[0]
        assert decided.granted == decided.current
        assert decided.transfer is None


class TestShown:
    """When the signals show it."""

    def shown(self, *sessions: Tuning, before: float | None = 0.0, now: float | None = 1.0) -> frozenset[str]:
        earlier = decision(queued=before, at=NOW - 15 * SECOND)
        return shown_sessions(earlier, proof_window([now], [0.0]), sessions)

    def test_a_rise_of_the_load_by_one_shows_the_oldest_one(self) -> None:
        assert self.shown(a_session("s2", at=NOW - SECOND), a_session("s1")) == {"session s1"}

    def test_a_rise_by_two_shows_two(self) -> None:
        assert self.shown(a_session("s2"), a_session("s1"), a_session("s3"), now=2.0) == {"session s1", "session s2"}

    def test_a_load_that_stays_or_falls_shows_none(self) -> None:
        assert self.shown(a_session(), before=1.0) == frozenset()
        assert self.shown(a_session(), before=2.0) == frozenset()

    def test_an_unknown_load_shows_none(self) -> None:
        assert self.shown(a_session(), before=None) == frozenset()
        assert self.shown(a_session(), now=None) == frozenset()
        assert shown_sessions(None, proof_window([1.0], [0.0]), [a_session()]) == frozenset()

    def test_a_value_from_before_it_was_announced_does_not_show_it(self) -> None:
        assert self.shown(a_session(at=NOW + SECOND)) == frozenset()

    def test_what_alerts_change_is_not_a_session(self) -> None:
        assert self.shown(a_tuning(now=NOW - HOUR, starts_at=NOW - HOUR)) == frozenset()


class TestReadiness:
    """Which workers are its own."""

    def test_those_that_are_granted_and_there_beyond_what_others_want(self) -> None:
        session = a_session()
        made = decision(session, demand=2, granted=6)
        assert readiness(session, made, {"host-1": 3}) == Readiness(granted=4, ready=1)
        assert readiness(session, made, {"host-1": 6}) == Readiness(granted=4, ready=4)

    def test_those_of_an_earlier_session_are_not(self) -> None:
        first, second = a_session(), a_session("s2", at=NOW - SECOND)
        made = decision(first, second, granted=6)
        assert readiness(first, made, {"host-1": 6}) == Readiness(4, 4)
        assert readiness(second, made, {"host-1": 6}) == Readiness(2, 2)

    def test_a_worker_that_is_there_but_was_not_granted_is_going(self) -> None:
        session = a_session()
        assert readiness(session, decision(session, granted=1), {"host-1": 4}) == Readiness(1, 1)

    def test_a_host_of_which_nothing_is_known_has_none(self) -> None:
        session = a_session()
        assert readiness(session, decision(session, granted=4), {}) == Readiness(4, 0)

    def test_of_a_session_that_the_signals_show_they_are_among_what_the_policy_wants(self) -> None:
        assert readiness(a_session(), decision(demand=8, granted=8), {"host-1": 8}) == Readiness(4, 4)


def test_its_kind_is_that_of_a_session_and_its_rule_its_own() -> None:
    session = a_session(user="")
    assert (session.kind, session.rule, session.until) == (TuningKind.SESSION, "session s1", NOW + 4 * MINUTE)
    assert tuned_demand(Demand(0, ""), [session]).reason.startswith("; session s1: +4 workers until ")
