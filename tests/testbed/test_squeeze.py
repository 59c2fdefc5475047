"""A busy Worker Node is squeezed on real guests: its job and its I/O go on, and thrash ends the squeeze."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from autoscaler.core.plan import plan
from autoscaler.hypervisors import connect
from autoscaler.hypervisors.transfer import Edges, carry_out
from autoscaler.model import Allocation, Host, HostObservation, HostState, Outcome, ProofDomain, Result, WnDomain
from tests.testbed.guests import Guest, Kernel, Report
from tests.testbed.processes import wait_until

DORMANT_MIB, WORKER_MIB, WORKERS = 192, 192, 3
WN_MIB = 1024
GUESTS_MIB = DORMANT_MIB + WN_MIB
FLOOR_MIB = GUESTS_MIB - DORMANT_MIB - WORKERS * WORKER_MIB  # 448
COLD_MIB, HOT_MIB = 300, 400
WATCHED_S = 90
DEADLINE_S = 600

LONGEST_IO_S, LONGEST_STANDSTILL_S = 30, 60


@dataclass
class Pair:
    """One host with both guests, on one CPU."""

    host: Host
    wn: Guest
    proof: Guest

    def transfer(self, workers: int) -> Outcome:
        """Plan and carry out, as a cycle does, from dormant to so many workers."""
        hypervisor = connect(self.host)
        seen = hypervisor.read()
        observed = HostObservation("host-1", HostState.READY, seen.domains, memory_total_mib=seen.memory_total_mib)
        transfer = plan(self.host, observed, 0, workers)
        assert transfer is not None
        asked: dict[str, int] = {}
        edges = Edges(lambda: datetime.now(UTC), _wait, asked.__setitem__, timedelta(seconds=120))
        outcome = carry_out(transfer, hypervisor, asked, edges)
        hypervisor.close()
        return outcome

    def reports_for(self, seconds: float) -> list[Report]:
        """Everything that the Worker Node says in the next seconds of its own time."""
        first = self.wn.next_report()

        def since() -> list[Report]:
            reports = [report for report in self.wn.reports() if report.uptime_s >= first.uptime_s]
            return reports if reports[-1].uptime_s - first.uptime_s >= seconds else []

        return wait_until(since, seconds + DEADLINE_S, f"{seconds} s of reports")


def _wait(seconds: float) -> bool:
    time.sleep(seconds)
    return False


@pytest.fixture
def pair(request: pytest.FixtureRequest, libvirt_uri: str, guest_kernel: Kernel, scratch: Path) -> Iterator[Pair]:
    """A Worker Node with the memory, the swap and the leave to use it that a test asks for, and a busy PROOF domain."""
    use, swap_down_to_mib = request.param
    wn_domain = WnDomain("wn", FLOOR_MIB - 192, WN_MIB, 64, swap_down_to_mib, 256, 32)
    dormant = Allocation(DORMANT_MIB, 32, 0.5)
    proof_domain = ProofDomain("proof", dormant, WORKER_MIB, 0, WORKERS, 256)
    host = Host("host-1", libvirt_uri, GUESTS_MIB + 512, 512, proof_domain, (wn_domain,))
    wn = Guest(
        libvirt_uri, guest_kernel, scratch, "wn", memory_max_mib=WN_MIB, cpuset="0", disk_mib=64, swap_mib=1024, **use
    )
    proof = Guest(
        libvirt_uri,
        guest_kernel,
        scratch,
        "proof",
        memory_max_mib=DORMANT_MIB + WORKERS * WORKER_MIB,
        memory_mib=DORMANT_MIB,
        cpuset="0",
    )
    with ExitStack() as stack:
        for guest in (wn, proof):
            guest.start()
            stack.callback(guest.destroy)
        for guest in (wn, proof):
            guest.wait_booted()
        used_mib = sum(use.values())
        least_kib = used_mib * 1024
        # By libvirt's statistics, which the plan is made from.
        wn.wait_statistics(lambda told: told["available"] - told["usable"] > least_kib, f"{used_mib} MiB in use")
        yield Pair(host, wn, proof)


def longest_standstill_s(reports: list[Report]) -> float:
    """The longest time during which the job's counter did not change."""
    longest, moved = 0.0, reports[0]
    for report in reports:
        longest = max(longest, report.uptime_s - moved.uptime_s)
        if report.events != moved.events:
            moved = report
    return longest


@pytest.mark.parametrize("pair", [({"use_mib": COLD_MIB}, FLOOR_MIB - 192)], indirect=True)
def test_io_and_job_go_on_in_a_worker_node_that_is_squeezed_into_its_swap_and_yields(pair: Pair) -> None:
    before = pair.wn.next_report()
    outcome = pair.transfer(WORKERS)
    pair.reports_for(WATCHED_S)
    reports = [report for report in pair.wn.reports() if report.uptime_s >= before.uptime_s]
    with pair.wn.domain() as domain:
        assert domain.schedulerParameters()["cpu_shares"] == 32 * 4
    assert outcome.result is Result.DONE, outcome.reason
    assert reports[-1].memtotal_kib < before.memtotal_kib - 400 * 1024
    assert max(report.io_longest_ms for report in reports) < LONGEST_IO_S * 1000
    assert reports[-1].io > before.io
    assert longest_standstill_s(reports) < LONGEST_STANDSTILL_S


@pytest.mark.parametrize("pair", [({"use_mib": COLD_MIB + HOT_MIB}, None)], indirect=True)
def test_without_leave_to_swap_it_is_not_squeezed_below_what_it_uses(pair: Pair) -> None:
    outcome = pair.transfer(WORKERS)
    report = pair.wn.next_report()
    assert outcome.observed
    assert report.swapped_in_kib == 0
    assert pair.wn.actual_mib() >= COLD_MIB + HOT_MIB


@pytest.mark.parametrize("pair", [({"touch_mib": COLD_MIB + HOT_MIB}, FLOOR_MIB - 192)], indirect=True)
def test_the_first_sign_of_thrash_ends_the_squeeze_and_what_was_got_is_kept(pair: Pair) -> None:
    outcome = pair.transfer(WORKERS)
    assert (outcome.result, outcome.strained) == (Result.PARTIAL, "wn"), outcome.reason
    kept_mib = pair.wn.actual_mib()
    assert FLOOR_MIB < kept_mib < WN_MIB
    assert pair.proof.actual_mib() > DORMANT_MIB
    assert longest_standstill_s(pair.reports_for(WATCHED_S)) < LONGEST_STANDSTILL_S
