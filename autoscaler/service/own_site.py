"""The site itself as the facility model has it, by its configuration and by what was seen of it.

So a model is judged by what its site would pay, batch jobs and full machines included, and nobody writes a scenario.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np

from autoscaler.config.schema import Config
from autoscaler.core.allocation import memory_for_guests_mib
from autoscaler.learning.features import Floats
from autoscaler.model import (
    DOMAIN_SWAP_IN_BYTES_PER_SECOND,
    DomainState,
    Facility,
    Host,
    HostObservation,
    Situation,
)
from autoscaler.service.backtest import ClosedLoop, OfCounts, split_of
from autoscaler.service.minutes import MINUTE, Minutes
from autoscaler.simulation.scenario import Machine, Price, Scenario
from autoscaler.simulation.stays import arrivals
from autoscaler.store.records import Record, Unreadable

# What is seen in a day says how large batch jobs are.
LOOK_BACK = timedelta(days=1)
# How old the readings of the model's controller are: half of a scrape interval, and of a cycle.
READING_AGE = timedelta(seconds=15)
# Of sessions and batch jobs, so much of the judged time must be known; and of the hosts, so many.
KNOWN_LEAST = 0.5
# Five hundred slots with jobs of half an hour for ninety days; counts that go to and fro make many times as many.
CAME_MOST = 2_000_000
# Fewer jobs in the mean, on each host, do not tell what one of them uses: most of it is the Worker Nodes' own.
JOBS_LEAST = 1.0


class UnseenError(Exception):
    """The site cannot be modelled by what was seen of it; the message says why."""


@dataclass(slots=True)
class Seen:
    """What the store knows of the hosts: each one's newest reading, and what its Worker Nodes used in the mean.

    ``hears_swap_in`` says whether it was ever known what guests read from swap.
    """

    newest: dict[str, HostObservation] = field(default_factory=dict)
    hears_swap_in: bool = False
    _used_mib: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, facility: Facility, situations: Iterable[Situation]) -> "Seen":
        """Look through the situations, oldest first; hosts that the facility does not have are left out."""
        seen = cls()
        for situation in situations:
            seen.hears_swap_in |= situation.window.latest(DOMAIN_SWAP_IN_BYTES_PER_SECOND) is not None
            for observed in situation.hosts:
                if observed.host in facility.by_name:
                    seen._see(facility.host(observed.host), observed)
        return seen

    def used_mib(self) -> float | None:
        """What all Worker Nodes used, in the mean; ``None`` where one of the hosts does not tell."""
        if not self.newest or self._used_mib.keys() < self.newest.keys():
            return None
        return sum(float(np.mean(values)) for values in self._used_mib.values())

    def _see(self, host: Host, observed: HostObservation) -> None:
        there = {domain.name: domain for domain in observed.domains}
        if not there.keys() >= set(host.domain_names):
            return
        self.newest[host.name] = observed
        used = [there[wn.name].used_mib for wn in host.wns]
        told = [each for each in used if each is not None]
        if len(told) == len(used):
            self._used_mib.setdefault(host.name, []).append(sum(told))


def situations(entries: Iterable[Record | Unreadable]) -> Iterator[Situation]:
    """What decisions rest on, of those that can be read."""
    return (entry.decision.situation for entry in entries if isinstance(entry, Record))


def own_site(config: Config, seen: Seen, minutes: Minutes, price: Price, workers_per_session: int) -> ClosedLoop:
    """The site under its recorded load; raises ``UnseenError``."""
    jobs, split = minutes.jobs, split_of(len(minutes.loads))
    if not _known_enough(minutes.loads[split:]):
        raise UnseenError("how many sessions there were is unknown, or excluded, for more than half of the judged time")
    if jobs is None or not _known_enough(jobs[split:]):
        raise UnseenError("how many batch jobs ran (wn_running_jobs) is unknown for more than half of the judged time")
    came = arrivals(minutes.loads) + arrivals(jobs)
    if came > CAME_MOST:
        raise UnseenError(
            f"{came} sessions and jobs came by the counts: no more than {CAME_MOST} are played one by one"
        )
    machines = _machines(config.facility(), seen.newest, float(np.nanmax(jobs)))
    job_memory_mib, so_much_because = _job_memory_mib(machines, seen.used_mib(), jobs)
    limits = config.guards.limits()
    scenario = Scenario(
        machines,
        price,
        # The load is known minute by minute.
        interval=max(config.controller.interval, MINUTE),
        reading_age=min(READING_AGE, limits.fresh_for),
        limits=limits,
        unheard=() if seen.hears_swap_in else (DOMAIN_SWAP_IN_BYTES_PER_SECOND,),
    )
    notes = (
        _machines_note(machines),
        f"a batch job uses {job_memory_mib} MiB there, {so_much_because}",
        *_other_notes(config.facility(), scenario, float(np.isnan(jobs).mean())),
    )
    return ClosedLoop(scenario, OfCounts(workers_per_session, job_memory_mib), notes)


def _known_enough(values: Floats) -> bool:
    known = int(np.count_nonzero(~np.isnan(values)))
    return known > 0 and known >= KNOWN_LEAST * len(values)


def _machines(facility: Facility, newest: Mapping[str, HostObservation], jobs: float) -> tuple[Machine, ...]:
    """The hosts that were seen, with a slot for each core of their Worker Nodes, and for as many jobs as ever ran.

    Where that is more than the Worker Nodes' cores, each machine has slots by its share of the machines' cores.
    """
    found = []
    for host in facility.hosts:
        observed = newest.get(host.name)
        if observed is not None and observed.cores is not None:
            slots = sum(observed.domain(wn.name).vcpus for wn in host.wns)
            found.append(Machine(_host(host, observed), observed.cores, slots))
    if not found:
        raise UnseenError("no controller has stored a reading of one of these hosts, with its cores, in the last day")
    if len(found) < KNOWN_LEAST * len(facility.hosts):
        # The load is that of all of them.
        raise UnseenError(
            f"the last day has a reading, with cores, of only {len(found)} of {len(facility.hosts)} hosts"
        )
    each = jobs / max(1, sum(machine.cores for machine in found))
    return tuple(replace(one, job_slots=max(one.job_slots, math.ceil(each * one.cores))) for one in found)


def _host(host: Host, observed: HostObservation) -> Host:
    """The host with what it really has for guests; the model knows no PROOF domain that sleeps."""
    guests_mib = memory_for_guests_mib(host, observed) - observed.unmanaged_mib
    return replace(
        host,
        memory_total_mib=max(0, guests_mib) + host.memory_reserve_mib,
        proof=replace(host.proof, dormant_state=DomainState.RUNNING),
    )


def _machines_note(machines: Sequence[Machine]) -> str:
    hosts, cores = len(machines), sum(machine.cores for machine in machines)
    slots = sum(machine.job_slots for machine in machines)
    return f"played on a model of this site: {hosts} hosts, {cores} cores, {slots} batch jobs at once"


def _other_notes(facility: Facility, scenario: Scenario, unknown: float) -> Iterator[str]:
    """What else the model has not, because the site has not, or because it cannot."""
    there = {machine.host.name for machine in scenario.machines}
    if missing := [host.name for host in facility.hosts if host.name not in there]:
        yield f"left out, as no controller has stored a reading, with cores, in the last day: {', '.join(missing)}"
    for signal in scenario.unheard:
        yield f"{signal} is unknown there, as it was to the controller in the last day"
    if any(host.proof.dormant_state is not DomainState.RUNNING for host in facility.hosts):
        yield "a dormant PROOF domain runs on there, whatever dormant_state says"
    if unknown:
        yield f"how many batch jobs ran is unknown for {unknown:.1%} of the time, a line between what was known"


def _job_memory_mib(machines: Sequence[Machine], used_mib: float | None, jobs: Floats) -> tuple[int, str]:
    """What a batch job uses in the mean, at most so much that all that ever ran had room, and how that is known.

    Where Worker Nodes do not tell, or hardly a job runs, it is what they have for each of their slots.
    """
    bases_mib = sum(machine.wn_base_mib * len(machine.host.wns) for machine in machines)
    room_mib = max(0, sum(map(_wn_most_mib, machines)) - bases_mib)
    newest = jobs[-(LOOK_BACK // MINUTE) :]
    known = newest[~np.isnan(newest)]
    running = float(known.mean()) if len(known) else 0.0
    if used_mib is not None and running >= JOBS_LEAST * len(machines):
        mean_mib = min(round((used_mib - bases_mib) / running), int(room_mib / float(np.nanmax(jobs))))
        return max(0, mean_mib), "as the Worker Nodes of the last day did"
    share_mib = room_mib // max(1, sum(machine.job_slots for machine in machines))
    unknown = "Worker Nodes do not tell what they use" if used_mib is None else "hardly a job ran in the last day"
    return share_mib, f"its share of what Worker Nodes have at most: {unknown}"


def _wn_most_mib(machine: Machine) -> int:
    """What the Worker Nodes of a machine can have beside its dormant PROOF domain."""
    host = machine.host
    left_mib = (host.memory_total_mib or 0) - host.memory_reserve_mib - host.proof.dormant.memory_mib
    return min(sum(wn.memory_max_mib for wn in host.wns), left_mib)
