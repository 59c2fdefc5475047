"""What was really seen and done, by the store: the course that a replay is held against, and where it begins."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from autoscaler.core.guards import unknown_reason
from autoscaler.core.situation import heard_in
from autoscaler.model import Facility, GuardLimits, Host, HostObservation, HostState, HostTimers, Orders, Tuning
from autoscaler.simulation.evolve import dormant, remembered
from autoscaler.simulation.side_by_side import Held, Moved, Stretch, held_after, proof_moved_mib
from autoscaler.store.records import Record, Unreadable

# How a host stood an hour ago says how it stands, unless somebody has moved it by hand.
LOOK_BACK = timedelta(hours=1)


class Past:
    """Follows the stored decisions as time goes on. ``lapse`` after the last one, nobody knows what was done.

    ``signals`` and ``limits`` say when the stored windows count as unknown. Hosts that ``facility`` does not have are
    left out, and named in ``strangers``.
    """

    def __init__(
        self,
        entries: Iterable[Record | Unreadable],
        facility: Facility,
        signals: tuple[str, ...],
        limits: GuardLimits,
        lapse: timedelta,
    ) -> None:
        self._entries = iter(entries)
        self._next = next(self._entries, None)
        self._proofs = {host.name: host.proof.name for host in facility.hosts}
        self._signals, self._limits, self._lapse = signals, limits, lapse
        self._last: Record | None = None
        self._held: Mapping[str, Held] = {}
        self._moved: list[Moved] = []
        self.seen: dict[str, HostObservation] = {}
        self.stood: dict[str, HostObservation] = {}
        self.timers: dict[str, HostTimers] = {}
        self.orders = Orders()
        self.tunings: tuple[Tuning, ...] = ()
        self.strangers: set[str] = set()
        self.unreadable: list[Unreadable] = []

    def move_to(self, at: datetime) -> Stretch | None:
        """What was done from the last time until now, and holds now; ``None`` when nobody knows.

        Afterwards ``seen`` is how each host was read last, ``stood`` the same without the times when it could not be
        read, and after what became of its transfer; ``timers`` what was remembered of it. ``orders`` are those of
        people and ``tunings`` those of alerts that are in force; where nobody knows what was done, there are none.
        """
        self._moved = []
        while self._next is not None and _at(self._next) <= at:
            if isinstance(self._next, Unreadable):
                self.unreadable.append(self._next)
            else:
                self._take(self._next)
            self._next = next(self._entries, None)
        self.orders, self.tunings = Orders(), ()
        if self._last is None or at - self._last.decision.at > self._lapse:
            return None
        situation = self._last.decision.situation
        self.orders, self.tunings = heard_in(situation, at)
        unknown = unknown_reason(situation.window, self._signals, self._limits) is not None
        return Stretch(self._held, tuple(self._moved), unknown)

    def _take(self, record: Record) -> None:
        self._last = record
        held = held_after(record.decision, self._held)
        self.strangers |= held.keys() - self._proofs.keys()
        self._held = {name: held[name] for name in held if name in self._proofs}
        situation = record.decision.situation
        self.timers = {each.host: each for each in situation.timers}
        for seen, after in zip(situation.hosts, record.hosts_after(), strict=True):
            if seen.host in self._proofs:
                self._see(seen, after)
        for transfer in record.decision.transfers:
            before = self.timers.get(transfer.host, HostTimers(transfer.host))
            self.timers[transfer.host] = remembered(before, transfer, record.decision.at)
            if transfer.host in self._proofs and transfer.workers_from != transfer.workers_to:
                self._moved.append(Moved(transfer.host, _moved_mib(record, transfer.host, self._proofs[transfer.host])))

    def _see(self, seen: HostObservation, after: HostObservation) -> None:
        if seen.domains or seen.state is HostState.UNUSABLE:
            self.seen[seen.host] = seen
        if after.domains:
            self.stood[seen.host] = after


def _at(entry: Record | Unreadable) -> datetime:
    return entry.at if isinstance(entry, Unreadable) else entry.decision.at


def _moved_mib(record: Record, host: str, proof: str) -> int:
    """What PROOF got or gave by the outcome; by the plan where the store knows no outcome."""
    outcome, decided = record.outcome(host), record.host(host)
    before = {domain.name: domain for domain in record.decision.situation.host(host).domains}
    after = {} if outcome is None else {domain.name: domain for domain in outcome.observed}
    if proof in before and proof in after:
        return abs(after[proof].allocation.memory_mib - before[proof].allocation.memory_mib)
    return 0 if decided is None or decided.transfer is None else proof_moved_mib(decided.transfer, proof)


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a facility stands when a replay begins, and in words what of it is assumed."""

    hosts: tuple[HostObservation, ...]
    timers: tuple[HostTimers, ...]
    assumed: tuple[str, ...]


def beginning(facility: Facility, past: Past) -> Beginning:
    """Each host as it last stood in the past; one that was not looked at is taken to be dormant."""
    hosts, assumed = [], []
    for host in facility.hosts:
        stood = past.stood.get(host.name)
        if stood is None or not _same_domains(host, stood):
            hosts.append(dormant(host))
            assumed.append(
                f"{host.name} begins without workers, its Worker Nodes with all the memory: the store has no reading "
                "of it from the hour before"
            )
            if any(wn.swap_down_to_mib is None for wn in host.wns):
                assumed.append(
                    f"{host.name}: what its Worker Nodes use is unknown until the store has a reading; nothing is "
                    "taken from one without swap_down_to meanwhile"
                )
        else:
            quiet = tuple(replace(domain, pressure=None) for domain in stood.domains)
            hosts.append(replace(stood, state=HostState.READY, problem=None, domains=quiet))
    timers = tuple(past.timers[host.name] for host in facility.hosts if host.name in past.timers)
    return Beginning(tuple(hosts), timers, tuple(assumed))


def _same_domains(host: Host, stood: HostObservation) -> bool:
    return {domain.name for domain in stood.domains} >= set(host.domain_names)
