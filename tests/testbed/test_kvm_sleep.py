"""A PROOF domain sleeps and is woken by whole transfers, on real guests, in each of the ways a host may be set to."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB, workers_now
from autoscaler.core.plan import plan
from autoscaler.hypervisors import connect
from autoscaler.hypervisors.transfer import Edges, carry_out
from autoscaler.model import Allocation, DomainState, Host, HostObservation, HostState, ProofDomain, WnDomain
from tests.testbed.guests import Guest, Kernel

DORMANT_MIB, WORKER_MIB, WORKERS = 192, 192, 2
AWAKE_MIB = DORMANT_MIB + WORKERS * WORKER_MIB
WN_MIB = 768
GUESTS_MIB = DORMANT_MIB + WN_MIB
REST_DEADLINE_S = 600


@dataclass
class Pair:
    """One host; ``cycle`` does what the controller's would, and the sum is checked at each."""

    host: Host
    asked: dict[str, int] = field(default_factory=dict)

    def observe(self) -> HostObservation:
        """Read the host."""
        hypervisor = connect(self.host)
        domains = hypervisor.read().domains
        hypervisor.close()
        assert sum(domain.allocation.memory_mib for domain in domains) <= GUESTS_MIB
        return HostObservation("host-1", HostState.READY, domains)

    def proof_state(self) -> DomainState:
        """What the PROOF domain does."""
        return self.observe().domain("sleeper").state

    def cycle(self, workers: int) -> HostObservation | None:
        """Plan and carry out; return what was seen if there was nothing to do."""
        observed = self.observe()
        current = workers_now(self.host, observed.domain("sleeper"))
        transfer = plan(self.host, observed, current, workers)
        if transfer is None:
            return observed
        hypervisor = connect(self.host)
        edges = Edges(lambda: datetime.now(UTC), _wait, self.asked.__setitem__, timedelta(seconds=120))
        carry_out(transfer, hypervisor, self.asked, edges)
        hypervisor.close()
        return None

    def settle(self, workers: int) -> HostObservation:
        """Run cycles until nothing is left to do."""
        give_up = time.monotonic() + REST_DEADLINE_S
        while time.monotonic() < give_up:
            at_rest = self.cycle(workers)
            if at_rest is not None:
                return at_rest
            time.sleep(1)  # the pace of cycles: a guest that shuts down is looked at again
        raise AssertionError(f"no rest after {REST_DEADLINE_S} s: {self.observe()}")


def _wait(seconds: float) -> bool:
    time.sleep(seconds)
    return False


@pytest.fixture
def pair(request: pytest.FixtureRequest, libvirt_uri: str, guest_kernel: Kernel, scratch: Path) -> Iterator[Pair]:
    """A host whose PROOF domain sleeps as the test says, with idle guests."""
    proof = ProofDomain("sleeper", Allocation(DORMANT_MIB, 32, 1.0), WORKER_MIB, 0, WORKERS, 256, request.param)
    wn = WnDomain("wn", 256, WN_MIB, 32, None, 256, 32)
    sizes = {"wn": (WN_MIB, WN_MIB), "sleeper": (AWAKE_MIB, DORMANT_MIB)}
    with ExitStack() as stack:
        guests = [
            Guest(
                libvirt_uri,
                guest_kernel,
                scratch,
                name,
                memory_max_mib=maximum,
                memory_mib=present,
                idle=True,
                persistent=True,
            )
            for name, (maximum, present) in sizes.items()
        ]
        for guest in guests:
            guest.start()
            stack.callback(guest.destroy)
        for guest in guests:
            guest.wait_booted()
        yield Pair(Host("host-1", libvirt_uri, GUESTS_MIB + 512, 512, proof, (wn,)))


@pytest.mark.parametrize("pair", [DomainState.PAUSED, DomainState.SAVED, DomainState.SHUT_OFF], indirect=True)
def test_it_sleeps_without_workers_and_is_woken_for_them_within_the_sum(pair: Pair) -> None:
    wanted = pair.host.proof.dormant_state
    asleep = pair.settle(0)
    assert asleep.domain("sleeper").state is wanted
    held_mib = DORMANT_MIB if wanted is DomainState.PAUSED else 0
    assert asleep.domain("sleeper").allocation.memory_mib == pytest.approx(held_mib, abs=BALLOON_TOLERANCE_MIB)
    assert asleep.domain("wn").allocation.memory_mib == pytest.approx(WN_MIB, abs=BALLOON_TOLERANCE_MIB)

    awake = pair.settle(WORKERS)
    proof = awake.domain("sleeper")
    assert proof.state is DomainState.RUNNING
    assert proof.allocation.memory_mib == pytest.approx(AWAKE_MIB, abs=BALLOON_TOLERANCE_MIB)
    assert (proof.allocation.cpu_weight, workers_now(pair.host, proof)) == (256, WORKERS)

    assert pair.settle(0).domain("sleeper").state is wanted
