"""The batch system of the model: which machine a job starts on, and what the queue remembers."""

from autoscaler.simulation.agenda import Agenda
from autoscaler.simulation.batch import Batch
from autoscaler.simulation.constants import PHYSICS
from autoscaler.simulation.machine import Site
from autoscaler.simulation.meter import Meter
from autoscaler.simulation.scenario import Machine
from autoscaler.simulation.workload import Job
from tests.simulation.plant import A_HOST, CORES


def test_what_is_known_of_free_slots_does_not_grow_with_the_jobs() -> None:
    agenda, site = Agenda(), Site(Machine(A_HOST, CORES, CORES), PHYSICS, Meter(60.0))
    jobs = [Job(10.0 * number, 35.0) for number in range(1000)]
    batch = Batch(agenda, [site], jobs, lambda _at_s, touched: batch.site_changed(touched))
    agenda.run_until(20_000.0)
    assert batch.finished == 1000
    assert len(batch._open) <= CORES


def test_jobs_that_others_slow_down_end_later() -> None:
    """At 50 s as many more jobs as there are cores come: what was planned for 100 s takes until 150 s."""
    agenda, site = Agenda(), Site(Machine(A_HOST, CORES, 2 * CORES), PHYSICS, Meter(60.0))
    jobs = [*(Job(0.0, 100.0) for _ in range(CORES)), *(Job(50.0, 1000.0) for _ in range(CORES))]
    batch = Batch(agenda, [site], jobs, lambda _at_s, touched: batch.site_changed(touched))
    agenda.run_until(150.0)
    assert batch.finished == 0
    agenda.run_until(151.0)
    assert batch.finished == CORES
