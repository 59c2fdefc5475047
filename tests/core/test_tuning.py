"""What alerts begin and end by the rules, and what that makes of a demand and of the orders."""

from datetime import timedelta
from typing import Any

import pytest

from autoscaler.core.calendar import CalendarEntry, Hours
from autoscaler.core.decide import decide
from autoscaler.core.rules import Rules
from autoscaler.core.tuning import OLDEST, TuningRule, decide_tuning, in_force, tuned_demand, with_freezes
from autoscaler.model import (
    Decision,
    Demand,
    Direction,
    Facility,
    GuardLimits,
    HostDecision,
    Orders,
    Situation,
    TuningKind,
)
from autoscaler.testing import NOW, a_host, observed, proof_window
from policies.threshold import Threshold
from tests.core.alerts import BOOST, HOUR, MINUTE, a_tuning, an_alert

CAP = TuningRule({"alertname": "Storage"}, TuningKind.CAP, HOUR, 3)
FREEZE = TuningRule({"alertname": "Network"}, TuningKind.FREEZE, HOUR, None, Direction.GROW, ("host-1",), "host-1")


PAGE = TuningRule({"severity": "page"}, TuningKind.BOOST, HOUR, 2)


class TestDecideTuning:
    """What is begun and ended."""

    def test_a_firing_alert_with_the_labels_of_a_rule_begins_its_action_for_its_time(self) -> None:
        plan = decide_tuning([an_alert({"alertname": "HighQueue", "severity": "page"})], [BOOST], NOW)
        (begun,) = plan.begin
        assert (begun.kind, begun.workers, begun.until) == (TuningKind.BOOST, 8, NOW + 2 * HOUR)
        assert (begun.name, begun.alert.source, begun.rule) == ("HighQueue", "grafana", "boost on alertname=HighQueue")
        assert not plan.ignored

    def test_an_alert_that_no_rule_knows_gives_nothing_and_says_so(self) -> None:
        plan = decide_tuning([an_alert({"alertname": "Else"})], [BOOST], NOW)
        assert plan.begin == ()
        assert plan.ignored[0].reason == "no rule of tuning matches its labels"

    @pytest.mark.parametrize("name", ["DatasourceNoData", "DatasourceError"])
    def test_an_alert_of_missing_data_gives_nothing_even_where_a_rule_names_it(self, name: str) -> None:
        rule = TuningRule({"alertname": name}, TuningKind.BOOST, HOUR, 8)
        plan = decide_tuning([an_alert({"alertname": name})], [rule], NOW)
        assert plan.begin == ()
        assert "nothing is known" in plan.ignored[0].reason

    @pytest.mark.parametrize("why", ["NoData", "Error", "NoData, KeepLast"])
    def test_an_alert_that_fires_because_nothing_is_known_gives_nothing(self, why: str) -> None:
        plan = decide_tuning([an_alert(state_reason=why)], [BOOST], NOW)
        assert plan.begin == ()
        assert "nothing is known" in plan.ignored[0].reason

    def test_an_alert_from_the_future_or_from_long_ago_gives_nothing(self) -> None:
        alerts = [an_alert(starts_at=NOW + MINUTE), an_alert(starts_at=NOW - OLDEST - MINUTE)]
        plan = decide_tuning(alerts, [BOOST], NOW)
        assert plan.begin == ()
        assert [each.reason for each in plan.ignored] == [
            "it begins in the future: a clock is wrong",
            "it began more than 7 days ago",
        ]

    def test_a_resolved_alert_ends_its_own_and_begins_nothing(self) -> None:
        alert = an_alert(firing=False)
        plan = decide_tuning([alert], [BOOST], NOW)
        assert (plan.begin, plan.end) == ((), (alert.identity,))

    def test_a_resolved_alert_ends_its_own_although_its_rule_is_gone(self) -> None:
        alert = an_alert(firing=False)
        assert decide_tuning([alert], [], NOW).end == (alert.identity,)

    @pytest.mark.parametrize(
        ("said", "name"),
        [("High\nQueue\x1b[2J", "High Queue [2J"), ("x" * 100_000, "x" * 200), ("", "without a name")],
    )
    def test_an_alert_is_called_what_fits_into_a_line(self, said: str, name: str) -> None:
        (tuning,) = decide_tuning([an_alert({"alertname": said, "severity": "page"})], [PAGE], NOW).begin
        assert tuning.name == name


