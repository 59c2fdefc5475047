"""A real Xen host without hardware support: Xen, Domain-0 and two PV guests inside an emulated QEMU machine.

What a guest has is confirmed by two that are not libvirt: Xen's own tools in Domain-0 (``dom0``), and the guest itself,
which reports on its console as the QEMU guests do.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from xml.sax.saxutils import escape

import libvirt

from autoscaler.model import Host
from autoscaler.testing import A_SWAPPING_WN, a_host
from tests.testbed.guests import LINE, Report
from tests.testbed.processes import Process, T, free_port, wait_until
from tests.testbed.xen_image import XenImage

BOOT_DEADLINE_S = 900
GUEST_DEADLINE_S = 600
BALLOON_DEADLINE_S = 600
COMMAND_DEADLINE_S = 300
TOTAL_TOLERANCE_KIB = 4096  # of a guest's own count of its memory
DOM0_MIB = 900
SPARE_MIB = 512  # for Xen itself, and for a domain that is not ours
CORES = 2
DEFAULT_WEIGHT, NO_CAP = 256, 0


@dataclass(frozen=True)
class XenGuest:
    """A PV guest as it is defined, that is as it is after each start."""

    name: str
    memory_max_mib: int = 640
    memory_mib: int = 640
    vcpus: int = CORES

    def xml(self) -> str:
        """Describe it for libvirt."""
        return f"""
<domain type='xen'>
  <name>{escape(self.name)}</name>
  <memory unit='MiB'>{self.memory_max_mib}</memory>
  <currentMemory unit='MiB'>{self.memory_mib}</currentMemory>
  <vcpu>{self.vcpus}</vcpu>
  <os>
    <type arch='x86_64' machine='xenpv'>linux</type>
    <kernel>/guest/vmlinuz</kernel>
    <initrd>/guest/initrd</initrd>
    <cmdline>console=hvc0 quiet panic=-1 mitigations=off vaf.idle=1</cmdline>
  </os>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices><console type='pty'/></devices>
