"""One controller, one configuration, two KVM hosts and a real Xen host: sessions come, and PROOF grows on all of them.

Nobody is believed who took part: on Xen it is Domain-0's own tools that say what a domain has, on KVM the guests.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.testbed.guests import Guest, Kernel, event_rates
from tests.testbed.libvirtd import several_libvirtds
from tests.testbed.processes import Process, free_port, scratch_folder
from tests.testbed.proof_area import ProofArea, Status
from tests.testbed.site import SumWatch, command
from tests.testbed.xen_host import PROOF as XEN_PROOF
from tests.testbed.xen_host import WN as XEN_WN
from tests.testbed.xen_host import XenHost

pytestmark = pytest.mark.timeout(3600)

TRANSFER_DEADLINE_S = 600
WORKERS = 2  # of each host

KVM_DORMANT_MIB, KVM_WORKER_MIB, KVM_WN_MIB = 192, 192, 768
KVM_GUESTS_MIB = KVM_DORMANT_MIB + KVM_WN_MIB
KVM_AWAKE_MIB = KVM_DORMANT_MIB + WORKERS * KVM_WORKER_MIB
KVM_FLOOR_MIB = KVM_GUESTS_MIB - KVM_AWAKE_MIB

XEN_DORMANT_MIB, XEN_WORKER_MIB = XEN_PROOF.memory_mib, 128
XEN_GUESTS_MIB = XEN_DORMANT_MIB + XEN_WN.memory_mib
XEN_AWAKE_MIB = XEN_DORMANT_MIB + WORKERS * XEN_WORKER_MIB
XEN_FLOOR_MIB = XEN_GUESTS_MIB - XEN_AWAKE_MIB
XEN_RESERVE_MIB = 960  # Domain-0 has 900

# Weight, and per cent of a core (0: no cap), as Xen's credit scheduler states them.
XEN_DORMANT = {"proof": (32, 50), "wn": (256, 0)}
XEN_AWAKE = {"proof": (256, 0), "wn": (32, 0)}

Sizes = tuple[int, int]  # PROOF's and the Worker Node's, MiB

CONFIG = f"""
controller:
  {{interval: 5s, host_timeout: 120s, transfer_stall: 120s, store: decisions.sqlite, notify_listen: "127.0.0.1:NOTIFY"}}
source: {{kind: scrape, targets: {{proof: ["http://127.0.0.1:EXPORTER/metrics"]}}, timeout: 30s}}
policy: {{name: threshold, workers_per_session: {3 * WORKERS}, idle: 10s}}
guards: {{fresh_for: 120s, shrink_cooldown: 1s}}
host_defaults:
  memory_total: {KVM_GUESTS_MIB + 512} MiB
  memory_reserve: 512 MiB
  proof:
    dormant_memory: {KVM_DORMANT_MIB} MiB
    dormant_cpu_cap_cores: 0.5
    memory_per_worker: {KVM_WORKER_MIB} MiB
    workers_max: {WORKERS}
  wn: {{memory_floor: {KVM_FLOOR_MIB} MiB, memory_margin: 64 MiB, memory_max: {KVM_WN_MIB} MiB}}
hosts:
  - {{name: kvm-0, uri: "KVM0", proof: {{domain: proof-0}}, wn: {{domain: wn-0}}}}
  - {{name: kvm-1, uri: "KVM1", proof: {{domain: proof-1}}, wn: {{domain: wn-1}}}}
  - name: xen
    uri: "XEN"
    memory_total: {XEN_GUESTS_MIB + XEN_RESERVE_MIB} MiB
    memory_reserve: {XEN_RESERVE_MIB} MiB
    proof:
      domain: {XEN_PROOF.name}
      dormant_memory: {XEN_DORMANT_MIB} MiB
      memory_per_worker: {XEN_WORKER_MIB} MiB
    # Xen's guests do not tell what they use.
    wn: {{domain: {XEN_WN.name}, memory_floor: {XEN_FLOOR_MIB} MiB, memory_max: {XEN_WN.memory_mib} MiB,
         swap_down_to: {XEN_FLOOR_MIB} MiB}}
"""


@dataclass
class Facility:
    """The three hosts, with the controller that is not started yet."""

    area: ProofArea
    kvm: list[tuple[Guest, Guest]]
    xen: XenHost
    controller: Process
    xen_sums_mib: list[int] = field(default_factory=list)

    def kvm_sizes_mib(self) -> list[tuple[int, int]]:
        """PROOF and Worker Node of each KVM host, as the hypervisor has them."""
        return [(proof.actual_mib(), wn.actual_mib()) for proof, wn in self.kvm]

    def xen_sizes_mib(self) -> tuple[int, int]:
        """PROOF and Worker Node of the Xen host, as Domain-0's tools state them; each look is remembered."""
        memories_mib = self.xen.memories_mib()  # at one moment: read one after the other, their sum is nobody's
        sizes = memories_mib[XEN_PROOF.name], memories_mib[XEN_WN.name]
        self.xen_sums_mib.append(sum(sizes))
        return sizes

    def xen_cpus(self) -> dict[str, tuple[int, int]]:
        """Weight and cap of both, as Domain-0's tools state them."""
        return {"proof": self.xen.cpu(XEN_PROOF.name), "wn": self.xen.cpu(XEN_WN.name)}

    def wait_for(
        self, kvm_mib: tuple[int, int], xen_mib: tuple[int, int], xen_cpus: dict[str, tuple[int, int]]
    ) -> None:
        """Wait until all three hosts are there; a controller that ended fails at once."""

        def there() -> bool:
            return (
                self.xen_sizes_mib() == xen_mib
                and self.kvm_sizes_mib() == [kvm_mib] * len(self.kvm)
                and self.xen_cpus() == xen_cpus
            )

        self.controller.wait_until(there, TRANSFER_DEADLINE_S, f"KVM hosts at {kvm_mib}, Xen at {xen_mib} {xen_cpus}")


