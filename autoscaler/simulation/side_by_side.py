"""Two courses of one facility beside each other: what each came to, and the moments where they differ."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from autoscaler.model import Decision, StepKind, Transfer


@dataclass(frozen=True, slots=True)
class Held:
    """The workers that a host is granted, and why; ``None`` while nobody knows."""

    workers: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A transfer of one host, and how much memory its PROOF domain got or gave by it."""

    host: str
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """One course from one cycle to the next. ``unknown``: a signal that the policy needs was unknown."""

    held: Mapping[str, Held]
    moved: tuple[Moved, ...] = ()
    unknown: bool = False


@dataclass(slots=True)
class Tally:
    """What one course came to on one host; awake is with at least one worker."""

    changes: int = 0
    moved_mib: int = 0
    granted_worker_s: float = 0.0
    awake_s: float = 0.0


@dataclass(slots=True)
class Course:
    """What one course came to so far: host by host, how long it is known, and how long its signals were unknown."""

    hosts: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    known_s: float = 0.0
    unknown_signals_s: float = 0.0

    def add(self, stretch: Stretch | None, duration: timedelta) -> None:
        """Count a stretch; ``None`` is one of which nothing is known."""
        if stretch is None:
            return
        seconds = duration.total_seconds()
        self.known_s += seconds
        self.unknown_signals_s += seconds if stretch.unknown else 0.0
        for host, held in stretch.held.items():
            self.hosts[host].granted_worker_s += (held.workers or 0) * seconds
            self.hosts[host].awake_s += seconds if held.workers else 0.0
        for moved in stretch.moved:
            self.hosts[moved.host].changes += 1
            self.hosts[moved.host].moved_mib += moved.memory_mib

    @property
    def total(self) -> Tally:
        """All hosts together."""
        hosts = self.hosts.values()
        return Tally(
            sum(host.changes for host in hosts),
            sum(host.moved_mib for host in hosts),
            sum(host.granted_worker_s for host in hosts),
            sum(host.awake_s for host in hosts),
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in which a host is granted different workers by two courses; the reasons are those of its beginning."""

    host: str
    begin: datetime
    end: datetime
    one: Held
    two: Held


class Moments:
    """Finds the moments where two courses differ, cycle after cycle; neighbouring cycles that differ alike are one."""

    def __init__(self) -> None:
        self._open: dict[str, Moment] = {}

    def add(self, at: datetime, one: Stretch | None, two: Stretch | None) -> Iterator[Moment]:
        """Look at the next cycle; yield the moments that are over."""
        held = {} if one is None or two is None else _different(one.held, two.held)
        for host in list(self._open):
            moment = self._open[host]
            there = held.get(host)
            if there is None or (there[0].workers, there[1].workers) != (moment.one.workers, moment.two.workers):
                del self._open[host]
                yield Moment(host, moment.begin, at, moment.one, moment.two)
        for host, (first, second) in held.items():
            self._open.setdefault(host, Moment(host, at, at, first, second))

    def end(self, at: datetime) -> Iterator[Moment]:
        """Yield the moments that last to the end."""
        yield from self.add(at, None, None)


def _different(one: Mapping[str, Held], two: Mapping[str, Held]) -> dict[str, tuple[Held, Held]]:
    both = {host: (held, two[host]) for host, held in one.items() if host in two}
    return {
        host: (first, second)
        for host, (first, second) in both.items()
        if None not in (first.workers, second.workers) and first.workers != second.workers
    }


def held_after(decision: Decision, before: Mapping[str, Held]) -> dict[str, Held]:
    """What each host is granted from this decision on; one that it leaves alone has what it was granted ``before``."""
    return {
        host.host: Held(before[host.host].workers if host.host in before else None, host.reason)
        if host.granted is None
        else Held(host.granted, host.reason)
        for host in decision.hosts
    }


def proof_moved_mib(transfer: Transfer, proof: str) -> int:
    """How much memory a transfer gives to the PROOF domain, or takes from it."""
    memory = (StepKind.SHRINK, StepKind.GROW)
    steps = [step for step in transfer.steps if step.kind in memory and step.domain == proof]
    return sum(abs(step.after.memory_mib - step.before.memory_mib) for step in steps)