class TestTunedDemand:
    """What tunings make of what a policy wants."""

    def test_a_boost_adds_its_workers_and_says_whose_alert_it_is_and_until_when(self) -> None:
        found = tuned_demand(Demand(4, "1 session"), [a_tuning()])
        assert found == Demand(12, "1 session; alert HighQueue (grafana): +8 workers until 2026-11-23 14:00:00 UTC")

    def test_a_cap_limits_also_what_a_boost_adds(self) -> None:
        found = tuned_demand(Demand(1, "one"), [a_tuning(CAP), a_tuning()])
        assert found.workers == 3
        assert found.reason.endswith("alert Storage (grafana): at most 3 workers until 2026-11-23 13:00:00 UTC")

    def test_a_cap_that_is_not_reached_says_nothing(self) -> None:
        assert tuned_demand(Demand(2, "two"), [a_tuning(CAP)]) == Demand(2, "two")

    def test_of_what_is_unknown_nothing_is_made_and_a_boost_says_that_it_waits(self) -> None:
        found = tuned_demand(Demand(None, "unknown"), [a_tuning(), a_tuning(CAP)])
        assert found.workers is None
        assert found.reason == (
            "unknown; alert HighQueue (grafana): +8 workers until 2026-11-23 14:00:00 UTC waits while the policy holds"
        )


class TestInForce:
    """Which of the tunings count."""

    def test_those_that_are_not_over(self) -> None:
        assert in_force([a_tuning()], NOW + 2 * HOUR) == ()
        assert in_force([a_tuning()], NOW + 2 * HOUR - MINUTE) == (a_tuning(),)

    def test_a_rule_counts_once_however_many_alerts_it_matches(self) -> None:
        later = a_tuning(fingerprint="b", now=NOW + MINUTE)
        assert in_force([later, a_tuning()], NOW + MINUTE) == (later,)


class TestDecisions:
    """What comes of it."""

    def decision(
        self, *, queued: float | None = 1.0, calendar: tuple[CalendarEntry, ...] = (), **more: Any
    ) -> Decision:
        window = proof_window([queued], [0.0])
        facility = Facility((a_host(),))
        rules = Rules(Threshold(workers_per_session=2, idle=5 * MINUTE), GuardLimits(), calendar=calendar)
        return decide(Situation(window, (observed(a_host()),), **more), facility, rules)

    def decided(self, **more: Any) -> HostDecision:
        return self.decision(**more).hosts[0]

    def test_a_decision_has_what_the_policy_wants_and_what_was_made_of_it(self) -> None:
        always = CalendarEntry("all days", Hours(NOW.tzinfo), workers_max=3)
        found = self.decision(tunings=(a_tuning(),), calendar=(always,))
        assert found.demand.workers == 2
        assert found.placed is not None
        assert found.placed.workers == 3
        assert "; alert HighQueue (grafana): +8 workers until " in found.placed.reason
        assert "; calendar: at most 3 workers (all days)" in found.placed.reason

    def test_a_decision_of_a_demand_that_nothing_changed_says_it_once(self) -> None:
        assert self.decision().placed is None
        assert self.decision(tunings=(a_tuning(FREEZE),)).placed is None

    def test_a_boost_grows_proof_beyond_its_sessions(self) -> None:
        rule = TuningRule({"alertname": "HighQueue"}, TuningKind.BOOST, HOUR, 2)
        plain, boosted = self.decided(), self.decided(tunings=(a_tuning(rule),))
        assert (plain.wanted, boosted.wanted) == (2, 4)
        assert "alert HighQueue (grafana): +2 workers until" in boosted.reason

    def test_a_boost_is_bounded_by_the_guards_as_any_demand(self) -> None:
        rule = TuningRule({"alertname": "HighQueue"}, TuningKind.BOOST, HOUR, 1000)
        decided = self.decided(tunings=(a_tuning(rule),))
        assert (decided.wanted, decided.granted) == (8, 7)
        assert [cut.guard for cut in decided.cuts] == ["wn_floor"]

    def test_a_boost_resizes_nothing_while_the_signals_are_unknown(self) -> None:
        decided = self.decided(queued=None, tunings=(a_tuning(),))
        assert decided.granted == decided.current
        assert decided.transfer is None

    def test_what_people_say_in_the_calendar_lies_over_a_boost(self) -> None:
        always = CalendarEntry("all days", Hours(NOW.tzinfo), workers_max=3)
        assert self.decided(tunings=(a_tuning(),), calendar=(always,)).wanted == 3

    def test_a_freeze_is_a_pause_in_one_direction_that_names_the_alert(self) -> None:
        decided = self.decided(orders=with_freezes(Orders(), [a_tuning(FREEZE)]))
        assert decided.granted == decided.current
        assert "growing paused until 2026-11-23 13:00:00 UTC by alert Network (grafana): tuning" in decided.reason

    def test_a_freeze_ends_with_its_time(self) -> None:
        early = a_tuning(FREEZE, now=NOW - HOUR, starts_at=NOW - 2 * HOUR)
        assert self.decided(orders=with_freezes(Orders(), [early])).granted == 2
        assert early.until - early.begun_at == timedelta(hours=1)
