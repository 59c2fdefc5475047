"""How memory moves in the model."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.allocation import workers_now
from autoscaler.core.plan import plan
from autoscaler.model import Allocation, HostObservation, Transfer
from autoscaler.simulation.constants import PHYSICS
from autoscaler.simulation.movement import Movement, movement
from autoscaler.testing import observed
from tests.core.situations import unhurried
from tests.simulation.plant import A_HOST, GUESTS_MIB

ONE_CPU_EACH = replace(A_HOST, proof=replace(A_HOST.proof, workers_max=1))


def _transfer(seen: HostObservation, before: int, after: int) -> Transfer:
    transfer = plan(A_HOST, seen, before, after)
    assert transfer is not None
    return transfer


def _move(before: int, after: int, used_mib: int) -> tuple[HostObservation, Movement]:
    seen = observed(A_HOST, workers=before, wn_used_mib=used_mib)
    return seen, movement(A_HOST, seen, _transfer(seen, before, after), PHYSICS, {})


def test_free_memory_moves_at_the_speed_of_the_balloon() -> None:
    _, move = _move(0, 4, used_mib=600)
    assert move.duration_s == pytest.approx(2 * 0.3 + 4 * 792 / 880 + 0.05)
    assert (move.moved_mib, move.swapped_mib, move.strained) == (4 * 792, 0, False)


def test_the_first_worker_is_there_before_the_last() -> None:
    _, move = _move(0, 4, used_mib=600)
    assert move.arrivals == pytest.approx([0.6 + (number * 792 - 8) / 880 for number in (1, 2, 3, 4)])


def test_a_worker_that_is_a_balloons_tolerance_short_is_there_as_the_controller_counts() -> None:
    seen, move = _move(0, 4, used_mib=int((6911 - 3 * 792 + 4) / 0.8))
    after = replace(seen.domain("proof"), allocation=move.left["proof"])
    assert move.strained
    assert len(move.arrivals) == workers_now(A_HOST, after) == 3


def test_what_the_jobs_use_goes_only_as_fast_as_it_is_swapped_out() -> None:
    _, move = _move(0, 4, used_mib=4000)
    cut_mib = 4000 - (6911 - 4 * 792)
    assert move.swapped_mib == cut_mib
    assert move.squeeze_from_s == pytest.approx(0.6 + (6911 - 4000) / 880)
    assert move.duration_s == pytest.approx(0.65 + (6911 - 4000) / 880 + cut_mib / 96)


def test_a_squeeze_stops_before_the_jobs_would_thrash_and_keeps_what_it_got() -> None:
    seen, move = _move(0, 8, used_mib=5000)
    assert move.strained
    assert move.left["wn"].memory_mib == int(5000 * 0.8)
    assert move.moved_mib == 6911 - 4000
    assert len(move.arrivals) == (6911 - 4000) // 792
    assert move.left["proof"].memory_mib == seen.domain("proof").allocation.memory_mib + move.moved_mib


def test_what_is_given_back_needs_no_swap_and_ends_at_the_dormant_size() -> None:
    _, move = _move(4, 0, used_mib=6000)
    assert move.left == {"proof": Allocation(572, 32, 1.0), "wn": Allocation(6911, 256)}
    assert (move.arrivals, move.swapped_mib, move.moved_mib) == ((), 0, 4 * 792)


def test_free_memory_of_the_host_is_given_before_any_donor_has_shrunk() -> None:
    seen = observed(A_HOST, workers=0, wn_used_mib=500)
    proof, wn = seen.domains
    small = replace(seen, domains=(proof, replace(wn, allocation=Allocation(3000, 256))))
    move = movement(A_HOST, small, _transfer(small, 0, 2), PHYSICS, {})
    assert move.duration_s == pytest.approx(0.65 + 2 * 792 / 2160)


def test_cores_enough_for_all_make_no_balloon_slow() -> None:
    seen = replace(observed(A_HOST, workers=0, wn_used_mib=600), cores=9)
    move = movement(A_HOST, seen, _transfer(seen, 0, 4), PHYSICS, {"wn": 7.0})
    assert move.duration_s == pytest.approx(0.65 + 4 * 792 / 880)


def test_on_a_crowded_machine_the_donor_gives_first_and_the_acceptor_takes_the_rest_when_weights_are_set() -> None:
    seen = replace(observed(ONE_CPU_EACH, workers=0, wn_used_mib=600), cores=1)
    seen = replace(seen, domains=tuple(replace(domain, vcpus=1) for domain in seen.domains))
    transfer = plan(ONE_CPU_EACH, seen, 0, 1)
    assert transfer is not None
    move = movement(ONE_CPU_EACH, seen, transfer, PHYSICS, {"wn": 1.0})
    given_s = 792 / (880 * 256 / 288)
    taken_mib = 2160 * 32 / 288 * given_s
    taken_s = (792 - taken_mib) / (2160 * 256 / 288)
    assert move.arrivals == pytest.approx([0.6 + given_s + taken_s - 8 / (2160 * 256 / 288)])
    assert move.duration_s == pytest.approx(0.65 + given_s + taken_s)


def test_a_donor_with_many_busy_cpus_gives_no_faster_than_one_of_them() -> None:
    seen = replace(observed(A_HOST, workers=4, wn_used_mib=600), cores=8)
    busy = {"proof": 4.0, "wn": 8.0}
    move = movement(A_HOST, seen, _transfer(seen, 4, 6), PHYSICS, busy)
    # Lent as much weight as PROOF has, which wants five cores, it gets four of eight.
    assert move.duration_s == pytest.approx(0.65 + 2 * 792 / (880 * 4 / 8))


busy_cores = st.fixed_dictionaries({"proof": st.floats(0, 8), "wn": st.floats(0, 8)})


@settings(unhurried, max_examples=300)
@given(st.integers(0, 8), st.integers(0, 8), st.integers(0, 7000), st.integers(1, 16), busy_cores)
def test_the_sum_holds_nobody_gets_more_than_planned_and_workers_come_in_order(
    before: int, after: int, used_mib: int, cores: int, busy: dict[str, float]
) -> None:
    seen = replace(observed(A_HOST, workers=before, wn_used_mib=used_mib), cores=cores)
    transfer = plan(A_HOST, seen, before, after)
    if transfer is None:
        return
    move = movement(A_HOST, seen, transfer, PHYSICS, busy)
    goal_mib = max(572 + after * 792, seen.domain("proof").allocation.memory_mib)
    assert sum(left.memory_mib for left in move.left.values()) <= GUESTS_MIB
    assert 572 <= move.left["proof"].memory_mib <= goal_mib
    assert move.left["wn"].memory_mib >= 572
    assert list(move.arrivals) == sorted(move.arrivals)
    assert all(0 < arrival_s <= move.duration_s for arrival_s in move.arrivals)
    assert len(move.arrivals) <= max(0, after - before)
    assert move.strained == (len(move.arrivals) < after - before)
