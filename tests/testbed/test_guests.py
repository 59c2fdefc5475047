"""The test bed itself works: real guests whose memory and CPU follow libvirt, by their own word."""

import time
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from tests.testbed.guests import Guest, Kernel, event_rates
from tests.testbed.libvirtd import Libvirtd
from tests.testbed.processes import scratch_folder, wait_until

MEMORY_MAX_MIB = 1280
MEMORY_MIB = 512


@pytest.fixture(scope="module")
def pair(libvirt_uri: str, guest_kernel: Kernel) -> Iterator[tuple[Guest, Guest]]:
    """Two busy guests that share one CPU; they boot side by side."""
    with scratch_folder() as folder:
        wn, proof = guests = [
            Guest(
                libvirt_uri,
                guest_kernel,
                folder,
                name,
                memory_max_mib=MEMORY_MAX_MIB,
                memory_mib=MEMORY_MIB,
                cpuset="0",
            )
            for name in ("wn", "proof")
        ]
        for guest in guests:
            guest.start()
        try:
            for guest in guests:
                guest.wait_booted()
            yield wn, proof
        finally:
            for guest in guests:
                guest.destroy()


def test_a_guest_boots_to_its_current_memory(pair: tuple[Guest, Guest]) -> None:
    wn, _ = pair
    assert wn.actual_mib() == MEMORY_MIB
    assert wn.next_report().memtotal_kib < MEMORY_MIB * 1024


def test_memory_statistics_are_the_guests_own_and_recent(pair: tuple[Guest, Guest]) -> None:
    wn, _ = pair
    before = wn.memory_stats()
    assert {"actual", "unused", "available", "usable", "swap_in", "swap_out", "last_update"} <= before.keys()
    wn.wait_statistics(lambda told: told["last_update"] > before["last_update"], "newer statistics")


def test_a_balloon_grows_and_shrinks_and_the_guest_says_so(pair: tuple[Guest, Guest]) -> None:
    wn, _ = pair
    small = wn.next_report().memtotal_kib
    wn.set_memory_mib(MEMORY_MAX_MIB)
    wn.wait_memory_mib(MEMORY_MAX_MIB)
    moved_kib = (MEMORY_MAX_MIB - MEMORY_MIB) * 1024
    assert wn.next_report().memtotal_kib - small == moved_kib
    wn.set_memory_mib(MEMORY_MIB)
    wn.wait_memory_mib(MEMORY_MIB)
    assert wn.next_report().memtotal_kib == small


def test_cpu_shares_divide_one_cpu(pair: tuple[Guest, Guest]) -> None:
    wn, proof = pair
    wn.set_cpu_shares(128)
    proof.set_cpu_shares(1024)
    before = [guest.cpu_seconds() for guest in pair]
    wn_rate, proof_rate = event_rates(wn, proof, window_s=15)
    wn_s, proof_s = (guest.cpu_seconds() - start for guest, start in zip(pair, before, strict=True))
    assert 5 < proof_s / wn_s < 12
    # A guest's own housekeeping costs the same however little CPU it gets, so fewer events are left than CPU.
    assert proof_rate / wn_rate > 5


def test_equal_cpu_shares_give_equal_cpu(pair: tuple[Guest, Guest]) -> None:
    for guest in pair:
        guest.set_cpu_shares(1024)
    wn_rate, proof_rate = event_rates(*pair, window_s=15)
    assert 0.6 < proof_rate / wn_rate < 1.6


def test_a_quota_caps_a_guest(pair: tuple[Guest, Guest]) -> None:
    wn, proof = pair
    with wn.domain() as domain:
        domain.setSchedulerParametersFlags({"vcpu_quota": 10_000}, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        assert domain.schedulerParameters()["vcpu_quota"] == 10_000
    began_s, before_s = time.monotonic(), wn.cpu_seconds()
    capped, free = event_rates(wn, proof)
    # A tenth of a CPU, and a little for QEMU's own threads; with its equal share it would be nearly half of one.
    assert wn.cpu_seconds() - before_s < 0.2 * (time.monotonic() - began_s)
    # Both rates are of the same time: how much others use of the CPU now and used before does not count.
    assert capped < free / 1.5


def test_an_idle_guest_holds_the_memory_it_was_told_to_use(
    libvirt_uri: str, guest_kernel: Kernel, scratch: Path
) -> None:
    with Guest(libvirt_uri, guest_kernel, scratch, "full", memory_max_mib=512, use_mib=200, idle=True) as guest:
        report = guest.next_report()
        assert report.events == 0
        assert report.memtotal_kib - report.memavailable_kib > 200 * 1024
        statistics = guest.memory_stats()
        assert statistics["available"] - statistics["usable"] > 200 * 1024


def test_a_guest_that_needs_memory_for_its_work_rests_without_it(
    libvirt_uri: str, guest_kernel: Kernel, scratch: Path
) -> None:
    guest = Guest(
        libvirt_uri, guest_kernel, scratch, "waits", memory_max_mib=512, memory_mib=256, cpuset="0", work_from_mib=384
    )
    with guest:
        # The first unit of work is done before the guest has looked at its memory.
        wait_until(lambda: guest.next_report().events == guest.next_report().events, 60, "rest")
        guest.set_memory_mib(512)
        wait_until(lambda: guest.next_report().events < guest.next_report().events, 60, "work")
        guest.set_memory_mib(256)
        guest.wait_memory_mib(256)
        wait_until(lambda: guest.next_report().events == guest.next_report().events, 60, "rest again")


def test_without_its_driver_a_balloon_accepts_and_does_not_move(
    libvirt_uri: str, guest_kernel: Kernel, scratch: Path
) -> None:
    with Guest(libvirt_uri, guest_kernel, scratch, "stuck", memory_max_mib=256, balloon_driver=False) as guest:
        guest.set_memory_mib(192)
        guest.next_report()
        guest.next_report()
        assert guest.actual_mib() == 256
        assert guest.memory_stats()["last_update"] == 0


def test_guests_outlive_their_libvirtd(libvirtd: Libvirtd, pair: tuple[Guest, Guest]) -> None:
    wn, _ = pair
    libvirtd.daemon.kill9()
    wn.next_report()
    libvirtd.start()
    wn.wait_memory_mib(MEMORY_MIB)
