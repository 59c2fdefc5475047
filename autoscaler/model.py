"""The values everything speaks: frozen, typed, units in the names.

Nothing here reads a clock or does I/O. The *worker* (one PROOF worker slot with its memory and its core) is the only
currency of demand. Missing is ``None``, never 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from autoscaler.value import Value

# Signals the built-in policies read. A site may configure more of them for its own policies.
PROOF_QUEUED_SESSIONS = "proof_queued_sessions"
PROOF_RUNNING_SESSIONS = "proof_running_sessions"
WN_RUNNING_JOBS = "wn_running_jobs"
XROOTD_READ_BYTES_PER_SECOND = "xrootd_read_bytes_per_second"
DOMAIN_SWAP_IN_BYTES_PER_SECOND = "domain_swap_in_bytes_per_second"


class Allocation(Value, frozen=True):
    """What one domain has.

    ``cpu_weight`` is on Xen's credit scale (256 is the default); ``cpu_cap_cores`` is in cores, ``None`` = no cap.
    """

    memory_mib: int
    cpu_weight: int
    cpu_cap_cores: float | None = None

    def resized(self, memory_mib: int) -> "Allocation":
        """The same CPU with another memory."""
        return Allocation(memory_mib, self.cpu_weight, self.cpu_cap_cores)


class DomainState(StrEnum):
    """What a domain does, in libvirt's words; ``saved`` is shut off with a managed save image, ``absent`` unknown."""

    RUNNING = "running"
    PAUSED = "paused"
    SAVED = "saved"
    SHUT_OFF = "shut_off"
    ABSENT = "absent"

    @property
    def holds_memory(self) -> bool:
        """Whether the hypervisor holds memory for the domain."""
        return self in _HOLDING_MEMORY

    @property
    def in_words(self) -> str:
        """As libvirt says it."""
        return self.value.replace("_", " ")


# Asked for every host that is to change, and slow to look up in the enumeration.
_HOLDING_MEMORY = (DomainState.RUNNING, DomainState.PAUSED)


class ProofDomain(Value, frozen=True):
    """The PROOF domain of a host, as configured. Zero workers means ``dormant``.

    ``dormant_state`` is what it does then: run on, or be paused, saved or shut off until it is wanted.
    """

    name: str
    dormant: Allocation
    memory_per_worker_mib: int
    workers_min: int
    workers_max: int
    cpu_weight_awake: int
    dormant_state: DomainState = DomainState.RUNNING


class WnDomain(Value, frozen=True):
    """A Worker Node domain of a host, as configured.

    ``cpu_weight`` holds while PROOF is dormant, ``cpu_weight_yielding`` and ``cpu_cap_cores_yielding`` while PROOF has
    workers, but never less than ``cpu_weight_floor`` and ``cpu_cap_floor_cores``. The Worker Node never gets less than
    ``memory_floor_mib``, nor less than what it uses plus ``memory_margin_mib``; only where ``swap_down_to_mib`` is set
    may it be squeezed below that, down to there.
    """

    name: str
    memory_floor_mib: int
    memory_max_mib: int
    memory_margin_mib: int
    swap_down_to_mib: int | None
    cpu_weight: int
    cpu_weight_yielding: int
    cpu_cap_cores_yielding: float | None = None
    cpu_weight_floor: int = 16
    cpu_cap_floor_cores: float = 0.5


class Host(Value, frozen=True):
    """One hypervisor with its PROOF domain and its Worker Node domains; ``uri`` is libvirt's.

    ``memory_total_mib`` is ``None`` where what the host itself says is to count; the reserves are for Domain-0, or for
    the host's own system.
    """

    name: str
    uri: str
    memory_total_mib: int | None
    memory_reserve_mib: int
    proof: ProofDomain
    wns: tuple[WnDomain, ...]
    cpu_reserve_cores: float = 0.0

    @property
    def domain_names(self) -> tuple[str, ...]:
        """The PROOF domain first, then the Worker Nodes."""
        return (self.proof.name, *(wn.name for wn in self.wns))


