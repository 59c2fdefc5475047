"""The half of the benchmark of fidelity that is simulated: the same host, policy and guards, and a day of one session.

What it takes from the guests is in `Calibration`, which is measured on other moves than the one that is compared.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from autoscaler.config.load import Loaded
from autoscaler.simulation.constants import Physics
from autoscaler.simulation.run import Run
from autoscaler.simulation.scenario import Machine, Price, Scenario
from autoscaler.simulation.simulate import simulate
from autoscaler.simulation.workload import Job, Session, Workload
from tests.benchmarks.reaction_bed import WN_MIB

# Short enough to tell when memory is back, of which a run keeps one value a cycle; it is also the resolution with which
# the controller hears of a session that the exporter tells it at once.
CYCLE = timedelta(seconds=0.1)
START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
CORES = 1  # both guests share one
RUN_S, AFTER_S = 20.0, 60.0
# Rates are looked at so long after a move.
SETTLE_S = 1.0


@dataclass(frozen=True)
class Calibration:
    """What another move says: speeds, as they would be on a core of one's own, and what the guests use."""

    balloon_free_mib_per_s: float
    balloon_give_mib_per_s: float
    step_s: float
    wn_used_mib: int
    housekeeping_cores: float

    @property
    def physics(self) -> Physics:
        """The speeds of these guests; all others as on a site."""
        return Physics(
            balloon_free_mib_per_s=self.balloon_free_mib_per_s,
            balloon_give_mib_per_s=self.balloon_give_mib_per_s,
            step_s=self.step_s,
        )


def modelled(loaded: Loaded, calibration: Calibration) -> dict[str, Any]:
    """Let a session come and go beside a job that never ends; return times and shares of a core."""
    (host,) = loaded.config.facility().hosts
    scenario = Scenario(
        machines=(Machine(host, cores=CORES, job_slots=1, wn_base_mib=calibration.wn_used_mib),),
        price=Price(wait_core_s=1.0),
        interval=CYCLE,
        reading_age=timedelta(0),
        limits=loaded.config.guards.limits(),
        physics=calibration.physics,
    )
    idle_s = loaded.policy.history.total_seconds()
    submit_s = idle_s + AFTER_S
    end_s = submit_s + 2 * RUN_S + idle_s + 2 * AFTER_S
    job = Job(submit_s=0.0, run_s=2 * end_s)
    workload = Workload(START, end_s, (Session(submit_s, RUN_S, workers=1),), (job,))
    run = simulate(scenario, workload, loaded.policy, "threshold")
    return _figures(run, submit_s, calibration.housekeeping_cores)


def _figures(run: Run, submit_s: float, housekeeping_cores: float) -> dict[str, Any]:
    up, down = run.moves
    (session,) = run.sessions
    supplied_s = float(run.course.at_s[np.argmax(run.course.supply > 0)])
    times = np.arange(len(run.cycles.wn_memory_mib)) * run.cycles.interval_s
    back_s = float(times[np.argmax((run.cycles.wn_memory_mib >= WN_MIB) & (times > down.at_s))])
    assert session.start_s is not None
    assert session.end_s is not None
    awake = (times > session.start_s + SETTLE_S) & (times < session.end_s - SETTLE_S)
    dormant = times > back_s + SETTLE_S

    def cores(used_core_s: Any, when: Any) -> float:
        return float(used_core_s[when].mean() / run.cycles.interval_s)

    def events(cores_used: float) -> float:
        return (cores_used - housekeeping_cores) / (CORES - housekeeping_cores)

    proof_awake, wn_awake = cores(run.cycles.proof_used_core_s, awake), cores(run.cycles.wn_used_core_s, awake)
    wn_dormant = cores(run.cycles.wn_used_core_s, dormant)
    return {
        "up_s": supplied_s - up.at_s,
        "session_to_memory_s": supplied_s - submit_s,
        "down_s": back_s - down.at_s,
        "proof_awake_events_ratio": events(proof_awake),
        "wn_awake_events_ratio": events(wn_awake),
        # The other guest keeps house, too.
        "wn_dormant_events_ratio": events(wn_dormant - housekeeping_cores),
        "proof_awake_cpu_ratio": proof_awake,
        "wn_awake_cpu_ratio": wn_awake,
        "wn_dormant_cpu_ratio": wn_dormant,
    }
