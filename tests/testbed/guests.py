"""Real QEMU guests without KVM: a kernel, a busybox initramfs with the virtio balloon, and counters on the serial port.

A guest's rate of events is the CPU it really got; its MemTotal is the memory it really has. Both are the guest's own
word, not the hypervisor's.
"""

import gzip
import lzma
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from xml.sax.saxutils import escape, quoteattr

import libvirt

from tests.testbed.processes import T, wait_until

BOOT_DEADLINE_S = 400
BALLOON_DEADLINE_S = 400
OFF_DEADLINE_S = 300
REPORT_DEADLINE_S = 240
INIT = Path(__file__).with_name("guest-init")
BUSYBOX = Path("/bin/busybox")
MODULES = (  # each needs the ones before it
    "virtio/virtio_ring",
    "virtio/virtio",
    "virtio/virtio_pci_modern_dev",
    "virtio/virtio_pci_legacy_dev",
    "virtio/virtio_pci",
    "virtio/virtio_balloon",
    "block/virtio_blk",
    "input/evdev",
    "acpi/button",
)
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {".ko": bytes, ".ko.xz": lzma.decompress, ".ko.gz": gzip.decompress}
COUNTS = ("events", "memtotal_kib", "memavailable_kib", "io", "io_longest_ms", "swap_kib", "swapped_in_kib")
# Whole lines only: a serial port writes byte by byte, and the last number of half a line would be too small.
LINE = re.compile(
    " ".join([r"^boot=(\S+) t=([\d.]+)", *(rf"{count}=(\d+)" for count in COUNTS)]) + r"\s*\n", re.MULTILINE
)


@dataclass(frozen=True)
class Kernel:
    """What a guest boots from."""

    image: Path
    initramfs: Path


