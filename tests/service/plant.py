"""A facility of fake hosts under the real controller, with a clock and a load that the test moves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from autoscaler.contracts import DamagedStoreError, Hypervisor, Policy, StoreError
from autoscaler.core.rules import Rules
from autoscaler.model import Decision, Facility, GuardLimits, Host, HostDecision, Outcome
from autoscaler.service.controller import Controller, Cycle, Pace
from autoscaler.store.sql import SqlStore
from autoscaler.testing import A_SWAPPING_WN, NOW, FakeHost, SettableSource, a_host, observed
from policies.threshold import Threshold

MINUTE = timedelta(minutes=1)
POLICY = Threshold(workers_per_session=4, idle=5 * MINUTE)
LIMITS = GuardLimits(shrink_cooldown=timedelta(0))
PACE = Pace(host_timeout=timedelta(seconds=20), transfer_stall=timedelta(seconds=20))


def hosts_named(*names: str) -> Facility:
    """Hosts of the prototype's size whose Worker Nodes may swap."""
    return Facility(tuple(a_host(name, wns=(A_SWAPPING_WN,)) for name in names))


class EventStore(SqlStore):
    """The real store, telling in which order it was written and failing where a test wants it to."""

    def __init__(self, path: Path, events: list[str]) -> None:
        super().__init__(path)
        self._events = events
        self.fails_at: str | None = None
        self.damaged = False

    def record_decision(self, decision: Decision) -> int:
        """Write, and tell."""
        self._tell("decision")
        return super().record_decision(decision)

    def record_outcome(self, decision: int, outcome: Outcome) -> None:
        """Write, and tell."""
        self._tell(f"outcome {outcome.host}")
        super().record_outcome(decision, outcome)

    def record_asked(self, host: str, domain: str, memory_mib: int) -> None:
        """Write, and tell."""
        self._tell(f"asked {host}")
        super().record_asked(host, domain, memory_mib)

    def _tell(self, event: str) -> None:
        if self.damaged:
            raise DamagedStoreError("store /var/lib/x.sqlite: database disk image is malformed")
        if self.fails_at is not None and event.startswith(self.fails_at):
            raise StoreError("store /var/lib/x.sqlite: database or disk is full")
        self._events.append(event)


@dataclass
class Plant:
    """One facility; balloons move at once unless a test changes ``fakes``."""

    folder: Path
    facility: Facility
    policy: Policy = POLICY
    limits: GuardLimits = LIMITS
    pace: Pace = PACE
    connect: Callable[[Host], Hypervisor] | None = None
    with_model: Callable[[Rules], Rules] = lambda rules: rules
    on_decision: Callable[[int, Decision], None] = lambda _number, _decision: None
    on_outcome: Callable[[Outcome], None] = lambda _: None
    now: datetime = NOW
    source: SettableSource = field(default_factory=SettableSource)
    events: list[str] = field(default_factory=list)
    fakes: dict[str, FakeHost] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for host in self.facility.hosts:
            fake = FakeHost.of(observed(host), speed_mib=10_000)
            self.fakes[host.name] = fake
            fake.before_call = lambda call, host=host, fake=fake: self._before(host.name, fake, call)
        self.store = EventStore(self.folder / "decisions.sqlite", self.events)
        self.controller = self.start()

    def start(self) -> Controller:
        """Start a controller, as a restart does."""
        self.controller = Controller(
            facility=self.facility,
            rules=Rules(self.policy, self.limits),
            source=self.source,
            connect=self.connect or (lambda host: self.fakes[host.name]),
            store=self.store,
            pace=self.pace,
            clock=lambda: self.now,
            with_model=self.with_model,
            on_decision=self.on_decision,
            on_outcome=self.on_outcome,
        )
        return self.controller

    def _before(self, host: str, fake: FakeHost, call: str) -> None:
        fake.step()
        self.events.append(f"{call} {host}")

    def cycle(self) -> Cycle:
        """One cycle, its transfers finished, and a minute gone."""
        done = self.controller.cycle()
        self.controller.settle()
        self.now += MINUTE
        return done

    def cycles(self, number: int) -> Cycle:
        """Several cycles; return the last."""
        for _ in range(number - 1):
            self.cycle()
        return self.cycle()

    def workers(self) -> dict[str, int]:
        """The workers each host has, by the memory of its PROOF domain."""
        return {name: (fake.domains["proof"].memory_mib - 572) // 792 for name, fake in self.fakes.items()}

    def writes(self) -> list[str]:
        """The calls that change a host."""
        return [event for event in self.events if event.startswith("set_")]

    def close(self) -> None:
        """Stop, and let go of the store."""
        self.controller.stop()
        self.store.close()


def decided(cycle: Cycle, host: str) -> HostDecision:
    """What a cycle decided for a host."""
    return next(decision for decision in cycle.decision.hosts if decision.host == host)