@dataclass(frozen=True, slots=True)
class Facility:
    """The site's set of hypervisors, also ``by_name``."""

    hosts: tuple[Host, ...]
    by_name: Mapping[str, Host] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Look through the hosts once: every cycle asks for each of them."""
        object.__setattr__(self, "by_name", {host.name: host for host in self.hosts})

    def host(self, name: str) -> Host:
        """Return the host called ``name``; raises ``KeyError``."""
        return self.by_name[name]


class Sample(Value, frozen=True):
    """One reading of a signal; ``value`` is ``None`` where nothing is known."""

    at: datetime
    value: float | None


class Series(Value, frozen=True):
    """One signal's history, oldest first.

    ``fresh_at`` is when the newest value was true at its origin (not when it was asked for); ``problem`` says in words
    why the newest value is missing.
    """

    signal: str
    samples: tuple[Sample, ...] = ()
    fresh_at: datetime | None = None
    problem: str | None = None

    @property
    def latest(self) -> float | None:
        """The newest value, ``None`` when unknown."""
        return self.samples[-1].value if self.samples else None

    def age(self, now: datetime) -> timedelta | None:
        """How old the newest value is, ``None`` when there is none."""
        if self.latest is None or self.fresh_at is None:
            return None
        return now - self.fresh_at


# What a decision says of its model whose policies take one and had none.
NO_MODEL = "none"

# What a policy wants to know again in the next cycle: numbers by name.
Memory = Mapping[str, tuple[float | None, ...]]


class Window(Value, frozen=True):
    """The metric history up to ``now``, and what the policy remembered in the cycle before: what a policy sees."""

    now: datetime
    series: tuple[Series, ...] = ()
    memory: Memory = msgspec.field(default_factory=dict)

    def signal(self, name: str) -> Series:
        """Return the series of a signal; one that was not read is an empty series with its problem."""
        for series in self.series:
            if series.signal == name:
                return series
        return Series(name, problem=f"signal {name} is not configured")

    def latest(self, name: str) -> float | None:
        """Return the newest value of a signal, ``None`` when unknown."""
        return self.signal(name).latest


class Demand(Value, frozen=True):
    """How many workers a policy wants in the whole facility, and why.

    ``workers=None`` means *hold*: the policy does not know, every host keeps what it has. With ``may_shrink=False`` it
    means *at least* so many: the policy knows enough to grow, but not enough to take something away.
    """

    workers: int | None
    reason: str
    may_shrink: bool = True


class Pressure(Value, frozen=True):
    """How near a guest is to swapping, by its own last report, which it made at ``told_at_s`` (Unix seconds).

    ``usable_mib`` of ``total_mib`` is its MemAvailable; swap and major page faults are counted since its boot.
    """

    told_at_s: float
    total_mib: int
    usable_mib: int
    swap_in_mib: float
    swap_out_mib: float
    major_faults: int


class DomainObservation(Value, frozen=True):
    """One domain as read back from its hypervisor.

    ``used_mib`` is what the guest itself says it uses (``None``: it says nothing; the balloon size is not use).
    ``asked_mib`` is the balloon size last asked for, if it may not have been reached yet. ``start_mib`` is what a
    domain that holds no memory now will hold at once when it is started.
    """

    name: str
    allocation: Allocation
    memory_max_mib: int
    vcpus: int
    cpu_time_s: float
    used_mib: int | None = None
    asked_mib: int | None = None
    state: DomainState = DomainState.RUNNING
    start_mib: int = 0
    pressure: Pressure | None = None

    @property
    def committed_mib(self) -> int:
        """Memory that counts as taken: the larger of what is observed and what was asked for."""
        has, asked = self.allocation.memory_mib, self.asked_mib
        return has if asked is None or asked < has else asked


class HostReading(Value, frozen=True):
    """One host as its hypervisor shows it: our domains in the order of their configuration, and the host itself.

    ``unmanaged_mib`` is the memory of running domains that are not ours, ``control_mib`` that of Domain-0 (0 where
    there is none). ``memory_total_mib`` and ``cores`` are the machine's, ``None`` where it does not say.
    """

    domains: tuple[DomainObservation, ...]
    unmanaged_mib: int = 0
    memory_total_mib: int | None = None
    cores: int | None = None
    control_mib: int = 0


class HostState(StrEnum):
    """Whether a host can take part in this cycle; a late one may in the next."""

    READY = "ready"
    LATE = "late"
    MOVING = "moving"
    UNUSABLE = "unusable"


class HostObservation(Value, frozen=True):
    """One host as read back.

    ``problem`` says why the host is unusable, or what of a usable one is out of order; ``moving_to_workers`` is the
    goal of the transfer that still runs; the other fields are those of ``HostReading``, of a late host those of its
    last one.
    """

    host: str
    state: HostState
    domains: tuple[DomainObservation, ...] = ()
    unmanaged_mib: int = 0
    problem: str | None = None
    moving_to_workers: int | None = None
    memory_total_mib: int | None = None
    cores: int | None = None
    control_mib: int = 0

    def domain(self, name: str) -> DomainObservation:
        """Return the domain called ``name``; raises ``KeyError``."""
        for domain in self.domains:
            if domain.name == name:
                return domain
        raise KeyError(name)

    @property
    def committed_mib(self) -> int:
        """Memory taken by all domains of the host, ours and others."""
        return self.unmanaged_mib + sum([domain.committed_mib for domain in self.domains])


class Quarantine(Value, frozen=True):
    """A domain whose balloon did not move; its host is left as it is until a probe at ``probe_at`` moves it.

    ``failures`` counts the attempts in a row that moved nothing.
    """

    domain: str
    reason: str
    since: datetime
    failures: int
    probe_at: datetime


class HostTimers(Value, frozen=True):
    """What the controller remembers of a host.

    When its PROOF domain last grew and last shrank by the controller's own hand, when a donor last began to swap, and
    the quarantine it is in.
    """

    host: str
    grew_at: datetime | None = None
    shrank_at: datetime | None = None
    strained_at: datetime | None = None
    quarantine: Quarantine | None = None


class Direction(StrEnum):
    """Which way a host's workers change."""

    GROW = "grow"
    SHRINK = "shrink"


