"""The laws of the transfer engine, whatever goes wrong and whenever: the host sum, the ledger, and convergence."""

from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB, proof_memory_mib, workers_fitting, workers_now
from autoscaler.model import Result
from autoscaler.testing import A_SWAPPING_WN, FakeDomain, a_host, observed
from tests.hypervisors.chaos import ChaosHost, Episode, Fault, Restart, live, planned

HOST = a_host(wns=(A_SWAPPING_WN,))
LIMIT_MIB = 7483
LEAST_MIB, MOST_MIB = 300, 6911

# A run may end PARTIAL because a domain was started anew under it; the next one starts from what is there then.
RUNS_TO_CONVERGE = 4

# The instants of a transfer at these speeds; later ones would never come.
INSTANTS = 120


@st.composite
def hosts(draw: st.DrawFn) -> ChaosHost:
    """A host within its sum, at rest or with balloons on their way, with any ledger that does not understate them."""
    unmanaged_mib = draw(st.integers(0, 2000))
    room_mib = LIMIT_MIB - unmanaged_mib
    proof_mib = draw(st.integers(LEAST_MIB, min(MOST_MIB, room_mib - LEAST_MIB)))
    wn_mib = draw(st.integers(LEAST_MIB, min(MOST_MIB, room_mib - proof_mib)))
    ledger: dict[str, int] = {}
    domains = {}
    for name, larger_mib in (("proof", proof_mib), ("wn", wn_mib)):
        smaller_mib = draw(st.just(larger_mib) | st.integers(LEAST_MIB, larger_mib))
        grows = draw(st.booleans())
        memory_mib, target_mib = (smaller_mib, larger_mib) if grows else (larger_mib, smaller_mib)
        if target_mib > memory_mib:
            ledger[name] = draw(st.integers(target_mib, MOST_MIB))
        elif draw(st.booleans()):
            ledger[name] = draw(st.integers(0, MOST_MIB))
        weight, cap = draw(st.integers(1, 2500)), draw(st.sampled_from([None, 1.0, 4.0]))
        domains[name] = FakeDomain(memory_mib, target_mib, weight, cap)
    fake = ChaosHost(domains, unmanaged_mib=unmanaged_mib)
    fake.limit_mib, fake.ledger, fake.faults = LIMIT_MIB, ledger, {}
    fake.check_laws()
    return fake


def restarts() -> st.SearchStrategy[tuple[Restart, ...]]:
    one = st.builds(Restart, st.sampled_from(["proof", "wn"]), st.integers(LEAST_MIB, MOST_MIB))
    return st.just(()) | st.lists(one, max_size=2).map(tuple)


def goals(fake: ChaosHost) -> st.SearchStrategy[int]:
    """Workers for which the host has room beside the Worker Node's floor: what the guards let through."""
    room_mib = LIMIT_MIB - fake.unmanaged_mib - HOST.wns[0].memory_floor_mib
    return st.integers(0, min(HOST.proof.workers_max, workers_fitting(HOST, room_mib)))


def episodes(fake: ChaosHost) -> st.SearchStrategy[Episode]:
    return st.builds(
        Episode,
        workers=goals(fake),
        faults=st.dictionaries(st.integers(1, INSTANTS), st.sampled_from(Fault), max_size=2),
        stuck=st.frozensets(st.sampled_from(["proof", "wn"])),
        speed_mib=st.sampled_from([100, 777, 10_000]),
        stop_after=st.none() | st.integers(1, 30),
        steps_before=st.integers(0, 5),
        restarts_before_plan=restarts(),
        restarts_after_plan=restarts(),
    )


def let_come_to_rest(fake: ChaosHost) -> None:
    for _ in range(100):
        fake.step()


def converge(fake: ChaosHost, workers: int) -> int:
    """Run without faults until nothing is left to plan; return how many runs it took."""
    for run in range(RUNS_TO_CONVERGE + 1):
        let_come_to_rest(fake)
        if planned(HOST, fake, workers) is None:
            return run
        live(HOST, fake, Episode(workers))
    raise AssertionError(f"no rest after {RUNS_TO_CONVERGE} runs: {fake.domains} {fake.ledger} {fake.calls[-8:]}")


