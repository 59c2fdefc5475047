"""One machine of the model: cores, jobs, squeezed Worker Nodes."""

import pytest

from autoscaler.core.plan import plan
from autoscaler.model import HostState
from autoscaler.simulation.constants import PHYSICS
from autoscaler.simulation.machine import Site
from autoscaler.simulation.meter import Meter
from autoscaler.simulation.movement import movement
from autoscaler.simulation.scenario import Machine
from autoscaler.simulation.workload import Job
from tests.simulation.plant import A_HOST, CORES


def a_site() -> Site:
    return Site(Machine(A_HOST, CORES, CORES), PHYSICS, Meter(60.0))


def grow(site: Site, at_s: float, workers: int) -> float:
    """Bring a site to so many workers, return when it has them."""
    transfer = plan(A_HOST, site.observation(), site.workers, workers)
    assert transfer is not None
    move = movement(A_HOST, site.observation(), transfer, PHYSICS, site.busy_cores)
    site.begin(at_s, transfer)
    for arrival_s in move.arrivals:
        site.add_worker(at_s + arrival_s)
    site.end(at_s + move.duration_s, move.left.items())
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
    ready_s = grow(site, 0.0, 8)
    for _ in range(CORES):
        site.start_job(ready_s, Job(0.0, 100.0))
    assert site.next_end_s() == pytest.approx(ready_s + 100.0)


def test_busy_proof_workers_get_their_cores_by_weight_and_the_jobs_never_stop() -> None:
    site = a_site()
    ready_s = grow(site, 0.0, 8)
    for _ in range(CORES):
        site.start_job(ready_s, Job(0.0, 100.0))
    site.hold(ready_s, 8)
    assert site.worker_speed == pytest.approx(256 / 288)
    end_s = site.next_end_s()
    assert end_s is not None
    assert end_s - ready_s == pytest.approx(100.0 * 288 / 32)


def test_workers_that_were_taken_away_leave_their_sessions_to_the_others() -> None:
    site = a_site()
    ready_s = grow(site, 0.0, 4)
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
    ready_s = grow(site, 0.0, 5)
    assert site.next_end_s() == pytest.approx(1000.0)
    for _ in range(CORES):
        site.start_job(ready_s, Job(0.0, 1000.0, cpu_ratio=0.0, memory_mib=400))
    end_s = site.next_end_s()
    assert end_s is not None
    assert end_s > 2 * 1000.0


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
    site.end(move.duration_s, move.left.items())
    assert site.observation().state is HostState.READY
    assert {domain.name: domain.allocation for domain in site.observation().domains} == move.left
