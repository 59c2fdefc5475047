"""Whole runs of the model: one session, one day, and what holds for any workload."""

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.contracts import Policy
from autoscaler.model import (
    DOMAIN_SWAP_IN_BYTES_PER_SECOND,
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    WN_RUNNING_JOBS,
    XROOTD_READ_BYTES_PER_SECOND,
    Demand,
    GuardLimits,
    Host,
    Memory,
    Window,
)
from autoscaler.simulation import simulate as module
from autoscaler.simulation.readings import SIGNALS
from autoscaler.simulation.run import Run
from autoscaler.simulation.scenario import Machine, Scenario
from autoscaler.simulation.simulate import PolicyFailedError, simulate
from autoscaler.simulation.workload import Job, Reading, Session, Workload
from policies.hold import Hold
from policies.static import Static
from policies.threshold import Threshold
from tests.core.situations import unhurried
from tests.simulation.plant import A_HOST, CORES, GUESTS_MIB, START, a_scenario, a_workload

THRESHOLD = Threshold(workers_per_session=4, idle=timedelta(minutes=5))
HOUR_S = 3600.0
SOON = GuardLimits(shrink_cooldown=timedelta(0))


def run(scenario: Scenario, workload: Workload, policy: Policy = THRESHOLD) -> Run:
    return simulate(scenario, workload, policy, "policy")


def same(one: Run, other: Run) -> bool:
    """Whether two runs are the same but for how they were found."""
    arrays = [(a.course.at_s, a.course.demand, a.course.supply) for a in (one, other)]
    cycles = [
        (
            a.wn_wanted_core_s,
            a.wn_used_core_s,
            a.proof_used_core_s,
            a.spare_worker_s,
            a.proof_memory_mib,
            a.wn_memory_mib,
        )
        for a in (one.cycles, other.cycles)
    ]
    return (
        (one.sessions, one.moves, one.jobs_submitted, one.jobs_finished)
        == (other.sessions, other.moves, other.jobs_submitted, other.jobs_finished)
        and all(np.array_equal(a, b) for a, b in zip(*arrays, strict=True))
        and all(np.array_equal(a, b) for a, b in zip(*cycles, strict=True))
    )


def test_a_session_waits_for_the_next_cycle_that_sees_it_and_for_its_memory() -> None:
    (served,) = run(a_scenario(), a_workload(Session(100.0, 300.0, 4))).sessions
    # Seen at 120 s, since what is read is 15 s old; then two steps, four workers' memory at the balloon's speed.
    assert served.start_s == pytest.approx(120.0 + 0.6 + (4 * 792 - 8) / 880)
    assert served.end_s == pytest.approx(served.start_s + 300.0)
    assert not served.hit


def test_a_session_just_too_late_for_a_reading_waits_a_cycle_longer() -> None:
    (served,) = run(a_scenario(), a_workload(Session(110.0, 300.0, 4))).sessions
    assert served.start_s is not None
    assert 180 < served.start_s < 190


class Watching:
    """Wants always the same, or holds, and remembers the newest values of its windows."""

    history = timedelta(0)

    def __init__(self, *signals: str, heeds: tuple[str, ...] = (), workers: int | None = None) -> None:
        self.signals, self.heeds, self.workers = signals, heeds, workers
        self.seen: list[tuple[float | None, ...]] = []

    def decide(self, window: Window) -> Demand:
        self.seen.append(tuple(map(window.latest, SIGNALS)))
        return Demand(self.workers, "watching")


@pytest.mark.parametrize("earlier", [(), (10.0,), (100.0,)])
def test_a_session_that_comes_with_a_reading_is_in_the_next_one_whoever_came_before(earlier: tuple[float, ...]) -> None:
    """Each session is planned when the one before it comes: before the reading at 105 s is, or after."""
    policy = Watching(PROOF_QUEUED_SESSIONS)
    run(a_scenario(), a_workload(*(Session(at_s, 60.0, 1) for at_s in (*earlier, 105.0))), policy)
    queued = [values[SIGNALS.index(PROOF_QUEUED_SESSIONS)] for values in policy.seen]
    assert queued[2:4] == [len(earlier), len(earlier) + 1]


