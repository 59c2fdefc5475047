"""A whole small site: one hypervisor with two real guests, PROOF admin area, exporter, Prometheus, and the controller.

Everything runs as it would at a Tier-2, only smaller: the commands are the installed ones, in processes of their own.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libvirt

from tests.testbed.guests import Guest, Kernel
from tests.testbed.processes import Process, free_port
from tests.testbed.prometheus_server import PrometheusServer
from tests.testbed.proof_area import ProofArea

HOST = "kvm-host"
DORMANT_MIB = 256
WORKER_MIB = 768
WORKERS = 2  # a worker wants a core, and the machine may have two
AWAKE_MIB = DORMANT_MIB + WORKERS * WORKER_MIB  # 1792
WN_MIB = 2048
WN_FLOOR_MIB = 512
GUESTS_MIB = DORMANT_MIB + WN_MIB  # 2304 = 1792 + 512
COMMAND_DEADLINE_S = 240

CONFIG = f"""
controller: {{interval: 1s, host_timeout: 20s, transfer_stall: 60s, store: decisions.sqlite}}
source: {{kind: prometheus, url: "PROMETHEUS", timeout: 5s, step: 2s}}
policy: {{name: threshold, workers_per_session: {WORKERS}, idle: 10s}}
guards: {{fresh_for: 30s, shrink_cooldown: 1s}}
host_defaults:
  memory_total: {GUESTS_MIB + 512} MiB
  memory_reserve: 512 MiB
  proof:
    dormant_memory: {DORMANT_MIB} MiB
    dormant_cpu_cap_cores: 0.5
    memory_per_worker: {WORKER_MIB} MiB
    workers_max: {WORKERS}
  wn: {{memory_floor: {WN_FLOOR_MIB} MiB, memory_margin: 128 MiB, memory_max: {WN_MIB} MiB}}
hosts:
  - {{name: {HOST}, uri: "LIBVIRT", proof: {{domain: proof}}, wn: {{domain: wn}}}}
  - {{name: dead-host, uri: "qemu:///system?socket=/nonexistent/sock", proof: {{domain: a}}, wn: {{domain: b}}}}
  - {{name: other-host, uri: "OTHER", proof: {{domain: no-such-domain}}, wn: {{domain: none-either}}}}
"""


def command(name: str) -> Path:
    """The installed console script."""
    return Path(sys.executable).with_name(name)


@dataclass
class SumWatch:
    """Samples both domains all the time, and keeps every sample in which the host's memory was exceeded.

    Two domains cannot be read at one instant: the Worker Node is read before and after, and the smaller counts.
    """

    uri: str
    wn: str = "wn"
    proof: str = "proof"
    limit_mib: int = GUESTS_MIB
    samples: int = 0
    largest_mib: int = 0
    exceeded: list[tuple[int, int, int]] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator["SumWatch"]:
        """Watch during the ``with`` block."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._end.set()
            thread.join(COMMAND_DEADLINE_S)

    def _run(self) -> None:
        with closing(libvirt.open(self.uri)) as connection:
            wn, proof = connection.lookupByName(self.wn), connection.lookupByName(self.proof)
            while not self._end.wait(0.1):
                first, middle, last = (domain.memoryStats()["actual"] // 1024 for domain in (wn, proof, wn))
                total = min(first, last) + middle
                self.samples += 1
                self.largest_mib = max(self.largest_mib, total)
                if total > self.limit_mib:
                    self.exceeded.append((first, middle, last))


@dataclass
class Site:
    """What a test acts on."""

    area: ProofArea
    wn: Guest
    proof: Guest
    prometheus: PrometheusServer
    controller: Process
    config: Path
    exporter: Process

    def autoscaler(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run an ``autoscaler`` command with the site's configuration."""
        argv = [command("autoscaler"), *words, "--config", self.config]
        return subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND_DEADLINE_S, check=False)

    def history(self, *words: str) -> list[dict[str, Any]]:
        """The recorded decisions, oldest first."""
        done = self.autoscaler("history", "--format", "json", "--limit", "1000", *words)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def sizes_mib(self) -> tuple[int, int]:
        """The present balloon sizes of PROOF and the Worker Node."""
        return self.proof.actual_mib(), self.wn.actual_mib()


@contextmanager
def running_site(uri: str, kernel: Kernel, scratch: Path) -> Iterator[Site]:
    """Start everything but the controller; the Worker Node has all the memory."""
    with ExitStack() as stack:
        area = stack.enter_context(ProofArea(scratch))
        port = free_port()
        exporter = [command("vaf-exporter"), "proof", "--admin-path", scratch, "--listen", f"127.0.0.1:{port}"]
        watching = stack.enter_context(Process(exporter, scratch, name="exporter"))
        prometheus = stack.enter_context(PrometheusServer(scratch, {"proof": [f"127.0.0.1:{port}"]}))
        guests = [
            Guest(uri, kernel, scratch, "wn", memory_max_mib=WN_MIB, cpuset="0", use_mib=64),
            Guest(uri, kernel, scratch, "proof", memory_max_mib=AWAKE_MIB, memory_mib=DORMANT_MIB, cpuset="0"),
        ]
        for guest in guests:
            guest.start()
            stack.callback(guest.destroy)
        for guest in guests:
            guest.wait_booted()
        prometheus.wait_for_data("proof_up == 1")
        # One hypervisor may be planned once only; another way to the same one has none of the domains it is to have.
        other = uri.replace("qemu:", "qemu+unix:")
        config = scratch / "autoscaler.yaml"
        config.write_text(CONFIG.replace("PROMETHEUS", prometheus.url).replace("LIBVIRT", uri).replace("OTHER", other))
        controller = Process([command("autoscaler"), "run", "--config", config], scratch, name="controller")
        stack.callback(controller.kill9)
        yield Site(area, *guests, prometheus, controller, config, watching)
