"""The facility of a soak: fake hosts in memory that outlives the controller's process, with a time of their own.

A host's laws are checked at every call; what breaks one is written down before anything else happens.
"""

import ctypes
import math
import mmap
import os
import signal
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from autoscaler.contracts import HypervisorError
from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB, proof_memory_mib
from autoscaler.model import DomainState, Facility, Host, HostReading
from autoscaler.testing import FakeDomain, FakeHost, observed
from tests.benchmarks.soak_plan import Kill, Plan, PlannedKill

# A balloon moves so much in a step of a host's time.
STEP_S = 0.25
SPEED_MIB = 160
# After so many steps without a transfer every balloon is at rest.
RESTS_AFTER = 60
MOST_DOMAINS = 32

_STATES = tuple(DomainState)


class _Domain(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("memory_mib", "target_mib", "cpu_weight", "used", "start_mib", "where")),
        ("cap", ctypes.c_double),
    )


class Shared(ctypes.Structure):
    """What outlives a process.

    ``known_s`` is when the signals could last be read in truth; ``kills`` are those that came to pass, ``in_transfer``
    those that met a transfer.
    """

    _fields_ = (
        ("now_s", ctypes.c_double),
        ("known_s", ctypes.c_double),
        *(
            (name, ctypes.c_int64)
            for name in ("calls", "transfers", "kills", "in_transfer", "restarts", "finished", "checked_again")
        ),
        ("failed_by_store", ctypes.c_int64),
        ("failed_by_raising", ctypes.c_int64),
        ("dead", ctypes.c_int64),
        ("announced", ctypes.c_int64),
        ("domains", _Domain * MOST_DOMAINS),
    )


def shared_at(path: Path) -> Shared:
    """The memory in a file, which is made if there is none."""
    size = ctypes.sizeof(Shared)
    if not path.exists():
        path.write_bytes(bytes(size))
    with path.open("r+b") as file:
        return Shared.from_buffer(mmap.mmap(file.fileno(), size))


class SharedDomain(FakeDomain):
    """A fake domain whose state lies in shared memory."""

    def __init__(self, cells: _Domain) -> None:
        object.__setattr__(self, "_cells", cells)

    def begin(self, memory_mib: int) -> None:
        """Be at rest at this size."""
        self.memory_mib = self.target_mib = memory_mib
        self.cpu_weight, self.cpu_cap_cores, self.used_mib = 256, None, 500
        self.state = DomainState.RUNNING

    def report(self) -> None:
        """These guests tell what they use, and nothing of their swap."""

    def __getattribute__(self, name: str) -> object:
        """The fields of a fake domain are cells; its methods are its own."""
        if name in ("memory_mib", "target_mib", "cpu_weight", "start_mib"):
            return getattr(object.__getattribute__(self, "_cells"), name)
        if name == "used_mib":
            used: int = object.__getattribute__(self, "_cells").used
            return used if used >= 0 else None
        if name == "cpu_cap_cores":
            cap: float = object.__getattribute__(self, "_cells").cap
            return None if math.isnan(cap) else cap
        if name == "state":
            return _STATES[object.__getattribute__(self, "_cells").where]
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        """Write a cell."""
        cells = object.__getattribute__(self, "_cells")
        match name, value:
            case "used_mib", _:
                cells.used = -1 if value is None else value
            case "cpu_cap_cores", _:
                cells.cap = math.nan if value is None else value
            case "state", DomainState():
                cells.where = _STATES.index(value)
            case _:
                setattr(cells, name, value)


class Killer:
    """Kills this very process, with the signal that nothing can catch, where the plan says."""

    def __init__(self, plan: Plan, shared: Shared, busy: Callable[[], bool]) -> None:
        self._plan, self._shared, self._busy = plan, shared, busy
        self._lock = threading.Lock()
        self._left: int | None = None
        self._armed: PlannedKill | None = None

    def look(self) -> None:
        """Take up the next kill when its time has come."""
        number = self._shared.kills
        if (
            self._armed is None
            and number < len(self._plan.kills)
            and self._plan.kills[number].at_s <= self._shared.now_s
        ):
            self._armed = self._plan.kills[number]
            self._left = self._armed.after
            if self._armed.kind is Kill.ANYWHERE:
                timer = threading.Timer(self._left / 200, self._kill)
                timer.daemon = True
                timer.start()

    def instant(self, kind: Kill) -> None:
        """Die here if it is time."""
        armed = self._armed
        if armed is None or armed.kind is not kind:
            return
        with self._lock:
            self._left = (self._left or 0) - 1
            if self._left <= 0:
                self._kill()

    def _kill(self) -> None:
        self._shared.kills += 1
        self._shared.in_transfer += self._busy()
        os.kill(os.getpid(), signal.SIGKILL)