def test_a_policy_sees_the_signals_that_it_names_and_no_others() -> None:
    policy = Watching(XROOTD_READ_BYTES_PER_SECOND, WN_RUNNING_JOBS)
    jobs, others = (Job(0.0, HOUR_S), Job(0.0, HOUR_S)), Reading(60.0, (70.0, 70.0, 70.0))
    run(a_scenario(), a_workload(jobs=jobs, reading=others), policy)
    assert dict(zip(SIGNALS, policy.seen[2], strict=True)) == {
        PROOF_QUEUED_SESSIONS: None,
        PROOF_RUNNING_SESSIONS: None,
        WN_RUNNING_JOBS: 2.0,
        XROOTD_READ_BYTES_PER_SECOND: 70.0,
        DOMAIN_SWAP_IN_BYTES_PER_SECOND: None,
    }


def test_a_policy_sees_what_it_heeds_and_that_guests_whose_jobs_miss_memory_read_from_swap() -> None:
    """Eight workers leave a Worker Node 575 MiB, and its jobs want 5600: they run at a ninth of their speed."""
    policy = Watching(WN_RUNNING_JOBS, heeds=(DOMAIN_SWAP_IN_BYTES_PER_SECOND,), workers=8)
    jobs = tuple(Job(600.0, HOUR_S, memory_mib=700) for _ in range(CORES))
    run(a_scenario(), a_workload(jobs=jobs), policy)
    read = [values[SIGNALS.index(DOMAIN_SWAP_IN_BYTES_PER_SECOND)] for values in policy.seen]
    assert (read[1], read[-1]) == (0.0, pytest.approx(96 * 2**20 * 0.89, rel=0.02))


def test_a_signal_that_is_unheard_is_unknown_even_to_who_heeds_it() -> None:
    policy = Watching(WN_RUNNING_JOBS, heeds=(DOMAIN_SWAP_IN_BYTES_PER_SECOND,))
    run(replace(a_scenario(), unheard=(DOMAIN_SWAP_IN_BYTES_PER_SECOND,)), a_workload(jobs=(Job(0.0, HOUR_S),)), policy)
    last = dict(zip(SIGNALS, policy.seen[-1], strict=True))
    assert (last[DOMAIN_SWAP_IN_BYTES_PER_SECOND], last[WN_RUNNING_JOBS]) == (None, 1.0)


def test_when_the_session_has_left_everything_goes_back() -> None:
    result = run(a_scenario(limits=SOON), a_workload(Session(100.0, 300.0, 4)))
    grow, shrink = result.moves
    assert (grow.workers_from, grow.workers_to, shrink.workers_from, shrink.workers_to) == (0, 4, 4, 0)
    assert shrink.at_s > 424 + 300
    assert result.cycles.proof_memory_mib[-1] == 572
    assert "idle for 5 min" in shrink.reason


def test_workers_that_are_there_are_found_by_the_next_session() -> None:
    first, second = run(a_scenario(), a_workload(Session(100.0, 60.0, 4), Session(300.0, 60.0, 4))).sessions
    assert (first.hit, second.hit) == (False, True)
    assert second.start_s == 300.0


def test_sessions_are_served_in_the_order_of_their_arrival() -> None:
    sessions = [Session(10.0, 500.0, 8), Session(20.0, 100.0, 8), Session(30.0, 10.0, 1)]
    starts = [served.start_s for served in run(a_scenario(), a_workload(*sessions), Static(8)).sessions]
    assert starts == sorted(starts, key=lambda start_s: start_s or 0)
    assert starts[1] == pytest.approx(500 + 10)


def test_a_session_that_wants_more_than_there_can_be_gets_all_for_longer() -> None:
    (served,) = run(a_scenario(), a_workload(Session(120.0, 100.0, 16)), Static(8)).sessions
    assert (served.start_s, served.end_s) == (120.0, 320.0)


def test_a_session_takes_its_workers_where_other_sessions_have_fewest() -> None:
    two = tuple(replace(machine, cores=2, job_slots=1) for machine in a_scenario(hosts=2).machines)
    jobs = (Job(0.0, 10 * HOUR_S), Job(0.0, 10 * HOUR_S))
    sessions = (Session(120.0, 600.0, 1), Session(130.0, 600.0, 1))
    result = run(replace(a_scenario(), machines=two), a_workload(*sessions, jobs=jobs), Static(4))
    assert (result.cycles.wn_wanted_core_s - result.cycles.wn_used_core_s).sum() == pytest.approx(0)


