"""How a situation is put together, and what of it was said by people and by alerts."""

from datetime import timedelta

from autoscaler.core.decide import decide
from autoscaler.core.orders import MAINTENANCE
from autoscaler.core.rules import Rules
from autoscaler.core.situation import heard_in, make_situation
from autoscaler.core.tuning import TuningRule
from autoscaler.model import (
    Decision,
    Demand,
    Direction,
    Facility,
    GuardLimits,
    HostTimers,
    Opinion,
    Orders,
    Situation,
    Tuning,
    TuningKind,
    Window,
)
from autoscaler.testing import NOW, a_host, observed, proof_window
from policies.threshold import Threshold
from tests.core.alerts import BOOST, a_tuning
from tests.core.situations import a_pause, an_override

MINUTE = timedelta(minutes=1)
FACILITY = Facility((a_host(),))
FROZEN = TuningRule({"alertname": "Fire"}, TuningKind.FREEZE, 5 * MINUTE, direction=Direction.GROW, hosts=("host-1",))
WORK = a_pause(Direction.SHRINK, who=MAINTENANCE, since=NOW, until=NOW + 30 * MINUTE)
RULES = Rules(Threshold(), GuardLimits(), maintenance=(WORK,))


def made(
    window: Window | None = None,
    *,
    orders: Orders | None = None,
    tunings: tuple[Tuning, ...] = (),
    before: Decision | None = None,
) -> Situation:
    return make_situation(
        proof_window([0.0], [0.0]) if window is None else window,
        (observed(a_host()),),
        [HostTimers("host-1", grew_at=NOW)],
        orders=orders or Orders(),
        tunings=tunings,
        before=before,
        facility=FACILITY,
        rules=RULES,
    )


def test_a_host_obeys_people_the_maintenance_under_way_and_alerts_that_freeze() -> None:
    by_hand, freeze = a_pause(Direction.GROW), a_tuning(FROZEN)
    pauses = made(orders=Orders((by_hand,)), tunings=(freeze,)).orders.pauses
    assert pauses[:2] == (by_hand, WORK)
    assert [(each.host, each.direction, each.until) for each in pauses[2:]] == [
        ("host-1", Direction.GROW, NOW + 5 * MINUTE)
    ]


def test_maintenance_is_that_of_the_time_of_the_window() -> None:
    assert made(proof_window([0.0], [0.0], now=NOW + 30 * MINUTE)).orders == Orders()


def test_each_policy_is_given_what_it_was_to_know_in_this_cycle() -> None:
    opinion = Opinion("canary", "", Demand(0, ""), {"asked": (2.0,)})
    before = Decision(NOW - MINUTE, "", made(), Demand(0, ""), (), memory={"asked": (1.0,)}, opinions=(opinion,))
    situation = made(before=before)
    assert situation.window.memory == {"asked": (1.0,)}
    assert situation.memories == {"canary": {"asked": (2.0,)}}


def test_since_when_signals_are_unknown_is_carried_on_from_the_decision_before() -> None:
    first = made(proof_window([None], [0.0]))
    second = made(proof_window([None], [0.0], now=NOW + MINUTE), before=decide(first, FACILITY, RULES))
    assert set(first.unknown_since.values()) == {NOW}
    assert second.unknown_since == first.unknown_since
    assert made().unknown_since == {}


def test_what_people_and_alerts_said_is_found_in_it_again() -> None:
    orders, tunings = Orders((a_pause(Direction.GROW),), (an_override(3),)), (a_tuning(FROZEN), a_tuning(BOOST))
    assert heard_in(made(orders=orders, tunings=tunings), NOW) == (orders, tunings)


def test_what_is_over_by_then_is_not() -> None:
    orders = Orders((a_pause(Direction.GROW, until=NOW + 5 * MINUTE),), (an_override(3),))
    situation = made(orders=orders, tunings=(a_tuning(FROZEN), a_tuning(BOOST)))
    assert heard_in(situation, NOW + 5 * MINUTE) == (Orders(overrides=orders.overrides), (a_tuning(BOOST),))
