"""The hypervisor contract over libvirt's QEMU driver with two real guests."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from autoscaler.contracts import Hypervisor, HypervisorError
from autoscaler.hypervisors import connect
from autoscaler.model import DomainState, Host
from autoscaler.testing import a_host
from tests.hypervisors.contract import HypervisorContract, StrangerContract, domain
from tests.testbed.guests import Guest, Kernel
from tests.testbed.processes import scratch_folder, wait_until

MEMORY_MIB = 640
STRANGER_MIB = 256
USED_DEADLINE_S = 240


@pytest.fixture(scope="module")
def guests(libvirt_uri: str, guest_kernel: Kernel) -> Iterator[dict[str, Guest]]:
    """Our two guests, idle, one of them with 128 MiB in use."""
    with scratch_folder() as folder:
        proof = Guest(libvirt_uri, guest_kernel, folder, "proof", memory_max_mib=MEMORY_MIB, vcpus=2, idle=True)
        wn = Guest(libvirt_uri, guest_kernel, folder, "wn", memory_max_mib=MEMORY_MIB, idle=True, use_mib=128)
        for guest in (proof, wn):
            guest.start()
        try:
            for guest in (proof, wn):
                guest.wait_booted()
            yield {"proof": proof, "wn": wn}
        finally:
            for guest in (proof, wn):
                guest.destroy()


@pytest.fixture
def host(libvirt_uri: str, guests: dict[str, Guest]) -> Iterator[Host]:
    """The host of the two guests; their memory is whole again after the test."""
    yield a_host(uri=libvirt_uri)
    for guest in guests.values():
        guest.set_memory_mib(MEMORY_MIB)
        guest.wait_memory_mib(MEMORY_MIB)


class TestKvm(HypervisorContract, StrangerContract):
    @pytest.fixture
    def hypervisor(self, host: Host) -> Iterator[Hypervisor]:
        opened = connect(host)
        yield opened
        opened.close()

    @pytest.fixture
    def let_pass(self) -> Callable[[], None]:
        return lambda: time.sleep(0.05)


def test_the_memory_a_guest_uses_is_its_own_word(host: Host) -> None:
    hypervisor = connect(host)

    def used_mib() -> int:
        return domain(hypervisor, "wn").used_mib or 0

    assert wait_until(lambda: used_mib() > 128, USED_DEADLINE_S, "the guest to tell what it uses")
    assert used_mib() < MEMORY_MIB
    hypervisor.close()


def test_a_running_domain_that_is_not_ours_is_counted(host: Host, libvirt_uri: str, guest_kernel: Kernel) -> None:
    hypervisor = connect(host)
    assert hypervisor.read().unmanaged_mib == 0
    with scratch_folder() as folder:
        stranger = Guest(libvirt_uri, guest_kernel, folder, "stranger", memory_max_mib=STRANGER_MIB, idle=True)
        stranger.start()
        assert hypervisor.read().unmanaged_mib == STRANGER_MIB
        stranger.destroy()
    hypervisor.close()


def test_a_read_only_connection_cannot_resize(host: Host) -> None:
    hypervisor = connect(host, read_only=True)
    assert domain(hypervisor, "wn").allocation.memory_mib == MEMORY_MIB
    with pytest.raises(HypervisorError, match="read only"):
        hypervisor.set_memory("wn", MEMORY_MIB - 64)
    hypervisor.close()


def test_a_domain_that_vanished_is_absent(host: Host) -> None:
    hypervisor = connect(replace(host, wns=(replace(host.wns[0], name="gone"),)))
    assert domain(hypervisor, "gone").state is DomainState.ABSENT
    hypervisor.close()
