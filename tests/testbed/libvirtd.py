"""A real libvirtd in a room of its own, so that a libvirtd of the machine, its guests and its files are not touched.

The room is a mount and PID namespace: libvirt's compiled-in folders and the CPU cgroups are scratch folders in there,
and everything in it, guests included, dies with it. Wants root, but no systemd, no virtlogd and no KVM.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import libvirt

from tests.testbed.processes import Process, scratch_folder, wait_until

START_DEADLINE_S = 120
END_DEADLINE_S = 60
CGROUPS = Path("/sys/fs/cgroup")
FOLDERS = {
    "etc": "/etc/libvirt",
    "run": "/run",
    "lib": "/var/lib/libvirt",
    "cache": "/var/cache/libvirt",
    "log": "/var/log/libvirt",
}
LIBVIRTD_CONF = """
auth_unix_ro = "none"
auth_unix_rw = "none"
"""
QEMU_CONF = """
user = "root"
group = "root"
security_driver = "none"
namespaces = [ ]
stdio_handler = "file"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = [ "cpu", "cpuacct" ]
"""
# The first process of a PID namespace has to reap the orphans: libvirt takes a zombie for a guest that does not die.
REAP_FOR_EVER = 'while :; do sleep 1000000 & wait "$!"; done'


class Wrapped(Process):
    """A command under unshare or nsenter: it dies before its wrapper, which reaps it, so that no zombie is left."""

    def kill9(self) -> int:
        """Kill the command, let the wrapper end by itself, then kill what may be left."""
        if self.running:
            self.resume()
            with suppress(FileNotFoundError, ProcessLookupError):
                for child in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
                    os.kill(int(child), signal.SIGKILL)
                with suppress(AssertionError):
                    wait_until(lambda: not self.running, END_DEADLINE_S, f"{self.name} to reap its child")
        return super().kill9()


class Libvirtd:
    """A libvirtd; ``with`` starts it and ends it together with its guests.

    ``daemon`` alone can be killed, paused and started again while the guests run on, as on a real host.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._socket = scratch / "run" / "libvirt" / "libvirt-sock"
        self._cgroups = [folder / scratch.name for folder in _cpu_hierarchies()]
        self._open = ExitStack()

    @property
    def uri(self) -> str:
        """The address of the hypervisor."""
        return f"qemu:///system?socket={self._socket}"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._make_folders()
            stack.callback(self._remove_cgroups)
            room = stack.enter_context(Wrapped(self._room_command(), self._scratch, name="room"))
            room.wait_until((self._scratch / "ready").exists, START_DEADLINE_S, "the mounts of libvirtd")
            self.daemon = Wrapped([*_inside(room), "libvirtd"], self._scratch, name="libvirtd")
            stack.callback(self.daemon.kill9)
            self.start()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def start(self) -> None:
        """Start the daemon, again after ``daemon.kill9()``, and wait until it answers."""
        self._socket.unlink(missing_ok=True)
        self.daemon.start()
        self.daemon.wait_until(self._socket.exists, START_DEADLINE_S, "libvirtd's socket")
        self.daemon.wait_until(self._answers, START_DEADLINE_S, "libvirtd to answer")

    def _answers(self) -> bool:
        connection = libvirt.open(self.uri)
        connection.close()
        return True

    def _make_folders(self) -> None:
        for name in FOLDERS:
            (self._scratch / name).mkdir(parents=True)
        (self._scratch / "etc" / "libvirtd.conf").write_text(LIBVIRTD_CONF)
        (self._scratch / "etc" / "qemu.conf").write_text(QEMU_CONF)
        for cgroup in self._cgroups:
            cgroup.mkdir()

    def _room_command(self) -> list[str]:
        binds = [(cgroup, cgroup.parent) for cgroup in self._cgroups]
        binds += [(self._scratch / name, Path(target)) for name, target in FOLDERS.items()]
        script = [f"mount --bind {source} {target}" for source, target in binds]
        script += [f"touch {self._scratch / 'ready'}", REAP_FOR_EVER]
        return ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-ec", "\n".join(script)]

    def _remove_cgroups(self) -> None:
        for cgroup in self._cgroups:
            wait_until(lambda cgroup=cgroup: _removed(cgroup), END_DEADLINE_S, f"{cgroup} to be empty")


@contextmanager
def several_libvirtds(count: int) -> Iterator[list[Libvirtd]]:
    """Run that many hosts side by side, each in a room of its own."""
    with ExitStack() as stack:
        folders = [stack.enter_context(scratch_folder()) for _ in range(count)]
        yield [stack.enter_context(Libvirtd(folder)) for folder in folders]


def _cpu_hierarchies() -> set[Path]:
    """Return where cgroup v1 keeps CPU shares; with v2 the guests' groups are in the machine's own tree."""
    folders = {(CGROUPS / name).resolve() for name in ("cpu", "cpuacct")}
    return {folder for folder in folders if (folder / "cgroup.procs").exists()}


def _inside(room: Process) -> list[str]:
    namespaces = f"/proc/{room.pid}/ns"
    return ["nsenter", f"--mount={namespaces}/mnt", f"--pid={namespaces}/pid_for_children"]


def _removed(cgroup: Path) -> bool:
    for group in sorted((*cgroup.rglob("*/"), cgroup), reverse=True):
        group.rmdir()
    return not cgroup.exists()