def test_a_session_is_not_kept_waiting_for_workers_that_have_no_core() -> None:
    few = Machine(replace(A_HOST, cpu_reserve_cores=0.5), cores=5, job_slots=5)
    (served,) = run(replace(a_scenario(), machines=(few,)), a_workload(Session(120.0, 100.0, 8)), Static(8)).sessions
    assert (served.start_s, served.end_s) == (120.0, 320.0)


def test_workers_are_spare_only_while_no_session_holds_them() -> None:
    result = run(a_scenario(), a_workload(Session(120.0, 600.0, 3)), Static(4))
    assert result.cycles.spare_worker_s[2:12].tolist() == [60.0] * 10
    assert result.cycles.spare_worker_s[12:].tolist() == [240.0] * 48


def test_workers_that_were_taken_from_a_session_are_not_missing_among_the_spare_ones() -> None:
    sessions = [Session(100.0, 60.0, 4), Session(101.0, 6000.0, 8)]
    result = run(a_scenario(limits=SOON), a_workload(*sessions), replace(THRESHOLD, idle=timedelta(minutes=1)))
    assert (result.moves[-1].workers_to, result.sessions[-1].end_s) == (4, None)
    assert result.cycles.spare_worker_s[6:].sum() == 0


def test_what_a_session_takes_from_busy_jobs_is_lost_to_them_and_nothing_else() -> None:
    jobs = tuple(Job(0.0, 10 * HOUR_S) for _ in range(CORES))
    result = run(a_scenario(), a_workload(Session(120.0, 600.0, 4), jobs=jobs), Static(4))
    lost = result.cycles.wn_wanted_core_s.sum() - result.cycles.wn_used_core_s.sum()
    assert lost == pytest.approx(4 * 600)
    assert result.cycles.proof_used_core_s.sum() == pytest.approx(4 * 600)


def test_beyond_what_the_storage_gives_a_session_is_slower() -> None:
    reading = Session(120.0, 100.0, 4, read_bytes=100 * 40.0)
    (free,) = run(a_scenario(storage_bytes_per_s=40.0), a_workload(reading), Static(4)).sessions
    (half,) = run(a_scenario(storage_bytes_per_s=20.0), a_workload(reading), Static(4)).sessions
    assert free.end_s == pytest.approx(220.0)
    assert half.end_s == pytest.approx(320.0)


def test_others_who_read_slow_a_session_down_while_they_do() -> None:
    reading = Session(120.0, 100.0, 4, read_bytes=100 * 40.0)
    others = Reading(60.0, (0.0, 0.0, 40.0))
    scenario = a_scenario(storage_bytes_per_s=40.0)
    (served,) = run(scenario, a_workload(reading, reading=others), Static(4)).sessions
    assert served.end_s == pytest.approx(120 + 60 + 70)


def test_a_second_session_has_the_storage_to_share() -> None:
    sessions = [Session(120.0, 100.0, 2, 100 * 40.0), Session(120.0, 100.0, 2, 100 * 40.0)]
    result = run(a_scenario(storage_bytes_per_s=40.0), a_workload(*sessions), Static(4))
    assert [served.end_s for served in result.sessions] == pytest.approx([320.0, 320.0])


def test_a_policy_that_holds_lets_everybody_wait_and_changes_nothing() -> None:
    result = run(a_scenario(), a_workload(Session(100.0, 300.0, 4)), Hold())
    assert (result.moves, result.sessions[0].start_s) == ((), None)


WN = A_HOST.wns[0]
UNLIKE = (replace(WN, name="small", memory_max_mib=1000), replace(WN, name="large"))


@pytest.mark.parametrize("host", [replace(A_HOST, cpu_reserve_cores=1.0), replace(A_HOST, wns=UNLIKE)])
def test_nothing_is_to_be_put_right_at_the_beginning(host: Host) -> None:
    scenario = replace(a_scenario(), machines=(Machine(host, CORES, CORES),))
    result = run(scenario, a_workload(), Static(0))
    assert result.moves == ()
    assert result.cycles.wn_memory_mib[0] == GUESTS_MIB - 572


