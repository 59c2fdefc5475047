"""Compares policies on one workload: which runs to make, and what they come to.

Every policy is compared with the first one, by weeks; what each costs more than the oracle is its regret.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from autoscaler.config.units import duration_text, seconds_text
from autoscaler.contracts import Policy
from autoscaler.model import Window
from autoscaler.simulation.compare import ROUNDING, Comparison, Weekly, compare, interval, weekly
from autoscaler.simulation.contest import Task
from autoscaler.simulation.figures import FIGURES, Figure, Row, cost_of, figures, with_regret
from autoscaler.simulation.oracle import Oracle
from autoscaler.simulation.report.values import Report, number
from autoscaler.simulation.run import Run
from autoscaler.simulation.scenario import Scenario
from autoscaler.simulation.workload import Workload

ORACLE = "oracle"

# What the verdict is about; the other figures explain it.
DECIDES = "cost_per_week"

# Less is said to be slow, where nothing else says why.
LOW_EFFICIENCY = 0.9

COMPARED: Mapping[str, Figure] = {
    DECIDES: Figure("core hours", "lower", "Cost of seven days."),
    "cost_per_week_interval": Figure("core hours", "", "Its 95 % interval over weeks; null with too few of them."),
    "against": Figure("", "", "The policy that the verdict compares with, the first one; null in its own row."),
    "cost_difference_per_week": Figure("core hours", "lower", "Its cost minus that of the other, in seven days."),
    "cost_difference_interval": Figure("core hours", "", "The difference's 95 % interval over weeks."),
    "verdict": Figure("", "", "By that interval: better, worse, or cannot tell."),
    "verdict_reason": Figure("", "", "What the verdict rests on."),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """Policies by their labels on one workload; ``about`` says where it is from, one sentence each."""

    title: str
    scenario: Scenario
    workload: Workload
    zone: tzinfo
    policies: Mapping[str, Policy]
    about: tuple[str, ...] = ()


def tasks(trial: Trial) -> list[Task]:
    """One run for each policy, and the last one for the oracle."""
    start, sessions = trial.workload.start, trial.workload.sessions
    # What it wants must be there until the next cycle can have it there.
    horizon_s = 2 * trial.scenario.interval.total_seconds()
    policies = {**trial.policies, ORACLE: Oracle(sessions, start, horizon_s)}
    return [Task(trial.scenario, trial.workload, policy, label) for label, policy in policies.items()]


def report(trial: Trial, runs: Sequence[Run]) -> Report:
    """What the runs of ``tasks`` come to."""
    weeks = [weekly(run, trial.scenario) for run in runs]
    rows = with_regret([figures(run, trial.scenario) for run in runs], figures(runs[-1], trial.scenario))
    return Report(
        title=trial.title,
        start=trial.workload.start.astimezone(trial.zone),
        scenario=_scenario_lines(trial.scenario),
        workload=(*trial.about, *_workload_lines(trial), *_cannot_show(trial, runs), *_slow(rows), *_no_bound(rows)),
        figures={**FIGURES, **COMPARED},
        rows=tuple(with_verdict(row, own, weeks[0]) for row, own in zip(rows, weeks, strict=True)),
        runs=tuple(runs),
        bound=ORACLE,
    )


def with_verdict(row: Row, own: Weekly, reference: Weekly) -> dict[str, object]:
    """Return the row with its weekly cost, and what that says of the policy beside the reference."""
    cost = interval(own, DECIDES)
    found: dict[str, object] = {DECIDES: cost.value, "cost_per_week_interval": _ends(cost.low, cost.high)}
    if own is reference:
        return row | found | dict.fromkeys(list(COMPARED)[2:])
    comparison: Comparison = compare(own, reference)[DECIDES]
    difference = comparison.difference
    return (
        row
        | found
        | {
            "against": comparison.reference,
            "cost_difference_per_week": difference.value,
            "cost_difference_interval": _ends(difference.low, difference.high),
            "verdict": comparison.verdict,
            "verdict_reason": comparison.reason,
        }
    )


def _ends(low: float | None, high: float | None) -> list[float] | None:
    return None if low is None or high is None else [low, high]


def _scenario_lines(scenario: Scenario) -> tuple[str, ...]:
    cores = sum(machine.cores for machine in scenario.machines)
    slots = sum(machine.job_slots for machine in scenario.machines)
    storage = scenario.storage_bytes_per_s
    limit = "is never the bottleneck" if storage is None else f"gives {storage / 1e6:.0f} MB/s"
    return (
        f"{len(scenario.machines)} hosts, {cores} cores, {slots} job slots, {scenario.workers_max} PROOF workers",
        f"a cycle each {duration_text(scenario.interval)}, readings {duration_text(scenario.reading_age)} old",
        f"the storage {limit}",
        f"a second that a session waits is worth {scenario.price.wait_core_s:g} core seconds of batch work",
    )


def _workload_lines(trial: Trial) -> Iterator[str]:
    workload, most = trial.workload, trial.scenario.workers_max
    length = seconds_text(workload.duration_s)
    yield f"{len(workload.sessions)} PROOF sessions and {len(workload.jobs)} batch jobs in {length}"
    wide = sum(session.workers > most for session in workload.sessions)
    if wide:
        yield f"{wide} sessions want more than {most} workers, which is all there can be: they get those, for longer"
    largest_mib = max(sum(wn.memory_max_mib for wn in machine.host.wns) for machine in trial.scenario.machines)
    large = sum(job.memory_mib > largest_mib for job in workload.jobs)
    if large:
        yield (
            f"{large} batch jobs use more memory than the Worker Nodes of any host can have, which is {largest_mib} "
            "MiB: they are slow wherever they run, and slow the others there (is their memory in MiB?)"
        )


def _cannot_show(trial: Trial, runs: Sequence[Run]) -> Iterator[str]:
    """What a reader might take from the figures although it is not in them."""
    if not trial.workload.jobs:
        yield (
            "there are no batch jobs (--wn-trace): workers take nothing from anybody, so that the more of them a "
            "policy keeps, the less it costs; what it would cost the Grid is not shown"
        )
    most = trial.scenario.workers_max
    for label, policy in trial.policies.items():
        wanted = _always_wanted(policy, trial.workload.start)
        if wanted > most:
            yield f"{label} wants {wanted} workers always; it is played with {most}, which is all there can be"
    for run in runs:
        if run.sessions and not run.course.supply.any():
            verdicts = ", and no verdict against it says more" if run is runs[0] else ""
            yield (
                f"{run.policy} never had a worker, as a run begins without any: its waits and its cost show how long "
                f"the run is and not how good the policy is{verdicts}"
            )


def _always_wanted(policy: Policy, start: datetime) -> int:
    """How many workers a policy wants that looks at nothing; 0 of one that looks at something."""
    if policy.signals or not getattr(policy, "timeless", False):
        return 0
    return policy.decide(Window(start, ())).workers or 0


def _slow(rows: Sequence[Row]) -> Iterator[str]:
    """Whose batch jobs lost more than PROOF's queries can have taken, although no transfer swapped."""
    for row in rows:
        efficiency, swapped = number(row["wn_cpu_efficiency_ratio"]), number(row["swapped_gib_per_day"])
        lost, taken = number(row["wn_core_hours_lost"]) or 0.0, number(row["proof_core_hours_used"]) or 0.0
        if efficiency is not None and efficiency < LOW_EFFICIENCY and not round(swapped or 0.0, 1) and lost > taken:
            yield (
                f"{row['policy']}: the batch jobs got {efficiency:.0%} of the CPU that they wanted, although PROOF did "
                "not use the rest and nothing was swapped: their Worker Nodes have too little memory or too low a cap"
            )


def _no_bound(rows: Sequence[Row]) -> Iterator[str]:
    """Whether the oracle did not get what it wants: what is as dear as it is then not shown to be good."""
    oracle = rows[-1]
    bound = cost_of(oracle)
    kept_from_it = "the guards, or a full facility, keep it from what it wants"
    if oracle["sessions_unserved"]:
        yield (
            f"the {ORACLE} is no bound here: {oracle['sessions_unserved']} of its {oracle['sessions']} sessions never "
            f"got their workers, as {kept_from_it}; a regret near 0 says little"
        )
    elif any(bound - cost_of(row) > ROUNDING * max(1.0, bound) for row in rows):
        yield f"the {ORACLE} is no bound here: a policy costs less, as {kept_from_it}"
