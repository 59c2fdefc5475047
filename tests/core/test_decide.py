"""One cycle's decision from end to end: what users do, what fails, and what it says of it."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from autoscaler.core.decide import decide
from autoscaler.core.guards import GUARDS, HostView, Verdict
from autoscaler.core.rules import Rules
from autoscaler.core.voices import ACTING
from autoscaler.model import (
    Demand,
    Facility,
    GuardLimits,
    HostObservation,
    HostState,
    HostTimers,
    Memory,
    Situation,
    StepKind,
    Window,
)
from autoscaler.store.records import decision_from_json, decision_to_json
from autoscaler.testing import A_SWAPPING_WN, NOW, a_host, observed, proof_window
from policies.hold import Hold
from policies.static import Static
from policies.threshold import Threshold
from tests.core.deciding import FACILITY, THRESHOLD, Scripted, at, granted, transfers

IDLE: list[float | None] = [0.0] * 7


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


def test_workers_without_a_place_are_reported() -> None:
    """Two hosts hold 8 each."""
    decision = decide(Situation(Window(NOW), at(0, 0)), FACILITY, Rules(Static(20), GuardLimits()))
    assert decision.unplaced_workers == 20 - 2 * 8


def test_a_decision_names_its_policy_with_all_parameters() -> None:
    rules = Rules(Static(20), GuardLimits())
    situation = Situation(Window(NOW), at(0, 0))
    assert decide(situation, FACILITY, rules).policy == "Static(workers=20)"
    assert decide(situation, FACILITY, replace(rules, told=lambda name, _policy: name)).policy == ACTING


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