class SoakHost(FakeHost):
    """A fake host that is down, or stuck, by the plan, and whose laws are checked."""

    host: Host
    world: "World"
    local_s: float = 0.0

    def begin_at(self, now_s: float) -> None:
        """Have its own time begin."""
        self.local_s = now_s

    def step(self) -> None:
        """Let ``STEP_S`` pass, unless its balloons are stuck."""
        self.stuck = frozenset(self.domains) if self.world.plan.stuck(self.host.name, self.local_s) else frozenset()
        super().step()
        self._check_sum("while balloons move")

    def rest_until(self, now_s: float) -> None:
        """Let time pass without a transfer."""
        steps = int((now_s - self.local_s) / STEP_S)
        for _ in range(min(steps, RESTS_AFTER)):
            self.step()
        self.local_s = max(self.local_s, now_s)

    def read(self) -> HostReading:
        """As a fake host's; the thread that reads is the one that waits for this host."""
        self.world.here.host = self
        return super().read()

    def set_memory(self, domain: str, memory_mib: int) -> None:
        """As a fake host's; the reply may be lost."""
        self._check_size(domain, memory_mib)
        super().set_memory(domain, memory_mib)
        self._after(f"set_memory {domain} {memory_mib}")

    def set_cpu(self, domain: str, weight: int, cap_cores: float | None) -> None:
        """As a fake host's; the reply may be lost."""
        for wn in self.host.wns:
            if wn.name == domain and weight < wn.cpu_weight_floor:
                self.world.broken(f"{self.host.name}: {domain} gets the weight {weight}, below its floor")
        super().set_cpu(domain, weight, cap_cores)
        self._after(f"set_cpu {domain}")

    def wake(self, domain: str) -> None:
        """As a fake host's; the reply may be lost."""
        super().wake(domain)
        self._after(f"wake {domain}")

    def sleep(self, domain: str, state: DomainState) -> None:
        """As a fake host's; the reply may be lost."""
        if self.domains[domain].memory_mib > self.host.proof.dormant.memory_mib + BALLOON_TOLERANCE_MIB:
            self.world.broken(f"{self.host.name}: {domain} is to sleep with workers")
        super().sleep(domain, state)
        self._after(f"sleep {domain}")

    def _call(self, call: str) -> None:
        self.world.shared.calls += 1
        if call != "read":
            self.world.killer.instant(Kill.TRANSFER)
        self._fail_if_down()
        self._check_sum(f"before {call}")

    def _after(self, call: str) -> None:
        self._check_sum(f"after {call}")
        self.world.killer.instant(Kill.TRANSFER)
        self._fail_if_down()

    def _fail_if_down(self) -> None:
        """In one stretch no call comes through, in the next every second one does."""
        stretch = self.world.plan.down(self.host.name, self.local_s)
        if stretch is not None and (stretch % 2 == 0 or self.world.shared.calls % 2 == 0):
            raise HypervisorError(f"{self.host.name}: Cannot recv data: Connection reset by peer")

    def _check_sum(self, when: str) -> None:
        guests_mib = (self.host.memory_total_mib or 0) - self.host.memory_reserve_mib
        # A balloon comes to rest within the tolerance.
        if self.sum_mib > guests_mib:
            self.world.broken(f"{self.host.name}: {self.sum_mib} MiB of {guests_mib} MiB are taken {when}")

    def _check_size(self, domain: str, memory_mib: int) -> None:
        least, most = {
            self.host.proof.name: (
                self.host.proof.dormant.memory_mib,
                proof_memory_mib(self.host, self.host.proof.workers_max),
            ),
            **{wn.name: (wn.memory_floor_mib, wn.memory_max_mib) for wn in self.host.wns},
        }[domain]
        if not least - BALLOON_TOLERANCE_MIB <= memory_mib <= most + BALLOON_TOLERANCE_MIB:
            self.world.broken(f"{self.host.name}: {domain} is asked for {memory_mib} MiB, not {least} to {most} MiB")


class World:
    """All hosts, and the time; ``busy`` names the hosts in whose threads a transfer is under way."""

    def __init__(self, plan: Plan, shared: Shared, facility: Facility, report: Path) -> None:
        self.plan, self.shared, self.facility = plan, shared, facility
        self.busy: Callable[[], frozenset[str]] = frozenset
        self.killer = Killer(plan, shared, lambda: bool(self.busy()))
        self.here = threading.local()
        self._report = report
        self._limit_s = shared.now_s
        self._waiting: set[str] = set()
        self._turn = threading.Condition()
        self.hosts = {host.name: fake for host, fake in zip(facility.hosts, self._fakes(), strict=True)}

    def _fakes(self) -> Iterable[SoakHost]:
        cells = iter(self.shared.domains)
        for host in self.facility.hosts:
            begins = self.shared.now_s == 0.0
            domains: dict[str, FakeDomain] = {}
            for seen in observed(host).domains:
                domains[seen.name] = domain = SharedDomain(next(cells))
                if begins:
                    domain.begin(seen.allocation.memory_mib)
            fake = SoakHost(domains, speed_mib=SPEED_MIB, memory_total_mib=host.memory_total_mib)
            fake.host, fake.world = host, self
            fake.begin_at(self.shared.now_s)
            yield fake

    def broken(self, what: str) -> None:
        """Write down that a law was broken."""
        with self._report.open("a") as file:
            file.write(f"{self.shared.now_s:.0f} s: {what}\n")

    def wait(self, stopping: threading.Event, seconds: float) -> bool:
        """What a transfer calls to sleep: its host lives on to the present time, and no further."""
        host: SoakHost = self.here.host
        with self._turn:
            while host.local_s + seconds > self._limit_s and not stopping.is_set():
                self._waiting.add(host.host.name)
                self._turn.notify_all()
                self._turn.wait(0.05)
            self._waiting.discard(host.host.name)
        host.local_s += seconds
        for _ in range(round(seconds / STEP_S)):
            host.step()
        return stopping.is_set()

    def advance(self, to_s: float) -> None:
        """Let time pass to then: transfers go on, Worker Nodes use more or less, all else comes to rest."""
        with self._turn:
            self._limit_s = to_s
            self._waiting.clear()
            self._turn.notify_all()
            while not self.busy() <= self._waiting:
                self._turn.wait(0.002)
        busy = self.busy()
        for name, host in self.hosts.items():
            if name not in busy:
                host.rest_until(to_s)
            for wn in host.host.wns:
                host.domains[wn.name].used_mib = self.plan.used_mib(wn.name, to_s)
        self.shared.now_s = to_s
        self.killer.look()

    def let_go(self) -> None:
        """Let transfers that are under way come to their ends."""
        with self._turn:
            self._limit_s = math.inf
            self._turn.notify_all()
