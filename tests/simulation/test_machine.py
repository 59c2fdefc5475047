"""One machine of the model: cores, jobs, squeezed Worker Nodes."""

import pytest

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from autoscaler.core.plan import plan
from autoscaler.model import HostState
from autoscaler.simulation.constants import PHYSICS
from autoscaler.simulation.machine import Site
from autoscaler.simulation.meter import Meter
from autoscaler.simulation.movement import movement
from autoscaler.simulation.scenario import Machine
from autoscaler.simulation.workload import Job
from tests.simulation.plant import A_HOST, CORES, GUESTS_MIB


def a_site(meter: Meter | None = None) -> Site:
    return Site(Machine(A_HOST, CORES, CORES), PHYSICS, meter or Meter(60.0))


def bring(site: Site, at_s: float, workers: int) -> float:
    """Bring a site to so many workers, return when it has them."""
    transfer = plan(A_HOST, site.observation(), site.workers, workers)
    assert transfer is not None
    move = movement(A_HOST, site.observation(), transfer, PHYSICS, site.busy_cores)
    site.begin(at_s, transfer)
    for arrival_s in move.arrivals:
        site.add_worker(at_s + arrival_s)
    site.end(at_s + move.duration_s, move.left.items(), move.swapped_mib)
    return at_s + move.duration_s


def test_a_job_alone_ends_after_its_run_time() -> None:
    site = a_site()
    site.start_job(10.0, Job(0.0, 100.0))
    assert site.next_end_s() == 110.0


def test_a_job_that_waits_for_its_disk_leaves_cores_to_others() -> None:
    site = a_site()
    for _ in range(2 * CORES):
        site.start_job(0.0, Job(0.0, 100.0, cpu_ratio=0.5))
    assert site.next_end_s() == 100.0


def test_more_jobs_than_cores_share_them() -> None:
    site = a_site()
    for _ in range(2 * CORES):
        site.start_job(0.0, Job(0.0, 100.0))
    assert site.next_end_s() == 200.0


def test_jobs_go_on_where_they_were_when_their_speed_changes() -> None:
    site = a_site()
    for _ in range(CORES):
        site.start_job(0.0, Job(0.0, 100.0))
    for _ in range(CORES):
        site.start_job(50.0, Job(0.0, 100.0))
    assert site.next_end_s() == 150.0


def test_idle_proof_workers_take_no_core_from_the_jobs() -> None:
    site = a_site()
    ready_s = bring(site, 0.0, 8)
    for _ in range(CORES):
        site.start_job(ready_s, Job(0.0, 100.0))
    assert site.next_end_s() == pytest.approx(ready_s + 100.0)


def test_busy_proof_workers_get_their_cores_by_weight_and_the_jobs_never_stop() -> None:
    site = a_site()
    ready_s = bring(site, 0.0, 8)
    for _ in range(CORES):
        site.start_job(ready_s, Job(0.0, 100.0))
    site.hold(ready_s, 8)
    assert site.worker_speed == pytest.approx(256 / 288)
    end_s = site.next_end_s()
    assert end_s is not None
    assert end_s - ready_s == pytest.approx(100.0 * 288 / 32)


def test_workers_that_were_taken_away_leave_their_sessions_to_the_others() -> None:
    site = a_site()
    ready_s = bring(site, 0.0, 4)
    site.hold(ready_s, 4)
    transfer = plan(A_HOST, site.observation(), 4, 2)
    assert transfer is not None
    site.begin(ready_s, transfer)
    assert (site.workers, site.busy, site.free) == (2, 4, 0)
    assert site.worker_speed == pytest.approx(0.5)


def test_what_jobs_do_not_miss_costs_them_nothing_and_the_rest_slows_them_down() -> None:
    site = a_site()
    for _ in range(CORES):
        site.start_job(0.0, Job(0.0, 1000.0, memory_mib=400))
    ready_s = bring(site, 0.0, 5)
    assert site.next_end_s() == pytest.approx(1000.0)
    for _ in range(CORES):
        site.start_job(ready_s, Job(0.0, 1000.0, cpu_ratio=0.0, memory_mib=400))
    end_s = site.next_end_s()
    assert end_s is not None
    assert end_s > 2 * 1000.0


def test_what_a_transfer_put_into_swap_is_read_once_when_there_is_room_for_it_again() -> None:
    meter = Meter(60.0)
    site = a_site(meter)
    for _ in range(CORES):
        site.start_job(0.0, Job(0.0, 1000.0, memory_mib=400))
    awake_s = bring(site, 0.0, 5)
    meter.begin_cycle()
    asleep_s = bring(site, awake_s, 0)
    meter.begin_cycle()
    bring(site, bring(site, asleep_s, 1), 0)
    swap_in_mib = meter.cycles().swap_in_mib
    swapped_mib = site._bases_mib + CORES * 400 - (GUESTS_MIB - 572 - 5 * 792)
    assert swapped_mib > 0
    assert swap_in_mib == pytest.approx([swapped_mib, 0.0], abs=BALLOON_TOLERANCE_MIB)


def test_jobs_that_miss_memory_read_as_much_as_their_swap_gives_in_the_time_that_they_stand_still() -> None:
    meter = Meter(60.0)
    site = a_site(meter)
    for _ in range(CORES):
        site.start_job(0.0, Job(0.0, 1000.0, memory_mib=1500))
    meter.begin_cycle()
    meter.advance(60.0)
    end_s = site.next_end_s()
    assert end_s is not None
    (swap_in_mib,) = meter.cycles().swap_in_mib
    assert swap_in_mib == pytest.approx(60.0 * PHYSICS.balloon_swap_mib_per_s * (1 - 1000.0 / end_s))


def test_jobs_are_slower_while_their_memory_is_written_to_the_swap() -> None:
    site = a_site()
    site.start_job(0.0, Job(0.0, 100.0, memory_mib=400))
    site.squeeze(0.0)
    assert site.next_end_s() == pytest.approx(200.0)


def test_a_machine_in_a_transfer_says_where_it_moves() -> None:
    site = a_site()
    transfer = plan(A_HOST, site.observation(), 0, 3)
    assert transfer is not None
    site.begin(0.0, transfer)
    assert (site.observation().state, site.observation().moving_to_workers) == (HostState.MOVING, 3)


def test_a_machine_shows_what_its_jobs_use_as_they_come_and_go() -> None:
    site = a_site()
    used = [site.observation().domain("wn").used_mib]
    site.start_job(0.0, Job(0.0, 100.0, memory_mib=400))
    used.append(site.observation().domain("wn").used_mib)
    site.end_job(100.0)
    used.append(site.observation().domain("wn").used_mib)
    assert used == [site._base_mib, site._base_mib + 400, site._base_mib]


def test_a_machine_shows_when_its_transfer_is_over() -> None:
    site = a_site()
    transfer = plan(A_HOST, site.observation(), 0, 3)
    assert transfer is not None
    move = movement(A_HOST, site.observation(), transfer, PHYSICS, site.busy_cores)
    site.begin(0.0, transfer)
    assert site.observation().state is HostState.MOVING
    site.end(move.duration_s, move.left.items(), move.swapped_mib)
    assert site.observation().state is HostState.READY
    assert {domain.name: domain.allocation for domain in site.observation().domains} == move.left
