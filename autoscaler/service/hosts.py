"""All hosts of the facility, each read and resized in a lane of its own."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from autoscaler.contracts import Hypervisor, HypervisorError
from autoscaler.core.standing import out_of_order, too_small
from autoscaler.model import DomainState, Facility, Host, HostObservation, HostReading, HostState, Transfer
from autoscaler.service.lane import Lane

Connect = Callable[[Host], Hypervisor]
Ledger = Callable[[], Mapping[tuple[str, str], int]]

# A host is waited for until it takes so many times as long as last time, and never given less than this.
PATIENCE = 3
LEAST_PATIENCE_S = 1.0

# More threads that wait for the interpreter at once cost more than they bring.
READS_AT_ONCE = 1000

# So often each of them wakes up to ask for it: with Python's 5 ms, a thousand threads do little else. The other side is
# that whoever computes may keep the others waiting for so long.
SWITCH_INTERVAL_S = 0.05


class Watched:
    """A hypervisor that tells for how long its present call has not returned, and what was read ``last``."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self.last: HostReading | None = None
        self._hypervisor = hypervisor
        self._began: float | None = None

    @property
    def waiting_s(self) -> float:
        """Seconds since the call under way began, 0 when there is none."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def read(self) -> HostReading:
        """As the hypervisor's."""
        with self._call():
            self.last = self._hypervisor.read()
        return self.last

    def set_memory(self, domain: str, memory_mib: int) -> None:
        """As the hypervisor's."""
        with self._call():
            self._hypervisor.set_memory(domain, memory_mib)

    def set_cpu(self, domain: str, weight: int, cap_cores: float | None) -> None:
        """As the hypervisor's."""
        with self._call():
            self._hypervisor.set_cpu(domain, weight, cap_cores)

    def wake(self, domain: str) -> None:
        """As the hypervisor's."""
        with self._call():
            self._hypervisor.wake(domain)

    def sleep(self, domain: str, state: DomainState) -> None:
        """As the hypervisor's."""
        with self._call():
            self._hypervisor.sleep(domain, state)

    def close(self) -> None:
        """As the hypervisor's."""
        with self._call():
            self._hypervisor.close()

    @contextmanager
    def _call(self) -> Iterator[None]:
        self._began = time.monotonic()
        try:
            yield
        finally:
            self._began = None


class HostLane:
    """One host: at most one read or transfer under way; a call that takes longer than ``timeout_s`` hangs.

    A read that only takes much longer than the last one makes the host late: this cycle goes on without it. While
    ``before``, another lane of the same hypervisor, holds it, the host is what that one says.
    """

    def __init__(self, host: Host, hypervisor: Hypervisor, timeout_s: float, before: "HostLane | None" = None) -> None:
        self.host = host
        self.hypervisor = Watched(hypervisor)
        self.timeout_s = timeout_s
        self._before = before
        self._lane = Lane(host.name)
        self._reading: Future[HostReading] | None = None
        self._began_s = 0.0
        self._last_took_s = 0.0
        self._transfer: Transfer | None = None
        self._transferring: Future[None] | None = None

    @property
    def pending(self) -> Future[Any] | None:
        """What is under way, ``None`` when nothing is."""
        return self.transferring or (self._reading if self._reading and not self._reading.done() else None)

    @property
    def transferring(self) -> Future[None] | None:
        """The transfer that is under way, ``None`` when there is none."""
        return self._transferring if self._transferring and not self._transferring.done() else None

    def begin_read(self) -> bool:
        """Start reading, unless something is still under way; return whether that is to be waited for."""
        if self.pending is not None or self._seen_before is not None:
            return False
        self._before = None
        self._transferring = None
        self._began_s = time.monotonic()
        self._reading = self._lane.submit(self._read)
        return True

    @property
    def holds(self) -> bool:
        """Whether a transfer of this lane, or of one before it, is under way, which no other lane may meet."""
        return self.transferring is not None or (self._before is not None and self._before.holds)

    @property
    def _seen_before(self) -> HostObservation | None:
        """What is to be said of the host while the lane before this one holds it."""
        if self._before is None or not self._before.holds:
            return None
        return replace(self._before.observation({}), host=self.host.name)

    def wait(self) -> None:
        """Wait for the read that was begun, until the host is late."""
        if self._reading is not None:
            wait([self._reading], max(0.0, self._began_s + self._patience_s - time.monotonic()))

    @property
    def _patience_s(self) -> float:
        if self.hypervisor.last is None:
            return self.timeout_s
        return min(self.timeout_s, max(LEAST_PATIENCE_S, PATIENCE * self._last_took_s))

    def _read(self) -> HostReading:
        reading = self.hypervisor.read()
        self._last_took_s = time.monotonic() - self._began_s
        return reading

    def begin_transfer(self, transfer: Transfer, carry_out: Callable[[], None]) -> None:
        """Start a transfer; until it is done the host is observed as moving."""
        self._transfer = transfer
        self._transferring = self._lane.submit(carry_out)

    def observation(self, asked: Mapping[tuple[str, str], int]) -> HostObservation:
        """What is known of the host now; never raises."""
        return self._seen_before or self._known(asked)

    def _known(self, asked: Mapping[tuple[str, str], int]) -> HostObservation:
        name = self.host.name
        hangs = self.hypervisor.waiting_s > self.timeout_s
        if self._transferring is not None and self._transfer is not None and not hangs:
            return HostObservation(name, HostState.MOVING, moving_to_workers=self._transfer.workers_to)
        last = self.hypervisor.last
        if hangs or self._reading is None or (last is None and not self._reading.done()):
            problem = f"{name} ({self.host.uri}) does not answer in time"
            return HostObservation(name, HostState.UNUSABLE, problem=problem)
        if last is not None and not self._reading.done():
            return self._seen(HostState.LATE, last, asked)
        try:
            seen = self._reading.result()
        except HypervisorError as error:
            return HostObservation(name, HostState.UNUSABLE, problem=str(error))
        except Exception as error:  # noqa: BLE001 - one host's surprise is not the facility's
            return HostObservation(name, HostState.UNUSABLE, problem=f"{name}: {type(error).__name__}: {error}")
        observation = self._seen(HostState.READY, seen, asked)
        reason = too_small(self.host, observation)
        return observation if reason is None else replace(observation, state=HostState.UNUSABLE, problem=reason)

    def _seen(self, state: HostState, seen: HostReading, asked: Mapping[tuple[str, str], int]) -> HostObservation:
        name = self.host.name
        return HostObservation(
            name,
            state,
            tuple(replace(domain, asked_mib=asked.get((name, domain.name))) for domain in seen.domains),
            seen.unmanaged_mib,
            problem=out_of_order(self.host, seen.domains),
            memory_total_mib=seen.memory_total_mib,
            cores=seen.cores,
            control_mib=seen.control_mib,
        )

    def end(self) -> None:
        """Close the connection after what is under way, without waiting for it."""
        self._lane.submit(self.hypervisor.close)
        self._lane.end()