class Pause(Value, frozen=True):
    """A host whose workers do not change in one direction before ``until``, and who said so, when and why."""

    host: str
    direction: Direction
    since: datetime
    until: datetime
    who: str
    reason: str


class Override(Value, frozen=True):
    """A host that has so many workers until ``until``, whatever a policy wants, and who said so, when and why."""

    host: str
    workers: int
    since: datetime
    until: datetime
    who: str
    reason: str


class Orders(Value, frozen=True):
    """What people have said of hosts, each for a time."""

    pauses: tuple[Pause, ...] = ()
    overrides: tuple[Override, ...] = ()

    def in_force(self, now: datetime) -> "Orders":
        """Those that are not over yet.

        When they were given does not matter: after a clock was set back, a pause must still be one.
        """
        return Orders(
            tuple(each for each in self.pauses if each.until > now),
            tuple(each for each in self.overrides if each.until > now),
        )


class AlertIdentity(Value, frozen=True):
    """One firing of an alert, as whoever sends it knows it: told again, it is the same one."""

    source: str
    group: str
    fingerprint: str
    starts_at: datetime


class TuningKind(StrEnum):
    """What a tuning does to PROOF, or to the policy; ``session`` is one that is announced, and not yet opened."""

    BOOST = "boost"
    CAP = "cap"
    FREEZE = "freeze"
    SESSION = "session"
    STEP = "step"
    PRICE = "price"


class Change(Value, frozen=True):
    """What becomes of a parameter of the policy: ``by`` more, but not less than ``least`` and not more than ``most``.

    A span of time is in seconds; ``words`` has the numbers as the configuration writes them.
    """

    parameter: str
    by: float
    least: float
    most: float
    words: str


class Tuning(Value, frozen=True):
    """What an alert changes until ``until``, or until it is resolved, by a rule of the configuration.

    ``name`` is what the alert is called, ``rule`` what the rule matches. ``workers`` are those of a boost or a cap, of
    the whole facility, or of a session, which is announced instead of alerted, under its own ``name`` and ``rule``, and
    with its user as the group; ``direction`` is the one in which a freeze leaves ``hosts`` as they are, which ``where``
    names. A step or a price has the ``change`` of a parameter of the acting policy.
    """

    alert: AlertIdentity
    name: str
    rule: str
    kind: TuningKind
    begun_at: datetime
    until: datetime
    workers: int | None = None
    direction: Direction | None = None
    hosts: tuple[str, ...] = ()
    where: str = ""
    change: Change | None = None


class Quiet(Value, frozen=True):
    """A host's PROOF domain has done next to nothing ``since`` then, by its CPU time.

    ``cpu_time_s`` is what it had got when it was ``looked_at``: the next look is held against that.
    """

    host: str
    since: datetime
    looked_at: datetime
    cpu_time_s: float


class Situation(Value, frozen=True):
    """Everything a decision rests on; a stored situation can be decided again.

    ``memories`` are those of the shadow policies, by their names; that of the acting one is in the window. ``tunings``
    are those in force; what they freeze is among the ``orders`` already. ``unknown_since`` is since when a signal has
    been unknown without a break to each of the policies that act, and ``quiet`` what PROOF has done meanwhile; both are
    empty while all is known.
    """

    window: Window
    hosts: tuple[HostObservation, ...]
    timers: tuple[HostTimers, ...] = ()
    memories: Mapping[str, Memory] = msgspec.field(default_factory=dict)
    orders: Orders = msgspec.field(default_factory=Orders)
    tunings: tuple[Tuning, ...] = ()
    unknown_since: Mapping[str, datetime] = msgspec.field(default_factory=dict)
    quiet: tuple[Quiet, ...] = ()

    def host(self, name: str) -> HostObservation:
        """Return the observation of a host; raises ``KeyError``."""
        for observation in self.hosts:
            if observation.host == name:
                return observation
        raise KeyError(name)


class Cut(Value, frozen=True):
    """What one guard took away from a host's wanted workers, and why."""

    guard: str
    before: int
    after: int
    reason: str


