"""One transfer, with one fault at each of its instants in turn, and what its outcomes mean.

What faults and other people's hands do together is in ``test_transfer_machine.py``.
"""

from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB, proof_memory_mib, workers_now
from autoscaler.model import DomainState, Host, Result
from autoscaler.testing import A_SWAPPING_WN, A_WN, a_host
from tests.hypervisors.chaos import Chaos, Fault, Life, a_life

SWAPPING = a_host(wns=(A_SWAPPING_WN,))
THREE = a_host(
    memory_total_mib=8056 + 6000,
    wns=(A_WN, replace(A_WN, name="wn-2", swap_down_to_mib=1500), replace(A_SWAPPING_WN, name="wn-3")),
)

# One to finish what a fault has left, one for what a start took too much, and one for the rest.
CYCLES_TO_CONVERGE = 4

workers = st.integers(0, 8)


def sleeping(state: DomainState) -> Host:
    """A host where PROOF sleeps without workers, with room for a start with all of its memory."""
    host = a_host(memory_total_mib=8056 + 2000)
    return replace(host, proof=replace(host.proof, dormant_state=state))


def converge(life: Life, wanted: int) -> None:
    """Live on without faults until nothing is left to do, and what is wanted is there."""
    for _ in range(CYCLES_TO_CONVERGE):
        life.rest()
        life.cycle(wanted, Chaos())
    life.rest()
    decision = life.decide(wanted)
    assert decision.transfers == (), (decision.hosts[0].reason, life.fake.domains, life.fake.ledger)
    proof = life.fake.observation().domain("proof")
    assert workers_now(life.host, proof) == wanted
    asleep = not wanted and life.host.proof.dormant_state is not DomainState.RUNNING
    assert proof.state is (life.host.proof.dormant_state if asleep else DomainState.RUNNING)


def at_workers(host: Host, number: int, *, starts_full: bool = False) -> Life:
    """The host with so many workers, as it came there by itself."""
    life = a_life(host, workers=number, starts_full=starts_full)
    converge(life, number)
    return life


def fault_at_every_instant(host: Host, way: tuple[int, int], fault: Fault, *, starts_full: bool = False) -> int:
    """Do one transfer again and again, with the fault one instant later each time; return how many instants it has."""
    start = at_workers(host, way[0], starts_full=starts_full)
    for instant in range(1, 10_000):
        life = deepcopy(start)
        life.cycle(way[1], Chaos({instant: fault}, speed_mib=1000))
        reached = life.fake.instant
        converge(life, way[1])
        if reached < instant:
            return instant
    raise AssertionError("a transfer without end")


WAYS = {"a growth": (0, 8), "a return": (8, 0), "a change": (2, 5)}


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_fault_at_any_instant_is_survived(way: tuple[int, int], fault: Fault) -> None:
    assert fault_at_every_instant(SWAPPING, way, fault) > 20


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_crash_at_any_instant_is_survived_with_several_worker_nodes(way: tuple[int, int]) -> None:
    assert fault_at_every_instant(THREE, way, Fault.CRASH) > 20


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.CRASH])
@pytest.mark.parametrize("way", [(0, 3), (3, 0)], ids=["waking", "going to sleep"])
@pytest.mark.parametrize("state", [DomainState.PAUSED, DomainState.SAVED, DomainState.SHUT_OFF])
def test_a_fault_at_any_instant_is_survived_with_a_domain_that_sleeps(
    state: DomainState, way: tuple[int, int], fault: Fault
) -> None:
    assert fault_at_every_instant(sleeping(state), way, fault, starts_full=True) > 15


@settings(max_examples=50, deadline=None)
@given(st.lists(workers, min_size=1, max_size=6), st.integers(1, 4), st.sampled_from([SWAPPING, THREE]))
def test_balloons_that_come_to_rest_a_few_pages_early_are_good_enough(
    goals: list[int], short_mib: int, host: Host
) -> None:
    life = a_life(host)
    life.fake.settles_short_mib = short_mib
    for wanted in goals:
        converge(life, wanted)


@settings(max_examples=100, deadline=None)
@given(workers, workers, st.sampled_from([SWAPPING, THREE]))
def test_one_cycle_without_faults_is_done(first: int, wanted: int, host: Host) -> None:
    life = at_workers(host, first)
    outcome = life.cycle(wanted, Chaos())
    assert outcome is None or outcome.result is Result.DONE


@settings(max_examples=100, deadline=None)
@given(
    workers,
    workers,
    st.dictionaries(st.integers(1, 60), st.sampled_from(Fault), max_size=2),
    st.none() | st.integers(1, 10),
)
def test_done_means_that_memory_and_cpu_are_there(
    first: int, wanted: int, faults: dict[int, Fault], stop_after: int | None
) -> None:
    life = at_workers(SWAPPING, first)
    outcome = life.cycle(wanted, Chaos(faults, stop_after))
    if outcome is None or outcome.result is not Result.DONE:
        return
    proof = next(domain for domain in outcome.observed if domain.name == "proof")
    assert abs(proof.allocation.memory_mib - proof_memory_mib(SWAPPING, wanted)) <= BALLOON_TOLERANCE_MIB
    weight = SWAPPING.proof.cpu_weight_awake if wanted else SWAPPING.proof.dormant.cpu_weight
    assert proof.allocation.cpu_weight == weight
