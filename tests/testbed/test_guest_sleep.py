"""Persistent guests: they are saved, shut down, started, paused and reset as a site's are."""

from collections.abc import Iterator

import libvirt
import pytest

from tests.testbed.guests import BOOT_DEADLINE_S, Guest, Kernel
from tests.testbed.libvirtd import several_libvirtds
from tests.testbed.processes import scratch_folder, wait_until

MEMORY_MAX_MIB, MEMORY_MIB = 384, 256


@pytest.fixture(scope="module")
def guest(libvirt_uri: str, guest_kernel: Kernel) -> Iterator[Guest]:
    """A persistent guest, which each test leaves running."""
    with (
        scratch_folder() as folder,
        Guest(
            libvirt_uri,
            guest_kernel,
            folder,
            "sleeper",
            memory_max_mib=MEMORY_MAX_MIB,
            memory_mib=MEMORY_MIB,
            idle=True,
            persistent=True,
        ) as guest,
    ):
        yield guest


def test_a_guest_shuts_itself_down_when_asked_and_starts_again(guest: Guest) -> None:
    with guest.domain() as domain:
        domain.shutdown()
        guest.wait_off()
        domain.create()
    guest.wait_booted()
    assert guest.actual_mib() == MEMORY_MIB


def test_a_saved_guest_goes_on_where_it_was(guest: Guest) -> None:
    before = guest.next_report()
    with guest.domain() as domain:
        domain.managedSave()
        assert not domain.isActive()
        assert domain.hasManagedSaveImage()
        domain.create()
    assert guest.next_report().boot == before.boot


def test_a_paused_guest_says_nothing_until_it_is_resumed(guest: Guest) -> None:
    with guest.domain() as domain:
        domain.suspend()
        assert domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED
        said = len(guest.reports())
        domain.resume()
        assert guest.next_report()
        assert len(guest.reports()) > said


def test_a_reset_guest_boots_again(guest: Guest) -> None:
    before = guest.next_report()
    with guest.domain() as domain:
        domain.reset()
    wait_until(lambda: guest.reports()[-1].boot != before.boot, BOOT_DEADLINE_S, "the guest to boot again")


def test_two_hosts_run_guests_side_by_side(guest_kernel: Kernel) -> None:
    with several_libvirtds(2) as hosts, scratch_folder() as folder:
        guests = [
            Guest(host.uri, guest_kernel, folder, f"guest-{number}", memory_max_mib=256, idle=True)
            for number, host in enumerate(hosts)
        ]
        for guest in guests:
            guest.start()
        for host, guest in zip(hosts, guests, strict=True):
            guest.wait_booted()
            connection = libvirt.open(host.uri)
            assert [domain.name() for domain in connection.listAllDomains()] == [guest.name]
            connection.close()