def build_initramfs(scratch: Path) -> Kernel:
    """Make the initramfs in ``scratch`` from the newest installed cloud kernel, busybox and ``guest-init``."""
    image = _newest_kernel()
    tree = scratch / "initramfs"
    for folder in ("bin", "modules", "proc", "sys", "dev"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(BUSYBOX, tree / "bin" / "busybox")
    shutil.copy(INIT, tree / "init")
    (tree / "init").chmod(stat.S_IRWXU)
    (tree / "bin" / "sh").symlink_to("busybox")
    _copy_modules(Path("/lib/modules") / image.name.removeprefix("vmlinuz-"), tree / "modules")
    return Kernel(image, _pack(tree, scratch / "initramfs.gz"))


def _newest_kernel() -> Path:
    images = sorted(Path("/boot").glob("vmlinuz-*-cloud-amd64"), key=lambda path: path.stat().st_mtime)
    if not images:
        raise FileNotFoundError("no /boot/vmlinuz-*-cloud-amd64: apt-get install linux-image-cloud-amd64")
    return images[-1]


def _copy_modules(installed: Path, target: Path) -> None:
    """Unpack the modules with names that sort in loading order; what is built into the kernel is left out."""
    builtin = (installed / "modules.builtin").read_text()
    for number, path in enumerate(MODULES):
        if f"/{path}.ko" in builtin:
            continue
        (source,) = installed.glob(f"kernel/drivers/{path}.ko*")
        name = Path(path).name
        suffix = source.name.removeprefix(name)
        (target / f"{number:02}-{name}.ko").write_bytes(DECOMPRESS[suffix](source.read_bytes()))


def _pack(tree: Path, archive: Path) -> Path:
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    packed = subprocess.run(
        ["cpio", "--quiet", "-o", "-H", "newc"], cwd=tree, input=names.encode(), capture_output=True, check=True
    )
    archive.write_bytes(gzip.compress(packed.stdout, compresslevel=1))
    return archive


def domain_xml(
    name: str,
    kernel: Kernel,
    serial: Path,
    *,
    memory_max_mib: int,
    memory_mib: int | None = None,
    vcpus: int = 1,
    cpuset: str | None = None,
    parameters: str = "",
    disks: Mapping[str, Path] | None = None,
    statistics: bool = True,
    restarts: bool = False,
) -> str:
    """Describe a guest for libvirt; ``parameters`` go to its kernel, ``cpuset`` pins all its vCPUs to host CPUs.

    ``disks`` are raw files by the serial that the guest knows them by; one that ``restarts`` survives a reset.
    """
    pinned = "" if cpuset is None else f" cpuset={quoteattr(cpuset)}"
    all_disks = "".join(_disk_xml(*disk) for disk in zip("abc", (disks or {}).items(), strict=False))
    period = "<stats period='1'/>" if statistics else ""
    # On a crowded machine the emulated timer looks broken to a kernel that checks it, which then panics at boot.
    command_line = f"console=ttyS0 quiet panic=-1 mitigations=off no_timer_check {parameters}".strip()
    return f"""
<domain type='qemu'>
  <name>{escape(name)}</name>
  <memory unit='MiB'>{memory_max_mib}</memory>
  <currentMemory unit='MiB'>{memory_mib or memory_max_mib}</currentMemory>
  <vcpu placement='static'{pinned}>{vcpus}</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{escape(str(kernel.image))}</kernel>
    <initrd>{escape(str(kernel.initramfs))}</initrd>
    <cmdline>{escape(command_line)}</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>{"restart" if restarts else "destroy"}</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <controller type='usb' model='none'/>
    <serial type='file'><source path={quoteattr(str(serial))}/></serial>
    <memballoon model='virtio'>{period}</memballoon>{all_disks}
  </devices>
</domain>"""


def _disk_xml(letter: str, disk: tuple[str, Path]) -> str:
    serial, file = disk
    # Nothing has to survive a crash of this machine: its own slow flushes must not be taken for the guest's.
    return f"""
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='unsafe'/>
      <source file={quoteattr(str(file))}/>
      <target dev='vd{letter}' bus='virtio'/>
      <serial>{serial}</serial>
    </disk>"""


@dataclass(frozen=True)
class Report:
    """One line of a guest's own report; events count the CPU work done since boot, ``io`` the disk operations.

    ``io_longest_ms`` is the longest operation that ended since the report before; ``boot`` differs after each boot.
    """

    boot: str
    uptime_s: float
    events: int
    memtotal_kib: int
    memavailable_kib: int
    io: int
    io_longest_ms: int
    swap_kib: int
    swapped_in_kib: int

    def rate_since(self, earlier: "Report") -> float:
        """Return the events per second since an earlier report."""
        return (self.events - earlier.events) / (self.uptime_s - earlier.uptime_s)


class Guest:
    """A running domain and its serial file. ``with`` boots it, waits until it answers, and destroys it.

    It asks the hypervisor over a new connection each time, so it outlives a libvirtd that is killed and started again.
    ``use_mib`` is memory that it holds and never looks at again, ``touch_mib`` memory that it rewrites all the time.
    It burns CPU only while its kernel manages ``work_from_mib``, and not at all when it is ``idle``.
    With ``disk_mib`` it does I/O, with ``swap_mib`` it has swap. A ``persistent`` one is known while it is off, and
    boots again when it is reset; the end undefines it. Without ``statistics`` its domain has no statistics period.
    """

    def __init__(
        self,
        uri: str,
        kernel: Kernel,
        scratch: Path,
        name: str,
        *,
        memory_max_mib: int,
        memory_mib: int | None = None,
        vcpus: int = 1,
        cpuset: str | None = None,
        use_mib: int = 0,
        touch_mib: int = 0,
        disk_mib: int = 0,
        swap_mib: int = 0,
        work_from_mib: int = 0,
        idle: bool = False,
        balloon_driver: bool = True,
        statistics: bool = True,
        persistent: bool = False,
    ) -> None:
        self.name = name
        self.memory_mib = memory_mib or memory_max_mib
        self.balloon_driver = balloon_driver
        self.statistics = statistics
        self.serial = scratch / f"{name}.serial"
        self._uri = uri
        self._use_mib = use_mib
        self._persistent = persistent
        sizes_mib = {"data": disk_mib, "swap": swap_mib}
        self._disks = {scratch / f"{name}.{serial}": size for serial, size in sizes_mib.items() if size}
        self._xml = domain_xml(
            name,
            kernel,
            self.serial,
            memory_max_mib=memory_max_mib,
            memory_mib=memory_mib,
            vcpus=vcpus,
            cpuset=cpuset,
            parameters=f"vaf.use_mib={use_mib} vaf.touch_mib={touch_mib} vaf.idle={idle:d}"
            f" vaf.work_from_mib={work_from_mib} vaf.noballoon={not balloon_driver:d}",
            disks={file.suffix.removeprefix("."): file for file in self._disks},
            statistics=statistics,
            restarts=persistent,
        )

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_booted()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    @contextmanager
    def domain(self) -> Iterator[libvirt.virDomain]:
        """Give libvirt's own handle on the domain, for a moment."""
        with closing(libvirt.open(self._uri)) as connection:
            yield connection.lookupByName(self.name)

    def start(self) -> None:
        """Start the domain; nothing of a transient one is left when it ends. Returns before the guest has booted."""
        self.serial.unlink(missing_ok=True)
        for file, size_mib in self._disks.items():
            file.touch()
            os.truncate(file, size_mib * 2**20)
        with closing(libvirt.open(self._uri)) as connection:
            if self._persistent:
                connection.defineXML(self._xml).create()
            else:
                connection.createXML(self._xml)

    def destroy(self) -> None:
        """Pull the plug and forget a persistent domain; a guest that is gone already is fine."""
        with suppress(libvirt.libvirtError), self.domain() as domain:
            if domain.isActive():
                domain.destroy()
            if self._persistent:
                domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)

    def is_active(self) -> bool:
        """Whether the domain runs or is paused."""
        with self.domain() as domain:
            return bool(domain.isActive())

    def wait_off(self) -> None:
        """Wait until a persistent domain has ended, after ``shutdown()``."""
        self._wait(lambda: not self.is_active(), OFF_DEADLINE_S, "its end")

    def wait_booted(self) -> None:
        """Wait for the first report and, with a balloon driver, its first size and statistics that know of it."""
        self._wait(self.reports, BOOT_DEADLINE_S, "its first report")
        if self.balloon_driver:
            self.wait_memory_mib(self.memory_mib)
            if self.statistics:
                total_kib = self.next_report().memtotal_kib
                self._wait(lambda: self._statistics_tell(total_kib), BOOT_DEADLINE_S, "its memory statistics")

    def _statistics_tell(self, total_kib: int) -> bool:
        """Whether they are not from before the balloon was there and the memory was filled."""
        statistics = self.memory_stats()
        used_kib = statistics["available"] - statistics["usable"]
        return statistics["available"] == total_kib and used_kib > self._use_mib * 1024

    def memory_stats(self) -> dict[str, int]:
        """Return what libvirt knows of the guest's memory, in KiB."""
        with self.domain() as domain:
            return domain.memoryStats()

    def actual_mib(self) -> int:
        """Return the size of the balloon as the hypervisor has it."""
        return self.memory_stats()["actual"] // 1024

    def set_memory_mib(self, memory_mib: int) -> None:
        """Ask for a balloon size; the guest moves later."""
        with self.domain() as domain:
            domain.setMemoryFlags(memory_mib * 1024, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def wait_memory_mib(self, memory_mib: int) -> None:
        """Wait until the balloon has reached a size."""
        self._wait(lambda: self.actual_mib() == memory_mib, BALLOON_DEADLINE_S, f"a balloon of {memory_mib} MiB")

    def set_cpu_shares(self, shares: int) -> None:
        """Set the CPU weight of the whole domain, on the host's own scale."""
        with self.domain() as domain:
            domain.setSchedulerParametersFlags({"cpu_shares": shares}, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def cpu_seconds(self) -> float:
        """Return the host CPU time the domain has had, the hypervisor's word."""
        with self.domain() as domain:
            return domain.info()[4] / 1e9

    def reports(self) -> list[Report]:
        """Return everything the guest has said so far, oldest first."""
        return [Report(boot, float(t), *map(int, counts)) for boot, t, *counts in LINE.findall(self._console())]

    def next_report(self) -> Report:
        """Wait for a report that was begun after now: the one after the next, which may be half written already."""
        before = len(self.reports())
        return self._wait(lambda: self.reports()[before + 1 :], REPORT_DEADLINE_S, "its next report")[0]

    def wait_report(self, condition: Callable[[Report], bool], what: str) -> Report:
        """Wait until the newest report meets a condition, and return it."""
        return self._wait(
            lambda: [report for report in self.reports()[-1:] if condition(report)], REPORT_DEADLINE_S, what
        )[0]

    def wait_statistics(self, condition: Callable[[dict[str, int]], bool], what: str) -> None:
        """Wait until libvirt's statistics meet a condition: they are a second or more behind the guest's report."""
        self._wait(lambda: condition(self.memory_stats()), REPORT_DEADLINE_S, what)

    def _console(self) -> str:
        return self.serial.read_text(errors="replace") if self.serial.exists() else ""

    def _wait(self, condition: Callable[[], T | None], deadline_s: float, what: str) -> T:
        try:
            return wait_until(condition, deadline_s, f"guest {self.name}: {what}")
        except AssertionError as error:
            raise AssertionError(f"{error}; its console ends with:\n{self._console()[-1000:]}") from error


def event_rates(*guests: Guest, window_s: float = 10) -> list[float]:
    """Return each guest's events per second over a common window, which begins now.

    It is of at least ``window_s``, and of at least one event of each: where there is little CPU, that takes longer.
    """
    for guest in guests:
        guest.next_report()
    first = [guest.reports()[-1] for guest in guests]

    def last() -> list[Report] | None:
        reports = [guest.reports()[-1] for guest in guests]
        both = list(zip(first, reports, strict=True))
        done = all(end.uptime_s - begin.uptime_s >= window_s and end.events > begin.events for begin, end in both)
        return reports if done else None

    names = " and ".join(guest.name for guest in guests)
    reports = wait_until(last, window_s + REPORT_DEADLINE_S, f"{window_s} s of reports of {names}")
    return [end.rate_since(begin) for begin, end in zip(first, reports, strict=True)]