@contextmanager
def a_facility(xen: XenHost, kernel: Kernel, scratch: Path) -> Iterator[Facility]:
    """Start everything but the controller."""
    with ExitStack() as stack:
        area = stack.enter_context(ProofArea(scratch))
        exporter_port, notify_port = free_port(), free_port()
        exporter = [command("vaf-exporter"), "proof", "--admin-path", scratch]
        exporter += ["--listen", f"127.0.0.1:{exporter_port}", "--notify", f"http://127.0.0.1:{notify_port}/"]
        stack.enter_context(Process(exporter, scratch, name="exporter"))
        text = CONFIG.replace("EXPORTER", str(exporter_port)).replace("NOTIFY", str(notify_port))
        text = text.replace("XEN", xen.uri)
        kvm = []
        uris = [libvirtd.uri for libvirtd in stack.enter_context(several_libvirtds(2))]
        for number, uri in enumerate(uris):
            kvm.append(_guests(uri, kernel, scratch, number, stack))
            text = text.replace(f"KVM{number}", uri)
        for uri, (proof, wn) in zip(uris, kvm, strict=True):
            proof.wait_booted()
            wn.wait_booted()
            # Until its balloon driver is up, a guest has its maximum.
            watch = SumWatch(uri, wn.name, proof.name, KVM_GUESTS_MIB)
            stack.callback(_assert_kept, watch)
            stack.enter_context(watch.watching())
        config = scratch / "autoscaler.yaml"
        config.write_text(text)
        controller = Process([command("autoscaler"), "run", "--config", config], scratch, name="controller")
        stack.callback(controller.kill9)
        yield Facility(area, kvm, xen, controller)


def _guests(uri: str, kernel: Kernel, scratch: Path, number: int, stack: ExitStack) -> tuple[Guest, Guest]:
    """PROOF and the Worker Node of one KVM host, both busy, on one CPU of their own."""
    cpu = str(number)
    proof = Guest(
        uri,
        kernel,
        scratch,
        f"proof-{number}",
        memory_max_mib=KVM_AWAKE_MIB,
        memory_mib=KVM_DORMANT_MIB,
        cpuset=cpu,
    )
    wn = Guest(uri, kernel, scratch, f"wn-{number}", memory_max_mib=KVM_WN_MIB, cpuset=cpu, use_mib=64)
    for guest in (proof, wn):
        guest.start()
        stack.callback(guest.destroy)
    return proof, wn


def _assert_kept(watch: SumWatch) -> None:
    assert watch.samples > 0
    assert watch.exceeded == []


@pytest.fixture
def facility(xen_host: XenHost, guest_kernel: Kernel) -> Iterator[Facility]:
    """Three hosts at rest."""
    xen_host.rest()
    with scratch_folder() as folder, a_facility(xen_host, guest_kernel, folder) as facility:
        yield facility
    xen_host.rest()


def test_sessions_come_and_proof_grows_on_kvm_and_on_xen_and_they_go_and_everything_goes_back(
    facility: Facility,
) -> None:
    facility.controller.start()
    dormant = ((KVM_DORMANT_MIB, KVM_WN_MIB), (XEN_DORMANT_MIB, XEN_WN.memory_mib), XEN_DORMANT)
    facility.wait_for(*dormant)
    asleep = [(proof.next_report(), wn.next_report()) for proof, wn in facility.kvm]
    xen_asleep_kib = facility.xen.memtotal_kib(XEN_PROOF.name)

    session = facility.area.open_session("alice", status=Status.RUNNING)
    facility.wait_for((KVM_AWAKE_MIB, KVM_FLOOR_MIB), (XEN_AWAKE_MIB, XEN_FLOOR_MIB), XEN_AWAKE)
    for (proof, wn), (proof_asleep, wn_asleep) in zip(facility.kvm, asleep, strict=True):
        gained_kib = proof.next_report().memtotal_kib - proof_asleep.memtotal_kib
        lost_kib = wn_asleep.memtotal_kib - wn.next_report().memtotal_kib
        assert gained_kib == lost_kib == (KVM_AWAKE_MIB - KVM_DORMANT_MIB) * 1024
        wn_rate, proof_rate = event_rates(wn, proof)
        assert proof_rate > 2 * wn_rate > 0
    facility.xen.wait_memtotal(XEN_PROOF.name, xen_asleep_kib + (XEN_AWAKE_MIB - XEN_DORMANT_MIB) * 1024)

    facility.area.close_session(session)
    facility.wait_for(*dormant)
    assert max(facility.xen_sums_mib) <= XEN_GUESTS_MIB
