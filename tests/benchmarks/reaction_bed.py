"""The hypervisor of the benchmark of reaction: two busy guests on one CPU, at rest before each move, watched during it.

PROOF is dormant and the Worker Node has all the memory; a move gives PROOF its two workers. What a domain is to have
at the beginning and at the end is what the controller is configured to give it: `CONFIG` and `Share` say the same.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import libvirt

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from autoscaler.hypervisors.kvm import KvmDriver
from tests.testbed.guests import Guest, Kernel
from tests.testbed.processes import wait_until

DORMANT_MIB = 256
WORKER_MIB = 1024
WORKERS = 2  # a host is given no more workers than it has cores
AWAKE_MIB = DORMANT_MIB + WORKERS * WORKER_MIB  # 2304
WN_MIB = 2816
GUESTS_MIB = DORMANT_MIB + WN_MIB  # 3072
WN_YIELDED_MIB = GUESTS_MIB - AWAKE_MIB  # 768
WN_USES_MIB = 192
RESERVE_MIB = 512
DORMANT_CAP_CORES = 0.5
# On Xen's scale, as the controller's defaults.
WEIGHT, WEIGHT_YIELDING = 256, 32

WATCH_EVERY_S = 0.05
REST_DEADLINE_S = 600
# Some of the guest's last lines, and what is looked for in them.
TAIL_BYTES = 1000
MEMTOTAL_KIB = re.compile(rb"memtotal_kib=(\d+) ")


class Share(NamedTuple):
    """What a domain has of the host."""

    memory_mib: int
    weight: int
    cap_cores: float | None

    def near(self, other: "Share") -> bool:
        """Whether two are the same, but for what a balloon trembles."""
        return self[1:] == other[1:] and abs(self.memory_mib - other.memory_mib) <= BALLOON_TOLERANCE_MIB


RESTING = {"wn": Share(WN_MIB, WEIGHT, None), "proof": Share(DORMANT_MIB, WEIGHT_YIELDING, DORMANT_CAP_CORES)}
MOVED = {"wn": Share(WN_YIELDED_MIB, WEIGHT_YIELDING, None), "proof": Share(AWAKE_MIB, WEIGHT, None)}


def read_share(domain: libvirt.virDomain) -> Share:
    """Return what a domain has now, by the hypervisor."""
    return Share(domain.memoryStats()["actual"] // 1024, *KvmDriver().read(domain, vcpus=1))


@dataclass
class Bed:
    """The hypervisor with its two guests."""

    uri: str
    guests: dict[str, Guest]
    _resting_kib: dict[str, int] = field(default_factory=dict)

    def learn_rest(self) -> None:
        """Note what the guests say of their memory when they are at rest, as they are after their boot."""
        self._resting_kib = {name: guest.next_report().memtotal_kib for name, guest in self.guests.items()}

    def rest(self) -> None:
        """Bring everything back, whatever the move before has left, until the guests themselves say so."""
        for name in RESTING:
            self.set_cpu(name, WEIGHT, None)
        # Memory first comes free, then it is given.
        for name in ("proof", "wn"):
            self.guests[name].set_memory_mib(RESTING[name].memory_mib)
            self._wait_actual(name)
        for name, share in RESTING.items():
            self.set_cpu(name, *share[1:])
        for name, guest in self.guests.items():
            wait_until(lambda name=name, guest=guest: self._says_rest(name, guest), REST_DEADLINE_S, f"{name} at rest")

    def _wait_actual(self, name: str) -> None:
        def there() -> bool:
            return abs(self.guests[name].actual_mib() - RESTING[name].memory_mib) <= BALLOON_TOLERANCE_MIB

        wait_until(there, REST_DEADLINE_S, f"the balloon of {name} to be back")

    def set_cpu(self, name: str, weight: int, cap_cores: float | None) -> None:
        """Set weight and cap."""
        with self.guests[name].domain() as domain:
            KvmDriver().write(domain, 1, weight, cap_cores)

    def _says_rest(self, name: str, guest: Guest) -> bool:
        off_kib = abs(guest.next_report().memtotal_kib - self._resting_kib[name])
        return off_kib <= BALLOON_TOLERANCE_MIB * 1024

    def proof_says_awake(self) -> bool:
        """Whether the PROOF guest's own last report shows the memory of all its workers."""
        with self.guests["proof"].serial.open("rb") as console:
            console.seek(-min(TAIL_BYTES, console.seek(0, 2)), 2)
            told_kib = MEMTOTAL_KIB.findall(console.read())
        grown_kib = (AWAKE_MIB - DORMANT_MIB - BALLOON_TOLERANCE_MIB) * 1024
        return bool(told_kib) and int(told_kib[-1]) >= self._resting_kib["proof"] + grown_kib