@settings(max_examples=300, deadline=None)
@given(data=st.data(), fake=hosts())
def test_the_host_sum_and_the_ledger_hold_at_every_instant_and_it_converges_when_the_faults_stop(
    data: st.DataObject, fake: ChaosHost
) -> None:
    for _ in range(data.draw(st.integers(0, 4), "episodes")):
        outcome = live(HOST, fake, data.draw(episodes(fake), "episode"))
        event("no outcome" if outcome is None else outcome.result)
    workers = data.draw(goals(fake), "final goal")
    event(f"converged in {converge(fake, workers)} runs")
    proof = fake.observation(HOST).domain("proof")
    assert workers_now(HOST, proof) == workers


@settings(max_examples=100, deadline=None)
@given(data=st.data(), short_mib=st.integers(1, 4))
def test_balloons_that_come_to_rest_a_few_pages_early_are_good_enough(data: st.DataObject, short_mib: int) -> None:
    fake = ChaosHost.of(observed(HOST, workers=data.draw(st.integers(0, 8), "workers at first")))
    fake.limit_mib, fake.ledger, fake.faults = LIMIT_MIB, {}, {}
    fake.settles_short_mib = short_mib
    for workers in data.draw(st.lists(goals(fake), min_size=1, max_size=6), "goals"):
        converge(fake, workers)
        assert workers_now(HOST, fake.observation(HOST).domain("proof")) == workers


@settings(max_examples=100, deadline=None)
@given(data=st.data(), fake=hosts())
def test_one_run_without_faults_is_done(data: st.DataObject, fake: ChaosHost) -> None:
    outcome = live(HOST, fake, Episode(data.draw(goals(fake), "goal")))
    assert outcome is None or outcome.result is Result.DONE


@settings(max_examples=100, deadline=None)
@given(data=st.data(), fake=hosts())
def test_done_means_that_memory_and_cpu_are_there(data: st.DataObject, fake: ChaosHost) -> None:
    let_come_to_rest(fake)
    workers = data.draw(goals(fake), "goal")
    drawn = data.draw(episodes(fake), "episode")
    outcome = live(HOST, fake, replace(drawn, workers=workers, restarts_before_plan=(), restarts_after_plan=()))
    if outcome is None or outcome.result is not Result.DONE:
        return
    proof = next(domain for domain in outcome.observed if domain.name == "proof")
    assert abs(proof.allocation.memory_mib - proof_memory_mib(HOST, workers)) <= BALLOON_TOLERANCE_MIB
    assert proof.allocation.cpu_weight == (HOST.proof.cpu_weight_awake if workers else HOST.proof.dormant.cpu_weight)


@settings(max_examples=50, deadline=None)
@given(data=st.data(), fake=hosts())
def test_a_run_that_found_nothing_to_do_calls_nothing(data: st.DataObject, fake: ChaosHost) -> None:
    workers = data.draw(goals(fake), "goal")
    converge(fake, workers)
    fake.calls.clear()
    live(HOST, fake, Episode(workers))
    assert set(fake.calls) <= {"read"}


def crash_at_every_instant(workers_from: int, workers_to: int, fault: Fault, speed_mib: int) -> int:
    """Do one transfer again and again, with the fault one instant later each time; return how many instants it has."""
    for instant in range(1, 10_000):
        fake = ChaosHost.of(observed(HOST, workers=workers_from), speed_mib=speed_mib)
        fake.limit_mib, fake.ledger, fake.faults = LIMIT_MIB, {}, {}
        live(HOST, fake, Episode(workers_to, {instant: fault}, speed_mib=speed_mib))
        reached = fake.instant
        converge(fake, workers_to)
        if reached < instant:
            return instant
    raise AssertionError("a transfer without end")


def test_a_crash_at_any_instant_of_a_growth_is_survived() -> None:
    assert crash_at_every_instant(0, 8, Fault.CRASH, speed_mib=1000) > 20


def test_a_crash_at_any_instant_of_a_return_is_survived() -> None:
    assert crash_at_every_instant(8, 0, Fault.CRASH, speed_mib=1000) > 20


def test_an_error_at_any_instant_of_a_growth_is_survived() -> None:
    assert crash_at_every_instant(0, 8, Fault.ERROR, speed_mib=1000) > 20


def test_an_error_at_any_instant_of_a_return_is_survived() -> None:
    assert crash_at_every_instant(8, 0, Fault.ERROR, speed_mib=1000) > 20