def test_jobs_wait_for_a_slot_and_all_finish() -> None:
    jobs = tuple(Job(0.0, 600.0) for _ in range(3 * CORES))
    result = run(a_scenario(), a_workload(jobs=jobs))
    assert (result.jobs_submitted, result.jobs_finished) == (24, 24)
    assert result.cycles.wn_used_core_s.sum() == pytest.approx(24 * 600)


@dataclass(frozen=True)
class Counting:
    """Wants as many workers as it was asked times before, eight at most."""

    signals = ()
    history = timedelta(0)

    def decide(self, window: Window) -> Demand:
        return Demand(min(8, len(window.memory.get("asked", ()))), "counted")

    def remember(self, window: Window, demand: Demand) -> Memory:
        assert demand == self.decide(window)
        return {"asked": (*window.memory.get("asked", ()), 1.0)}


def test_what_a_policy_remembers_it_knows_in_the_next_cycle() -> None:
    moves = run(a_scenario(), a_workload(), Counting()).moves
    assert [(move.at_s, move.workers_to) for move in moves[:3]] == [(60.0, 1), (120.0, 2), (180.0, 3)]


@dataclass(frozen=True)
class Failing:
    """Fails after a while, as a policy with a mistake does."""

    signals = ()
    history = timedelta(0)

    def decide(self, window: Window) -> Demand:
        if window.now > START + timedelta(minutes=5):
            raise ValueError("no such thing")
        return Demand(0, "none")


def test_a_policy_that_fails_ends_the_run_with_its_name_when_and_why() -> None:
    with pytest.raises(PolicyFailedError, match="policy: 2026-11-23 08:06: ValueError: no such thing"):
        run(a_scenario(), a_workload(), Failing())


def test_a_policy_that_needs_what_the_model_does_not_have_is_refused() -> None:
    @dataclass(frozen=True)
    class Weather(Static):
        signals = ("rain",)

    with pytest.raises(PolicyFailedError, match="policy: needs rain, which the model does not have; it has proof_"):
        run(a_scenario(), a_workload(), Weather(4))


def test_a_move_that_brought_no_worker_does_not_say_that_it_did() -> None:
    jobs = tuple(Job(0.0, 2 * HOUR_S, memory_mib=750) for _ in range(CORES))
    result = run(a_scenario(), a_workload(Session(100.0, 600.0, 8), jobs=jobs), Threshold(workers_per_session=8))
    assert len(result.moves) > 2
    assert [move.workers_to for move in result.moves] == [result.course.supply.max()] * len(result.moves)


def test_a_host_whose_worker_node_began_to_swap_is_left_alone_for_a_while() -> None:
    jobs = tuple(Job(0.0, 2 * HOUR_S, memory_mib=750) for _ in range(CORES))
    result = run(a_scenario(), a_workload(Session(100.0, 600.0, 8), jobs=jobs), Threshold(workers_per_session=8))
    tried_s = [move.at_s for move in result.moves if move.reason.startswith("grow")]
    # The first try is at 120 s and soon ends; five minutes after that, the next cycle may try again.
    assert tried_s[:3] == [120.0, 480.0, 840.0]


def test_what_a_host_that_swaps_cannot_give_another_one_gives() -> None:
    """Jobs go to both hosts in turn: those of the first leave room for two workers, those of the second for all."""
    jobs = tuple(Job(0.0, 2 * HOUR_S, memory_mib=mib) for mib in [750, 100] * CORES)
    result = run(a_scenario(2), a_workload(Session(100.0, 600.0, 8), jobs=jobs), Threshold(workers_per_session=8))
    grown = [(move.host, move.workers_from, move.workers_to) for move in result.moves if move.reason.startswith("grow")]
    assert grown[:3] == [("host-1", 0, 2), ("host-2", 0, 4), ("host-2", 4, 6)]


def test_progress_is_told_and_ends_at_the_end() -> None:
    told: list[float] = []
    simulate(a_scenario(), a_workload(duration_s=100 * HOUR_S), THRESHOLD, "policy", told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) == 7


