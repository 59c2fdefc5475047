"""A policy played over windows that were: cycle by cycle, with hosts that evolve by its own decisions."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from autoscaler.core.decide import decide
from autoscaler.core.rules import Rules
from autoscaler.core.situation import make_situation
from autoscaler.core.standing import too_small
from autoscaler.model import (
    Decision,
    DomainObservation,
    Facility,
    Host,
    HostObservation,
    HostState,
    HostTimers,
    Orders,
    Tuning,
    Window,
)
from autoscaler.simulation.evolve import after, remembered

NOTHING_SEEN: Mapping[str, HostObservation] = {}
NO_ORDERS = Orders()


class Replay:
    """One facility under one set of rules; it begins with these hosts and what was remembered of them.

    Every transfer is carried out at once and in full: no balloon is slow, and no guest swaps.
    """

    def __init__(
        self, facility: Facility, rules: Rules, hosts: Iterable[HostObservation], timers: Iterable[HostTimers] = ()
    ) -> None:
        self._facility = facility
        self._rules = rules
        self._known = {host.name: host for host in facility.hosts}
        self._hosts = {host.host: host for host in hosts}
        self._timers = {each.host: each for each in timers if each.host in self._hosts}
        self._newest: Decision | None = None

    def step(
        self,
        window: Window,
        seen: Mapping[str, HostObservation] = NOTHING_SEEN,
        orders: Orders = NO_ORDERS,
        tunings: tuple[Tuning, ...] = (),
    ) -> Decision:
        """Decide the next cycle, and let its transfers happen.

        ``seen`` is what was really observed then, by host: what batch jobs used does not follow from the policy, nor
        whether a host answered. ``orders`` and ``tunings`` are what people and alerts said then.
        """
        hosts = tuple(_shown(self._known[name], host, seen.get(name)) for name, host in self._hosts.items())
        situation = make_situation(
            window,
            hosts,
            self._timers.values(),
            orders=orders,
            tunings=tunings,
            before=self._newest,
            facility=self._facility,
            rules=self._rules,
        )
        decision = decide(situation, self._facility, self._rules)
        self._newest = decision
        self._hosts = {host.host: replace(host, state=HostState.READY, problem=None) for host in hosts}
        for transfer in decision.transfers:
            name = transfer.host
            self._hosts[name] = after(self._hosts[name], transfer)
            self._timers[name] = remembered(self._timers.get(name, HostTimers(name)), transfer, window.now)
        return decision


def _shown(host: Host, ours: HostObservation, seen: HostObservation | None) -> HostObservation:
    """Our host as a controller would see it: sizes and weights are ours, everything else is as it was seen."""
    if seen is not None and seen.domains:
        there = {domain.name: domain for domain in seen.domains}
        ours = replace(
            ours,
            domains=tuple(_with_use(domain, there.get(domain.name)) for domain in ours.domains),
            unmanaged_mib=seen.unmanaged_mib,
            memory_total_mib=seen.memory_total_mib,
            cores=seen.cores,
            control_mib=seen.control_mib,
        )
    unusable = seen.problem if seen is not None and seen.state is HostState.UNUSABLE else None
    problem = unusable or too_small(host, ours)
    return ours if problem is None else replace(ours, state=HostState.UNUSABLE, problem=problem)


def _with_use(ours: DomainObservation, seen: DomainObservation | None) -> DomainObservation:
    if seen is None:
        return ours
    return replace(
        ours,
        used_mib=seen.used_mib,
        memory_max_mib=seen.memory_max_mib,
        vcpus=seen.vcpus,
        cpu_time_s=seen.cpu_time_s,
    )
