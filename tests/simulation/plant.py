"""Small facilities and workloads for tests of the model."""

from dataclasses import replace
from datetime import UTC, datetime

from autoscaler.model import Allocation, Host, ProofDomain, WnDomain
from autoscaler.simulation.scenario import Machine, Price, Scenario
from autoscaler.simulation.workload import Job, Reading, Session, Workload

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
CORES = 8
A_HOST = Host(
    name="host-1",
    uri="model:///host-1",
    memory_total_mib=8056,
    memory_reserve_mib=573,
    proof=ProofDomain("proof", Allocation(572, 32, 1.0), 792, 0, 8, 256),
    wns=(WnDomain("wn", 572, 6911, 256, 572, 256, 32),),
)
GUESTS_MIB = 8056 - 573


def a_scenario(hosts: int = 1, **changes: object) -> Scenario:
    """So many equal machines."""
    machines = [Machine(replace(A_HOST, name=f"host-{number + 1}"), CORES, CORES) for number in range(hosts)]
    return replace(Scenario(tuple(machines), Price(wait_core_s=8.0)), **changes)


def a_workload(
    *sessions: Session, jobs: tuple[Job, ...] = (), duration_s: float = 3600.0, reading: Reading | None = None
) -> Workload:
    """These sessions and jobs."""
    return Workload(START, duration_s, sessions, jobs, reading)