class StepKind(StrEnum):
    """What a step does to its domain; ``lend`` is CPU for the time of the transfer."""

    LEND = "lend"
    SHRINK = "shrink"
    WAKE = "wake"
    GROW = "grow"
    CPU = "cpu"
    SLEEP = "sleep"


class Step(Value, frozen=True):
    """One change to one domain. Memory steps change only the memory, CPU steps only weight and cap.

    A domain that shrinks keeps ``keep_usable_mib`` of memory that it does not use; with ``None`` it may be squeezed
    into its swap, down to ``swap_down_to_mib``. ``state`` is what a sleep step leaves the domain in, when it is no
    larger than its ``after``.
    """

    kind: StepKind
    domain: str
    before: Allocation
    after: Allocation
    keep_usable_mib: int | None = None
    swap_down_to_mib: int = 0
    state: DomainState | None = None


class Transfer(Value, frozen=True):
    """One host's ordered steps: donors shrink, acceptors grow, weights last.

    ``memory_for_guests_mib`` is the sum that must hold at every instant. ``probe`` is the quarantined domain that the
    transfer only tries to move.
    """

    host: str
    workers_from: int
    workers_to: int
    memory_for_guests_mib: int
    steps: tuple[Step, ...]
    probe: str | None = None


class Result(StrEnum):
    """How a transfer ended."""

    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Outcome(Value, frozen=True):
    """What became of one transfer, read back from the hypervisor.

    ``stuck`` is a domain whose balloon did not move at all, ``strained`` a donor that began to swap.
    """

    host: str
    result: Result
    reason: str
    began_at: datetime
    ended_at: datetime
    observed: tuple[DomainObservation, ...] = ()
    stuck: str | None = None
    strained: str | None = None


class HostDecision(Value, frozen=True):
    """What one cycle decided for one host.

    ``current``, ``wanted`` and ``granted`` are workers; ``None`` where the host could not be read. ``reason`` is the
    sentence an administrator reads.
    """

    host: str
    current: int | None
    wanted: int | None
    granted: int | None
    reason: str
    cuts: tuple[Cut, ...] = ()
    transfer: Transfer | None = None


class Opinion(Value, frozen=True):
    """What a shadow policy would have the facility do; ``error`` is what it raised, which touches nobody else."""

    name: str
    policy: str
    demand: Demand
    memory: Memory = msgspec.field(default_factory=dict)
    error: str | None = None


class Decision(Value, frozen=True):
    """The durable record of one cycle: inputs with their age, demand, wanted, granted, cuts, transfers.

    ``unplaced_workers`` found no host with room; ``error`` is what a policy or guard raised (the plan is then empty);
    ``memory`` is what the policy is to know in the next cycle; ``opinions`` are those of the shadow policies.
    ``safe_split`` is why hosts are walked to the safe split because of what is unknown, ``None`` where they are not.
    ``policy`` is told as a configuration would write it; ``model`` is the one that the policies had, ``NO_MODEL`` where
    they take one and had none, ``None`` where none of them takes one.
    """

    at: datetime
    policy: str
    situation: Situation
    demand: Demand
    hosts: tuple[HostDecision, ...]
    unplaced_workers: int = 0
    error: str | None = None
    memory: Memory = msgspec.field(default_factory=dict)
    opinions: tuple[Opinion, ...] = ()
    safe_split: str | None = None
    model: str | None = None

    @property
    def policy_error(self) -> str | None:
        """What the policy raised: then that is all that it says; ``None`` where a guard is to blame, or nobody."""
        return self.error if self.demand.reason == self.error else None

    @property
    def memories(self) -> Mapping[str, Memory]:
        """What the shadow policies are to know in the next cycle, by their names."""
        return {opinion.name: opinion.memory for opinion in self.opinions}

    @property
    def transfers(self) -> tuple[Transfer, ...]:
        """The transfers of this decision, one per host at most."""
        return tuple(host.transfer for host in self.hosts if host.transfer is not None)


class GuardLimits(Value, frozen=True):
    """The numbers the guards work with.

    A signal older than ``fresh_for`` counts as unknown; a wish to change less than ``dead_band_workers`` is left out,
    except to and from dormant; a host grows (shrinks) only ``grow_cooldown`` (``shrink_cooldown``) after its last
    change, and grows only ``strain_cooldown`` after a donor began to swap. Signals that were unknown for
    ``unknown_to_safe`` without a break lead to the safe split, with ``None`` they never do.
    """

    fresh_for: timedelta = timedelta(seconds=90)
    dead_band_workers: int = 1
    grow_cooldown: timedelta = timedelta(0)
    shrink_cooldown: timedelta = timedelta(minutes=5)
    strain_cooldown: timedelta = timedelta(minutes=5)
    unknown_to_safe: timedelta | None = timedelta(hours=2)
