"""A host on which anything goes wrong at any instant, and which checks the laws of the engine at every one of them.

An *instant* is before and after each call of the hypervisor and each entry into the ledger, and each wait. At an
instant a fault may come, or somebody else's hand. Balloons move between the instants too.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

from autoscaler.contracts import HypervisorError, StoreError
from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from autoscaler.core.decide import decide
from autoscaler.core.quarantine import after, tried
from autoscaler.core.rules import Rules
from autoscaler.hypervisors.transfer import Edges, carry_out
from autoscaler.model import (
    Decision,
    DomainObservation,
    DomainState,
    Facility,
    GuardLimits,
    Host,
    HostObservation,
    HostReading,
    HostState,
    HostTimers,
    Outcome,
    Situation,
    Transfer,
    Window,
    WnDomain,
)
from autoscaler.testing import NOW, FakeDomain, FakeHost, observed
from policies.static import Static

# What a call that hangs takes, and after how many instants one takes effect that the server had put off.
HUNG_STEPS = 30
LATE_INSTANTS = 7

# A guest that was asked to shut down, and obeys.
SHUTDOWN_STEPS = 4

# So much of everything was lived through; ``python -m tests.hypervisors.test_transfer_machine`` shows it.
TOTALS: Counter[str] = Counter()


class CrashError(BaseException):
    """The controller dies here; nothing that it does to survive an exception may help it."""


class Fault(Enum):
    """What may happen to the controller at an instant."""

    ERROR = "the call, or the entry, is refused, or its reply is lost"
    HUNG = "as an error, after a long time"
    LATE = "as an error, and the call takes effect later"
    CRASH = "the controller dies"


class Act(Enum):
    """What may happen to a host and its guests."""

    SET_MEMORY = "virsh setmem"
    SET_WEIGHT = "virsh schedinfo"
    SUSPEND = "virsh suspend"
    RESUME = "virsh resume"
    SAVE = "virsh managedsave"
    SHUT_OFF = "virsh destroy"
    START = "virsh start"
    REBOOT = "the guest reboots, its balloon is empty"
    REBOOT_TO_TARGET = "as before, and its driver fills the balloon again"
    STRANGER = "a domain that is not ours appears, grows, shrinks or vanishes"
    USE = "the guest uses more or less memory"
    HOT = "the guest needs its memory: squeezed below that, it reads back from its swap"
    STUCK = "the balloon moves no more, calls succeed"
    STOPS = "the balloon gets no further than this"
    LIES = "the balloon shows what it was asked for, and does not move"
    SILENT = "the guest makes no reports"
    WELL = "its balloon moves, it tells the truth, and it makes reports"


@dataclass(frozen=True)
class Event:
    """An act, the number of the domain that it happens to, and how much."""

    act: Act
    domain: int
    mib: int


@dataclass
class ChaosDomain(FakeDomain):
    """A fake domain that lies, and of which it is known whose hand set its target.

    ``least_mib`` is where its balloon stops, ``late_mib`` what it was asked for by calls that did not take effect yet.
    """

    starts_full: bool = False
    stuck: bool = False
    lies: bool = False
    silent: bool = False
    least_mib: int = 0
    by_hand: bool = False
    late_mib: list[int] = field(default_factory=list)
    shuts_down_in: int | None = None

    @property
    def shown_mib(self) -> int:
        """What the hypervisor shows."""
        return self.target_mib if self.lies and self.state.holds_memory else self.memory_mib

    @property
    def taken_mib(self) -> int:
        """The larger of what is shown and what we asked for; nobody can see what somebody else asked for."""
        ours_mib = [] if self.by_hand else [self.target_mib]
        return max([self.shown_mib, *ours_mib, *self.late_mib])

    def report(self) -> None:
        """Let a second pass in the guest."""
        if not self.silent:
            super().report()

    def set_by_hand(self, memory_mib: int, target_mib: int) -> None:
        """Have a size and go to another, as somebody else wants it."""
        self.memory_mib, self.target_mib, self.by_hand = memory_mib, target_mib, True

    def fall_asleep(self, state: DomainState, start_mib: int) -> None:
        """Hold what the state holds."""
        self.state, self.shuts_down_in = state, None
        if not state.holds_memory:
            self.start_mib, self.memory_mib, self.target_mib = start_mib, 0, 0
            self.swap_in_mib = self.swap_out_mib = 0.0
            self.late_mib.clear()

    def heal(self) -> None:
        """Be an honest guest with a working driver."""
        self.stuck = self.lies = self.silent = False
        self.least_mib = self.hot_mib = 0


@dataclass
class Chaos:
    """What is to happen in one cycle, by the number of the instant; ``stop_after`` so many waits, it is stopped."""

    happenings: Mapping[int, Fault | Event] = field(default_factory=dict)
    stop_after: int | None = None
    speed_mib: int = 777


class ChaosHost(FakeHost):
    """A fake host with faults; the laws are checked at every instant."""

    host: Host
    limit_mib: int
    ledger: dict[str, int]
    chaos: Chaos
    instant = 0
    settles_short_mib = 0
    seen: HostReading
    _late: dict[str, int]
    _most_mib: int
    _not_ours_mib = 0
    _waits = 0
    _under_way = False

    @classmethod
    def at_rest(cls, host: Host, seen: HostObservation, **changes: object) -> "ChaosHost":
        """A host as observed, with an empty ledger; ``changes`` are of every domain."""
        domains = {
            domain.name: ChaosDomain(
                domain.allocation.memory_mib,
                domain.allocation.memory_mib,
                domain.allocation.cpu_weight,
                domain.allocation.cpu_cap_cores,
                domain.used_mib,
                **changes,  # type: ignore[arg-type]
            )
            for domain in seen.domains
        }
        fake = cls(dict(domains), unmanaged_mib=seen.unmanaged_mib)
        fake.host, fake.ledger, fake.chaos, fake._late = host, {}, Chaos(), {}
        fake.limit_mib = (host.memory_total_mib or 0) - host.memory_reserve_mib
        fake.look()
        return fake

    @property
    def taken_mib(self) -> int:
        """The sum of the invariant."""
        return self.unmanaged_mib + sum(domain.taken_mib for domain in self._all)

    def step(self) -> None:
        """Let time pass; a balloon may come to rest some pages before its target."""
        for domain in self._all:
            before_mib = self.taken_mib
            self._move(domain)
            self._blame_others_since(before_mib)
            domain.report()
            if domain.shuts_down_in is not None:
                domain.shuts_down_in -= 1
                if domain.shuts_down_in <= 0:
                    self._fall_asleep(domain, DomainState.SHUT_OFF)
        self.check_laws()

    def read(self) -> HostReading:
        """The present state; what the engine knows from now on."""
        reading = super().read()
        self.look()
        return reading

    def look(self) -> None:
        """Take note of what is there: the engine is not to make it worse."""
        self.seen = HostReading(tuple(self._observe(name, self._domain(name)) for name in self.domains))
        self._most_mib, self._not_ours_mib = max(self.limit_mib, self.taken_mib), 0

    def set_memory(self, domain: str, memory_mib: int) -> None:
        """Set the target; the reply may be lost, the call may take effect later."""
        self._check_ask(domain, memory_mib)
        self._take_effect(domain)
        if self.chaos.happenings.get(self.instant + 1) is Fault.LATE and self._domain(domain).state.holds_memory:
            self._domain(domain).late_mib.append(memory_mib)
            self._late[domain] = self.instant + LATE_INSTANTS
        self._call(f"set_memory {domain} {memory_mib}")
        self._set_memory(domain, memory_mib)
        self.pass_instant(HypervisorError(f"fake: {domain}: the reply was lost"))

    def set_cpu(self, domain: str, weight: int, cap_cores: float | None) -> None:
        """Set weight and cap; the reply may be lost."""
        wn = self._wn(domain)
        if wn is not None and weight < wn.cpu_weight_floor:
            assert weight >= self._domain(domain).cpu_weight, f"{domain}: weight {weight} is below its floor"
        super().set_cpu(domain, weight, cap_cores)
        self.pass_instant(HypervisorError(f"fake: {domain}: the reply was lost"))

    def wake(self, domain: str) -> None:
        """Let a domain run; the reply may be lost."""
        found, before_mib = self._domain(domain), self.taken_mib
        super().wake(domain)
        if not self._seen(domain).state.holds_memory:
            found.by_hand = False
        else:
            # It was to be resumed, and is started if somebody has shut it off since the engine looked.
            self._blame_others_since(before_mib)
        self.pass_instant(HypervisorError(f"fake: {domain}: the reply was lost"))

    def sleep(self, domain: str, state: DomainState) -> None:
        """Let a domain sleep, or begin to shut down; the reply may be lost."""
        assert domain == self.host.proof.name, f"{domain} is no PROOF domain"
        shown_mib = self._seen(domain).allocation.memory_mib
        most_mib = self.host.proof.dormant.memory_mib + BALLOON_TOLERANCE_MIB
        assert shown_mib <= most_mib, f"{domain} is to sleep with {shown_mib} MiB"
        self._call(f"sleep {domain} {state.value}")
        found = self._domain(domain)
        if found.state is not DomainState.RUNNING:
            raise HypervisorError(f"fake: {domain}: Requested operation is not valid: domain is not running")
        if state is DomainState.SHUT_OFF:
            found.shuts_down_in = SHUTDOWN_STEPS
        else:
            self._fall_asleep(found, state)
        self.pass_instant(HypervisorError(f"fake: {domain}: the reply was lost"))

    def record_asked(self, domain: str, memory_mib: int) -> None:
        """Write the ledger; the store may fail before or after it has written."""
        self.pass_instant(StoreError("fake: disk I/O error"))
        self.ledger[domain] = memory_mib
        self.pass_instant(StoreError("fake: disk I/O error"))

    def wait(self, _seconds: float) -> bool:
        """Let time pass for the engine; returns whether the controller is stopping."""
        self._waits += 1
        self.step()
        # A wait cannot fail, but much can happen meanwhile, the end of the controller too.
        self.pass_instant(None)
        return self.chaos.stop_after is not None and self._waits >= self.chaos.stop_after

    def begin(self, chaos: Chaos) -> None:
        """Begin a cycle with its own faults."""
        self.chaos, self.speed_mib, self.instant, self._waits, self._under_way = chaos, chaos.speed_mib, 0, 0, True

    def end(self) -> None:
        """No faults until the next cycle."""
        self._under_way = False

    def suffer(self, event: Event) -> None:
        """Let somebody else do something, and do not blame the engine for it."""
        before_mib = self.taken_mib
        self._apply(event)
        self._blame_others_since(before_mib)
        self.check_laws()

    def heal(self) -> None:
        """Faults stop."""
        before_mib = self.taken_mib
        for name in self.domains:
            self._take_effect(name)
            self._domain(name).heal()
        self._blame_others_since(before_mib)

    def pass_instant(self, error: Exception | None) -> None:
        """Check the laws, let some time pass, and let come what is due."""
        self.check_laws()
        self.instant += 1
        TOTALS["instants"] += 1
        if self.instant % 3 == 0:
            self.step()
        for name in [name for name, due in self._late.items() if due <= self.instant]:
            self._take_effect(name)
        match self.chaos.happenings.get(self.instant):
            case Event() as event:
                self.suffer(event)
            case Fault.CRASH:
                raise CrashError
            case Fault.HUNG if error is not None:
                for _ in range(HUNG_STEPS):
                    self.step()
                raise error
            case Fault.ERROR | Fault.LATE if error is not None:
                raise error

    def check_laws(self) -> None:
        """The host sum holds, and no domain is on its way to more than the ledger says, by our hand."""
        most_mib = self._most_mib + self._not_ours_mib
        assert self.taken_mib <= most_mib, (self.taken_mib, most_mib, self.calls[-5:], self.domains)
        for name, domain in self.domains.items():
            known_mib = max(domain.memory_mib, self._domain(name).shown_mib, self.ledger.get(name, 0))
            assert self._domain(name).by_hand or domain.target_mib <= known_mib, (name, domain, self.ledger)

    def observation(self) -> HostObservation:
        """Read the host without faults, with the ledger, as a cycle does."""
        reading = super().read()
        self.look()
        with_asked = tuple(replace(domain, asked_mib=self.ledger.get(domain.name)) for domain in reading.domains)
        return HostObservation(self.host.name, HostState.READY, with_asked, reading.unmanaged_mib)

    @property
    def _all(self) -> list[ChaosDomain]:
        return [self._domain(name) for name in self.domains]

    def _domain(self, name: str) -> ChaosDomain:
        found = self._find(name)
        assert isinstance(found, ChaosDomain)
        return found

    def _seen(self, name: str) -> DomainObservation:
        return next(domain for domain in self.seen.domains if domain.name == name)

    def _wn(self, name: str) -> WnDomain | None:
        return next((wn for wn in self.host.wns if wn.name == name), None)

    def _observe(self, name: str, domain: FakeDomain) -> DomainObservation:
        """As a guest says it: it uses no more than it has."""
        seen = super()._observe(name, domain)
        shown_mib, silent = self._domain(name).shown_mib, self._domain(name).silent
        used_mib = None if silent or seen.used_mib is None else min(seen.used_mib, domain.memory_mib)
        return replace(seen, allocation=replace(seen.allocation, memory_mib=shown_mib), used_mib=used_mib)

    def _call(self, call: str) -> None:
        super()._call(call)
        if self._under_way:
            self.pass_instant(HypervisorError(f"fake: {call}: refused"))

    def _check_ask(self, name: str, memory_mib: int) -> None:
        """A Worker Node is not asked for less than its floors, by what was last read of it."""
        wn, seen = self._wn(name), self._seen(name)
        if wn is None:
            return
        present_mib, used_mib = seen.allocation.memory_mib, seen.used_mib
        if wn.swap_down_to_mib is not None:
            needs_mib = min(wn.swap_down_to_mib if used_mib is None else used_mib, wn.swap_down_to_mib)
        else:
            needs_mib = present_mib if used_mib is None else used_mib + wn.memory_margin_mib // 2
        least_mib = min(present_mib, max(wn.memory_floor_mib, needs_mib))
        assert memory_mib >= least_mib, f"{name} is asked for {memory_mib} MiB, its floor is {least_mib} MiB: {seen}"

    def _set_memory(self, name: str, memory_mib: int) -> None:
        found = self._domain(name)
        if not found.state.holds_memory:
            raise HypervisorError(f"fake: {name}: Requested operation is not valid: domain is not running")
        if memory_mib > self.memory_max_mib:
            raise HypervisorError(f"fake: {name}: cannot set memory higher than max memory")
        found.target_mib, found.by_hand = memory_mib, False

    def _take_effect(self, name: str) -> None:
        """Calls to one domain take effect in their order."""
        self._late.pop(name, None)
        domain = self._domain(name)
        for memory_mib in domain.late_mib:
            domain.target_mib, domain.by_hand = memory_mib, False
        domain.late_mib.clear()

    def _move(self, domain: ChaosDomain) -> None:
        way = max(domain.target_mib, min(domain.least_mib, domain.memory_mib)) - domain.memory_mib
        if domain.stuck or domain.lies or not domain.moves or abs(way) <= self.settles_short_mib:
            return
        way -= self.settles_short_mib if way > 0 else -self.settles_short_mib
        domain.memory_mib += max(-self.speed_mib, min(self.speed_mib, way))

    def _fall_asleep(self, domain: ChaosDomain, state: DomainState) -> None:
        full = domain.starts_full and state is DomainState.SHUT_OFF
        domain.fall_asleep(state, self.memory_max_mib if full else domain.memory_mib)

    def _blame_others_since(self, before_mib: int) -> None:
        self._not_ours_mib += max(0, self.taken_mib - before_mib)

    def _apply(self, event: Event) -> None:
        name = list(self.domains)[event.domain % len(self.domains)]
        domain = self._domain(name)
        match event.act:
            case Act.STRANGER:
                self.unmanaged_mib = event.mib // 4
            case Act.USE:
                domain.used_mib = event.mib
            case Act.HOT:
                domain.hot_mib = event.mib
            case Act.STUCK:
                domain.stuck = True
            case Act.STOPS:
                domain.least_mib = event.mib
            case Act.LIES:
                domain.lies = True
            case Act.SILENT:
                domain.silent = True
            case Act.WELL:
                domain.heal()
            case _:
                self._command(event, name)

    def _command(self, event: Event, name: str) -> None:
        """What an administrator does with virsh, or a guest with its power."""
        domain, running = self._domain(name), self._domain(name).moves
        match event.act:
            case Act.SET_WEIGHT:
                domain.cpu_weight = 1 + event.mib // 10
            case Act.SET_MEMORY if domain.state.holds_memory:
                self._take_effect(name)
                domain.set_by_hand(domain.memory_mib, event.mib)
            case Act.REBOOT if running:
                domain.set_by_hand(self.memory_max_mib, self.memory_max_mib)
            case Act.REBOOT_TO_TARGET if running:
                domain.set_by_hand(self.memory_max_mib, domain.target_mib)
            case Act.SUSPEND if running:
                self._fall_asleep(domain, DomainState.PAUSED)
            case Act.SAVE if running:
                self._fall_asleep(domain, DomainState.SAVED)
            case Act.SHUT_OFF if domain.state.holds_memory:
                self._fall_asleep(domain, DomainState.SHUT_OFF)
            case Act.RESUME if domain.state is DomainState.PAUSED:
                domain.state = DomainState.RUNNING
            case Act.START if not domain.state.holds_memory:
                domain.state = DomainState.RUNNING
                domain.set_by_hand(domain.start_mib, domain.start_mib)


@dataclass
class Life:
    """Cycle after cycle of one host, with what the store remembers; each may be the life of another controller."""

    fake: ChaosHost
    now: datetime = NOW
    timers: HostTimers = field(default_factory=lambda: HostTimers("host-1"))

    @property
    def host(self) -> Host:
        """The host as configured."""
        return self.fake.host

    def decide(self, workers: int) -> Decision:
        """Decide as a cycle does, with the real guards, that so many workers are wanted."""
        rules = Rules(Static(workers), GuardLimits(shrink_cooldown=timedelta(0)))
        situation = Situation(Window(self.now), (self.fake.observation(),), (self.timers,))
        return decide(situation, Facility((self.host,)), rules)

    def cycle(self, workers: int, chaos: Chaos, passed: timedelta = timedelta(minutes=5)) -> Outcome | None:
        """Decide, carry out, remember; return the outcome, ``None`` after a crash or without a transfer."""
        self.now += passed
        decision = self.decide(workers)
        assert decision.error is None, decision.error
        return self.carry_out(decision.transfers[0], chaos) if decision.transfers else None

    def carry_out(self, transfer: Transfer, chaos: Chaos) -> Outcome | None:
        """Carry out one transfer; return its outcome, ``None`` after a crash."""
        TOTALS["transfers"] += 1
        self.fake.begin(chaos)
        edges = Edges(lambda: self.now, self.fake.wait, self.fake.record_asked, stall=timedelta(seconds=4))
        try:
            outcome = carry_out(transfer, self.fake, dict(self.fake.ledger), edges)
        except CrashError:
            return None
        finally:
            self.fake.end()
        if outcome.strained not in (None, self.host.proof.name):
            self.timers = replace(self.timers, strained_at=outcome.ended_at)
        self.timers = replace(self.timers, quarantine=after(outcome, tried(transfer), self.timers.quarantine))
        return outcome

    def rest(self, steps: int = 100) -> None:
        """Let balloons come to rest."""
        for _ in range(steps):
            self.fake.step()


def a_life(host: Host, workers: int = 0, wn_used_mib: int = 500, **changes: object) -> Life:
    """A host at rest with so many workers."""
    return Life(ChaosHost.at_rest(host, observed(host, workers=workers, wn_used_mib=wn_used_mib), **changes))
