"""Shadow policies are heard and touch nobody; a canary acts on its hosts."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decide import decide
from autoscaler.core.rest import Rest
from autoscaler.core.rules import Rules
from autoscaler.core.voices import Canary, remembering
from autoscaler.model import Decision, Demand, Facility, GuardLimits, Memory, Situation, Window
from autoscaler.store.records import decision_from_json, decision_to_json
from autoscaler.testing import NOW, a_host, observed, proof_window
from policies.static import Static
from policies.threshold import Threshold
from tests.core.situations import unhurried

FACILITY = Facility(tuple(a_host(f"host-{number}") for number in range(1, 5)))
LIMITS = GuardLimits()
HOSTS = tuple(observed(host) for host in FACILITY.hosts)


@dataclass(frozen=True)
class Counting:
    """Wants as many workers as it was asked times before; raises when that is too often."""

    most: int = 9
    signals: tuple[str, ...] = ()
    history: timedelta = timedelta(0)

    def decide(self, window: Window) -> Demand:
        asked = len(window.memory.get("asked", ()))
        if asked > self.most:
            raise LookupError(asked)
        return Demand(asked, f"asked {asked} times before")

    def remember(self, window: Window, _demand: Demand) -> Memory:
        return {"asked": (*window.memory.get("asked", ()), 1.0)}


def granted(decision: Decision) -> list[int | None]:
    return [host.granted for host in decision.hosts]


sessions = st.none() | st.integers(0, 20).map(float)


@unhurried
@given(sessions, sessions, st.lists(st.integers(0, 8), min_size=4, max_size=4), st.integers(-1, 3))
def test_a_shadow_policy_changes_nothing_whatever_it_does(
    queued: float | None, running: float | None, workers: list[int], most: int
) -> None:
    seen = tuple(observed(host, workers=count) for host, count in zip(FACILITY.hosts, workers, strict=True))
    situation = Situation(proof_window([queued], [running]), seen)
    rules = Rules(Threshold(), LIMITS)
    decision = decide(situation, FACILITY, replace(rules, shadows={"bold": Static(99), "odd": Counting(most)}))
    assert replace(decision, opinions=()) == decide(situation, FACILITY, rules)


@dataclass(frozen=True)
class Saying:
    """Says and remembers what it is given."""

    demand: Demand
    memory: object = field(default_factory=dict)
    signals: tuple[str, ...] = ()
    history: timedelta = timedelta(0)

    def decide(self, _window: Window) -> Demand:
        return self.demand

    def remember(self, _window: Window, _demand: Demand) -> Memory:
        return self.memory  # type: ignore[return-value]


SO = Demand(1, "so")


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        (Saying(Demand(workers=True, reason="so")), "ValueError: demand of True workers"),
        (
            Saying(Demand(1, "so", np.bool_(1))),  # type: ignore[arg-type]
            f"ValueError: demand with may_shrink={np.bool_(1)!r} and reason='so'",
        ),
        (Saying(Demand(1, None)), "ValueError: demand with may_shrink=True and reason=None"),  # type: ignore[arg-type]
        (Saying(SO, {"peak": 1.0}), "ValueError: what it remembers as 'peak' is no row of numbers"),
        (Saying(SO, {"peak": ("high",)}), "ValueError: what it remembers as 'peak' is no row of numbers"),
        (Saying(SO, {"peak": (np.bool_(1),)}), "ValueError: what it remembers as 'peak' is no row of numbers"),
        (Saying(SO, None), "AttributeError: 'NoneType' object has no attribute 'items'"),
    ],
)
def test_what_cannot_be_recorded_is_the_error_of_whoever_says_it(policy: Saying, error: str) -> None:
    """Recording it would fail the cycle for all, or leave a decision that nobody can read."""
    rules = Rules(Static(0), LIMITS, shadows={"odd": policy})
    decision = decide(Situation(Window(NOW), HOSTS), FACILITY, rules)
    assert (decision.error, decision.opinions[0].error) == (None, f"policy failed: {error}")
    assert decision_from_json(decision_to_json(decision)) == decision


def test_numbers_of_other_libraries_may_be_remembered() -> None:
    policy = Saying(SO, {"peak": (None, 1, 0.5, np.float64(0.25), np.int64(3))})
    rules = Rules(policy, LIMITS)
    decision = decide(Situation(Window(NOW), HOSTS), FACILITY, rules)
    assert decision.error is None
    assert decision_from_json(decision_to_json(decision)).memory == {"peak": (None, 1, 0.5, 0.25, 3)}


def test_what_shadow_policies_say_is_recorded_with_what_they_raise() -> None:
    rules = Rules(Static(0), LIMITS, shadows={"bold": Static(7), "odd": Counting(most=-1)})
    decision = decide(Situation(Window(NOW), HOSTS), FACILITY, rules)
    bold, odd = decision.opinions
    assert (bold.name, bold.policy, bold.demand.workers, bold.error) == ("bold", "Static(workers=7)", 7, None)
    assert (odd.demand.workers, odd.error) == (None, "policy failed: LookupError: 0")
    assert decision.error is None
    assert decision_from_json(decision_to_json(decision)) == decision


def test_each_shadow_policy_has_a_memory_of_its_own() -> None:
    rules = Rules(Counting(), LIMITS, shadows={"one": Counting(), "two": Static(0)})
    decision: Decision | None = None
    for _ in range(3):
        decision = decide(remembering(Situation(Window(NOW), HOSTS), decision), FACILITY, rules)
    assert decision is not None
    assert decision.memory == {"asked": (1.0, 1.0, 1.0)}
    assert decision.memories == {"one": {"asked": (1.0, 1.0, 1.0)}, "two": {}}
    assert decide(decision.situation, FACILITY, rules) == decision


def test_a_canary_acts_on_its_hosts_and_on_no_others() -> None:
    """4 workers are one to a host, 12 are three."""
    canary = Canary("bold", frozenset({"host-2", "host-3"}))
    rules = Rules(Static(4), LIMITS, shadows={"bold": Static(12)}, canary=canary)
    decision = decide(Situation(Window(NOW), HOSTS), FACILITY, rules)
    assert granted(decision) == [1, 3, 3, 1]
    assert decision.hosts[1].reason == "grow: canary bold: always 12 workers"
    assert decision.hosts[0].reason == "grow: always 4 workers"


def test_where_a_canary_fails_the_acting_policy_decides_and_the_reason_says_so() -> None:
    canary = Canary("odd", frozenset({"host-2"}))
    rules = Rules(Static(4), LIMITS, shadows={"odd": Counting(most=-1)}, canary=canary)
    decision = decide(Situation(Window(NOW), HOSTS), FACILITY, rules)
    assert granted(decision) == [1, 1, 1, 1]
    assert decision.hosts[1].reason.endswith("; canary odd does not act: policy failed: LookupError: 0")
    assert decision.error is None


def test_a_host_at_rest_says_too_that_its_canary_failed() -> None:
    rules = Rules(Static(0), LIMITS, shadows={"odd": Counting(most=-1)}, canary=Canary("odd", frozenset({"host-2"})))
    rest, situation = Rest(), Situation(Window(NOW), HOSTS)
    for _ in range(2):
        decision = decide(situation, FACILITY, rules, rest)
    assert decision.hosts[0].reason == "hold: always 0 workers"
    assert decision.hosts[1].reason == "hold: always 0 workers; canary odd does not act: policy failed: LookupError: 0"


def test_a_canary_whose_signals_are_unknown_holds_its_own_hosts_only() -> None:
    canary = Canary("real", frozenset({"host-2"}))
    rules = Rules(Static(4), LIMITS, shadows={"real": Threshold()}, canary=canary)
    decision = decide(Situation(proof_window([None], [None]), HOSTS), FACILITY, rules)
    assert granted(decision) == [1, 0, 1, 1]
    assert decision.hosts[1].reason.startswith("hold: canary real: PROOF load is unknown")