@contextmanager
def running_bed(uri: str, kernel: Kernel, scratch: Path, proof_works_from_mib: int = 0) -> Iterator[Bed]:
    """Boot both guests on the first CPU, and bring them to rest; PROOF is busy only while it has so much memory."""
    wn = Guest(uri, kernel, scratch, "wn", memory_max_mib=WN_MIB, cpuset="0", use_mib=WN_USES_MIB)
    proof = Guest(
        uri,
        kernel,
        scratch,
        "proof",
        memory_max_mib=AWAKE_MIB,
        memory_mib=DORMANT_MIB,
        cpuset="0",
        work_from_mib=proof_works_from_mib,
    )
    with wn, proof:
        bed = Bed(uri, {"wn": wn, "proof": proof})
        bed.learn_rest()
        yield bed


class Seen(NamedTuple):
    """Both domains at a time, in seconds since the clock was started, and the CPU time that both have had."""

    at_s: float
    shares: dict[str, Share]
    cpu_s: float


class Watch:
    """Looks at both domains all the time over one connection that may only read, from a thread of its own.

    ``moved_s`` is when both had their final memory and CPU, ``proof_says_s`` when the PROOF guest itself said so; both
    are ``None`` until then.
    """

    def __init__(self, bed: Bed) -> None:
        self.seen: list[Seen] = []
        self.moved_s: float | None = None
        self.proof_says_s: float | None = None
        self._bed = bed
        self._begun = 0.0
        self._over = threading.Event()
        self._done = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch during the ``with`` block; the clock starts with it."""
        with closing(libvirt.openReadOnly(self._bed.uri)) as connection:
            domains = {name: connection.lookupByName(name) for name in self._bed.guests}
            thread = threading.Thread(target=self._run, args=[domains], daemon=True)
            self._begun = time.monotonic()
            thread.start()
            try:
                yield
            finally:
                self._over.set()
                thread.join()

    def wait(self, until_s: float) -> None:
        """Wait until all is as it is to be and PROOF itself has said so, or for so long since the start."""
        self._done.wait(max(0.0, until_s - self.passed_s))

    @property
    def passed_s(self) -> float:
        """Seconds since the clock was started."""
        return time.monotonic() - self._begun

    def first_s(self, condition: Callable[[dict[str, Share]], bool]) -> float | None:
        """When the shares of both domains met a condition first, ``None`` when they never did."""
        return next((seen.at_s for seen in self.seen if condition(seen.shares)), None)

    def _run(self, domains: dict[str, libvirt.virDomain]) -> None:
        while not self._over.wait(WATCH_EVERY_S):
            shares = {name: read_share(domain) for name, domain in domains.items()}
            cpu_s = sum(domain.info()[4] for domain in domains.values()) / 1e9
            self.seen.append(Seen(self.passed_s, shares, cpu_s))
            if self.moved_s is None and all(shares[name].near(share) for name, share in MOVED.items()):
                self.moved_s = self.passed_s
            if self.proof_says_s is None and self._bed.proof_says_awake():
                self.proof_says_s = self.passed_s
            if None not in (self.moved_s, self.proof_says_s):
                self._done.set()