</domain>"""


PROOF = XenGuest("vaf-proof-xen", memory_mib=256)
WN = XenGuest("vaf-wn-xen")


class XenHost:
    """The host; ``with`` boots it and its guests, waits until all of them answer, and ends everything."""

    def __init__(self, image: XenImage, scratch: Path, guests: tuple[XenGuest, ...] = (PROOF, WN)) -> None:
        self.guests = {guest.name: guest for guest in guests}
        self._libvirt_port, self._shell_port = free_port(), free_port()
        memory_mib = DOM0_MIB + sum(guest.memory_max_mib for guest in guests) + SPARE_MIB
        # The disk is a snapshot: what is written goes to a file in TMPDIR, which ends with QEMU.
        self.machine = Process(self._command(image, memory_mib), scratch, name="xen-host", env={"TMPDIR": str(scratch)})
        self._open = ExitStack()

    @property
    def uri(self) -> str:
        """The address of the hypervisor."""
        return f"xen+tcp://127.0.0.1:{self._libvirt_port}/system"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.machine)
            # Until then QEMU accepts connections which nobody answers.
            self.machine.wait_until(self._dom0_is_up, BOOT_DEADLINE_S, "Domain-0")
            for guest in self.guests.values():
                self.define(guest)
            for name in self.guests:
                self._wait(lambda name=name: self.reports(name), f"the first report of {name}")
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def as_host(self) -> Host:
        """The host as the controller knows it: PROOF's is the first guest, the Worker Node's the second."""
        host = a_host(uri=self.uri)
        proof, wn = self.guests
        return replace(host, proof=replace(host.proof, name=proof), wns=(replace(A_SWAPPING_WN, name=wn),))

    def dom0(self, command: str) -> str:
        """Run a shell command in Domain-0 and return what it says; it must succeed."""
        with socket.create_connection(("127.0.0.1", self._shell_port), timeout=COMMAND_DEADLINE_S) as connection:
            connection.sendall(command.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")
        output, _, status = answer.rpartition("\n")
        if status != "0":
            raise RuntimeError(f"{command!r} in Domain-0 ended with {status!r}:\n{output}")
        return output

    @contextmanager
    def domain(self, name: str) -> Iterator[libvirt.virDomain]:
        """Give libvirt's own handle on a domain, for a moment."""
        with closing(libvirt.open(self.uri)) as connection:
            yield connection.lookupByName(name)

    def define(self, guest: XenGuest) -> None:
        """Define a guest, which stays when it is shut off, and start it; returns before its kernel is up."""
        with closing(libvirt.open(self.uri)) as connection:
            connection.defineXML(guest.xml()).create()

    def remove(self, guest: XenGuest) -> None:
        """Pull the plug of a guest and forget it; one that is gone is fine."""
        with suppress(libvirt.libvirtError), self.domain(guest.name) as domain:
            with suppress(libvirt.libvirtError):
                domain.destroy()
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)

    def start(self, name: str) -> None:
        """Start a domain that is off, from its saved state if it has one, and wait until its kernel says something."""
        before = len(self.reports(name))
        with self.domain(name) as domain:
            domain.create()
        self._wait(lambda: self.reports(name)[before:], f"{name} to report after its start")

    def rest(self) -> None:
        """Bring all guests back to how they are defined, whatever a test did to them."""
        for guest in self.guests.values():
            with self.domain(guest.name) as domain:
                active = domain.isActive()
                if active and domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
                    domain.resume()
            if not active:
                self.start(guest.name)
            with self.domain(guest.name) as domain:
                domain.setSchedulerParameters({"weight": DEFAULT_WEIGHT, "cap": NO_CAP})
                domain.setMemoryFlags(guest.memory_mib * 1024, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        for guest in self.guests.values():
            self.wait_memory_mib(guest.name, guest.memory_mib)

    def memory_mib(self, name: str) -> int:
        """The memory that Xen says a domain has."""
        return self.memories_mib()[name]

    def memories_mib(self) -> dict[str, int]:
        """The memory that Xen says each domain has, all at one moment."""
        _, *lines = self.dom0("xl list").splitlines()
        return {name: int(memory_mib) for name, _, memory_mib, *_ in map(str.split, lines)}

    def wait_memory_mib(self, name: str, memory_mib: int) -> None:
        """Wait until Xen says that a domain has exactly so much memory."""
        wait_until(
            lambda: self.memory_mib(name) == memory_mib, BALLOON_DEADLINE_S, f"{name} to have {memory_mib} MiB in Xen"
        )

    def cpu(self, name: str) -> tuple[int, int]:
        """The weight and the cap (per cent of a core, 0 = none) that Xen says a domain has."""
        words = self.dom0(f"xl sched-credit -d {name}").splitlines()[-1].split()
        return int(words[-2]), int(words[-1])

    def reports(self, name: str) -> list[Report]:
        """Return everything a guest has said so far in all its lives, oldest first."""
        console = self.dom0(f"cat /var/log/xen/console/guest-{name}.log")
        return [Report(boot, float(t), *map(int, counts)) for boot, t, *counts in LINE.findall(console)]

    def next_report(self, name: str) -> Report:
        """Wait for a guest's report that was begun after now: the one after the next."""
        before = len(self.reports(name))
        return self._wait(lambda: self.reports(name)[before + 1 :], f"the next report of {name}")[0]

    def memtotal_kib(self, name: str) -> int:
        """A guest's own count of its memory, when two reports in a row agree on it."""
        before = len(self.reports(name))

        def agreed() -> int | None:
            *_, earlier, later = self.reports(name)[before + 1 :]
            return later.memtotal_kib if later.memtotal_kib == earlier.memtotal_kib else None

        return self._wait(agreed, f"two equal reports of {name}")

    def wait_memtotal(self, name: str, memtotal_kib: int) -> None:
        """Wait until a guest's newest report shows so much memory: its own count comes after Xen's."""

        def told() -> bool:
            return abs(self.reports(name)[-1].memtotal_kib - memtotal_kib) <= TOTAL_TOLERANCE_KIB

        self._wait(told, f"{name} to report {memtotal_kib} KiB")

    def _wait(self, condition: Callable[[], T | None], what: str) -> T:
        return self.machine.wait_until(condition, GUEST_DEADLINE_S, what)

    def _dom0_is_up(self) -> bool:
        return "dom0 is up" in self.machine.log.read_text(errors="replace")

    def _command(self, image: XenImage, memory_mib: int) -> list[str | Path]:
        ports = ((self._libvirt_port, 16509), (self._shell_port, 16510))
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{outside}-:{inside}" for outside, inside in ports)
        xen_words = f"console=com1 dom0_mem={DOM0_MIB}M,max:{DOM0_MIB}M dom0_max_vcpus=1 sched=credit"
        # With CPU "max" Domain-0 crashes early, with "qemu64" libvirt refuses the host.
        return [
            *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", str(CORES)),
            *("-m", str(memory_mib), "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"),
            *("-kernel", image.xen, "-append", xen_words),
            *("-initrd", f"{image.kernel} console=hvc0 quiet,{image.initrd}"),
            *("-drive", f"file={image.disk},format=raw,if=ide,snapshot=on"),
            *("-netdev", f"user,id=net,restrict=on{forwards}", "-device", "e1000,netdev=net"),
        ]