_sessions = st.lists(
    st.tuples(st.integers(0, 3600), st.integers(1, 1500), st.integers(1, 9), st.sampled_from([0.0, 1e9])), max_size=12
).map(lambda rows: tuple(Session(float(at), float(s), n, read) for at, s, n, read in sorted(rows)))
_jobs = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(1, 3000), st.sampled_from([0.3, 1.0]), st.sampled_from([100, 900])),
    max_size=30,
).map(lambda rows: tuple(Job(float(at), float(s), cpu, mib) for at, s, cpu, mib in sorted(rows)))
_workloads = st.builds(lambda sessions, jobs: a_workload(*sessions, jobs=jobs, duration_s=2 * HOUR_S), _sessions, _jobs)
_scenarios = st.builds(
    lambda hosts, limits, storage: a_scenario(hosts, limits=limits, storage_bytes_per_s=storage),
    st.integers(1, 3),
    st.sampled_from([GuardLimits(), SOON, replace(SOON, dead_band_workers=3)]),
    st.sampled_from([None, 2e6]),
)
_policies = st.sampled_from([THRESHOLD, replace(THRESHOLD, idle=timedelta(minutes=1)), Static(5)])


@settings(unhurried, max_examples=60)
@given(_scenarios, _workloads, _policies)
def test_two_runs_are_the_same(scenario: Scenario, workload: Workload, policy: Policy) -> None:
    assert same(run(scenario, workload, policy), run(scenario, workload, policy))


@settings(unhurried, max_examples=60)
@given(_scenarios, _workloads, _policies)
def test_cycles_that_are_left_out_would_have_changed_nothing(
    scenario: Scenario, workload: Workload, policy: Policy
) -> None:
    quick = run(scenario, workload, policy)
    with pytest.MonkeyPatch.context() as patch:
        never = property(lambda _self: object(), lambda _self, _value: None)
        patch.setattr(module._Simulation, "_settled", never, raising=False)
        patch.setattr(module, "Rest", lambda: None)
        thorough = run(scenario, workload, policy)
    assert thorough.evaluated >= quick.evaluated
    assert same(quick, thorough)


class Counted:
    """A policy, asked in each cycle unless it is ``timeless``; counts how often."""

    def __init__(self, policy: Policy, *, timeless: bool) -> None:
        self.signals, self.history, self.timeless = policy.signals, policy.history, timeless
        self.asked = 0
        self._policy = policy

    def decide(self, window: Window) -> Demand:
        self.asked += 1
        return self._policy.decide(window)


@settings(unhurried, max_examples=60)
@given(_scenarios, _workloads, _policies)
def test_a_timeless_policy_that_is_not_asked_would_have_said_the_same(
    scenario: Scenario, workload: Workload, policy: Policy
) -> None:
    assert same(*(run(scenario, workload, Counted(policy, timeless=timeless)) for timeless in (True, False)))


def test_a_timeless_policy_is_not_asked_while_nothing_changes_in_all_its_history() -> None:
    """A history of five minutes is seven readings: so often it is asked until all of them are alike."""
    timeless, other = (Counted(THRESHOLD, timeless=timeless) for timeless in (True, False))
    for policy in (timeless, other):
        run(a_scenario(), a_workload(duration_s=HOUR_S), policy)
    assert (timeless.asked, other.asked) == (7, 60)


@settings(unhurried, max_examples=60)
@given(_scenarios, _workloads, _policies)
def test_no_work_is_lost_or_made_up_and_memory_is_never_promised_twice(
    scenario: Scenario, workload: Workload, policy: Policy
) -> None:
    result = run(scenario, workload, policy)
    cycles, hosts = result.cycles, len(scenario.machines)
    assert (cycles.wn_used_core_s <= cycles.wn_wanted_core_s + 1e-6).all()
    assert (cycles.wn_used_core_s + cycles.proof_used_core_s <= hosts * CORES * 60 + 1e-6).all()
    assert (cycles.proof_memory_mib + cycles.wn_memory_mib <= hosts * (8056 - 573)).all()
    assert (cycles.proof_memory_mib >= hosts * 572).all()
    ended = [served for served in result.sessions if served.end_s is not None]
    assert all(served.end_s - served.start_s >= served.run_s - 1e-6 for served in ended)
    worked = sum(served.run_s * served.workers for served in ended)
    asked = sum(served.run_s * served.workers for served in result.sessions)
    assert worked - 1e-3 <= cycles.proof_used_core_s.sum() or not worked
    assert cycles.proof_used_core_s.sum() <= asked + 1e-3 or scenario.storage_bytes_per_s is not None
    assert (result.course.supply <= scenario.workers_max).all()
    assert (np.diff(result.course.at_s) > 0).all()
