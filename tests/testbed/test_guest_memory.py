"""Guests with disks: they time their own I/O, and swap takes cold memory quietly and hot memory at a price."""

from pathlib import Path

import libvirt

from tests.testbed.guests import Guest, Kernel
from tests.testbed.processes import wait_until

MEMORY_MIB = 512
DEADLINE_S = 180


def test_a_guest_with_a_disk_times_its_own_io(libvirt_uri: str, guest_kernel: Kernel, scratch: Path) -> None:
    with Guest(libvirt_uri, guest_kernel, scratch, "disk", memory_max_mib=256, disk_mib=16) as guest:
        first = guest.wait_report(lambda report: report.io > 0, "its first I/O")
        guest.wait_report(lambda report: report.io > first.io and report.io_longest_ms > 0, "more I/O")


def test_a_guest_without_disks_does_no_io_and_has_no_swap(
    libvirt_uri: str, guest_kernel: Kernel, scratch: Path
) -> None:
    with Guest(libvirt_uri, guest_kernel, scratch, "bare", memory_max_mib=256, idle=True) as guest:
        report = guest.next_report()
        assert (report.io, report.swap_kib, report.swapped_in_kib) == (0, 0, 0)


def test_cold_memory_is_swapped_out_and_stays_out(libvirt_uri: str, guest_kernel: Kernel, scratch: Path) -> None:
    with Guest(
        libvirt_uri, guest_kernel, scratch, "cold", memory_max_mib=MEMORY_MIB, use_mib=300, swap_mib=512
    ) as guest:
        guest.set_memory_mib(256)
        guest.wait_memory_mib(256)
        report = guest.wait_report(lambda report: report.swap_kib > 100 * 1024, "its swapping out")
        assert report.swapped_in_kib < report.swap_kib / 10
        guest.wait_statistics(lambda told: told["swap_out"] > 100 * 1024, "libvirt to know what was swapped out")


def test_hot_memory_that_is_cut_into_comes_back_from_the_swap(
    libvirt_uri: str, guest_kernel: Kernel, scratch: Path
) -> None:
    with Guest(
        libvirt_uri, guest_kernel, scratch, "hot", memory_max_mib=MEMORY_MIB, touch_mib=250, swap_mib=512
    ) as guest:
        guest.set_memory_mib(224)
        report = guest.wait_report(lambda report: report.swapped_in_kib > 50 * 1024, "its thrashing")
        guest.set_memory_mib(MEMORY_MIB)
        guest.wait_report(lambda later: later.events > report.events, "its work to go on")
        guest.wait_statistics(lambda told: told["major_fault"] > 0, "libvirt to know of its major faults")


def test_statistics_can_be_switched_on_while_a_guest_runs(
    libvirt_uri: str, guest_kernel: Kernel, scratch: Path
) -> None:
    with (
        Guest(libvirt_uri, guest_kernel, scratch, "mute", memory_max_mib=256, idle=True, statistics=False) as guest,
        guest.domain() as domain,
    ):
        assert "<stats" not in domain.XMLDesc()
        domain.setMemoryStatsPeriod(1, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        for _ in range(2):
            told = guest.memory_stats()["last_update"]
            wait_until(lambda told=told: guest.memory_stats()["last_update"] > told, DEADLINE_S, "newer statistics")