class Hosts:
    """Reads all hosts at once; one that begins to hang delays the others once, until it is late, and never again.

    Only the first cycle (after ``forget``, too) waits for the whole time-out: nothing is known yet of a host that does
    not answer.
    """

    def __init__(self, facility: Facility, connect: Connect, timeout: timedelta) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._connect = connect
        self._lanes = {host.name: HostLane(host, connect(host), timeout.total_seconds()) for host in facility.hosts}
        self._left: list[HostLane] = []

    def replace(self, facility: Facility, timeout: timedelta) -> None:
        """Go on with these hosts. One that left, or is another now, is let go of after its transfer."""
        old = {lane.host.uri: lane for lane in (*self._left, *self._lanes.values())}
        lanes = {}
        for host in facility.hosts:
            lane = self._lanes.get(host.name)
            if lane is None or lane.host != host:
                # Two lanes must not move one hypervisor's memory at the same time, under whatever name.
                lane = HostLane(host, self._connect(host), timeout.total_seconds(), old.get(host.uri))
            lane.timeout_s = timeout.total_seconds()
            lanes[host.name] = lane
        gone = [lane for lane in self._lanes.values() if lane not in lanes.values()]
        for lane in gone:
            lane.end()
        self._left = [lane for lane in (*self._left, *gone) if lane.transferring is not None]
        self._lanes = lanes

    def forget(self) -> None:
        """What was read before says nothing any more: the next cycle waits for each host as the first one does."""
        for lane in self._lanes.values():
            lane.hypervisor.last = None

    def lane(self, host: str) -> HostLane:
        """The lane of a host."""
        return self._lanes[host]

    def observe(self, ledger: Ledger) -> tuple[HostObservation, ...]:
        """Read every host that is not busy, then the ledger: whatever a transfer wrote before the read is in it."""
        begun: list[HostLane] = []
        for lane in self._lanes.values():
            if len(begun) >= READS_AT_ONCE:
                begun[-READS_AT_ONCE].wait()
            if lane.begin_read():
                begun.append(lane)
        for lane in begun:
            lane.wait()
        asked = ledger()
        return tuple(lane.observation(asked) for lane in self._lanes.values())

    def settle(self, timeout_s: float | None) -> bool:
        """Wait until no transfer is under way; return whether that came true in time. A hung read is not waited for."""
        lanes = (*self._left, *self._lanes.values())
        transfers = [future for lane in lanes if (future := lane.transferring) is not None]
        return not wait(transfers, timeout=timeout_s).not_done

    def end(self) -> None:
        """Let go of every host."""
        for lane in self._lanes.values():
            lane.end()
