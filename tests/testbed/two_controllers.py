"""Two controllers in processes of their own, with one PostgreSQL, and one host that both reach.

The host is libvirt's test driver in a libvirtd, so that both see the same domains; the first controller reaches the
database by a proxy that can be cut.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import libvirt
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.site import Exporter, served
from tests.testbed.libvirtd import Libvirtd
from tests.testbed.postgres_server import Postgres
from tests.testbed.processes import Process, free_port, scratch_folder, wait_until
from tests.testbed.proxy import Proxy, proxied

DEADLINE_S = 90
DORMANT_MIB, WORKER_MIB, WORKERS = 512, 256, 6
WN_MIB, WN_FLOOR_MIB = 2048, 512
GUESTS_MIB = DORMANT_MIB + WN_MIB  # 2560 = 512 + 6 * 256 + 512; the test driver's machine has 3072
REST = "<vcpu>4</vcpu><os><type>hvm</type></os><devices><memballoon model='virtio'/></devices>"

CONFIG = f"""
controller:
  {{interval: 200ms, host_timeout: 20s, transfer_stall: 20s, metrics_listen: "127.0.0.1:METRICS", store: unused.sqlite}}
store: {{url: "URL", password_file: "PASSWORD"}}
source: {{kind: scrape, timeout: 5s, targets: {{proof: ["EXPORTER"]}}}}
policy: {{name: threshold, workers_per_session: 2, idle: 1s}}
guards: {{fresh_for: 60s, shrink_cooldown: 0s}}
hosts:
  - name: host-1
    uri: "LIBVIRT"
    memory_total: 3072 MiB
    memory_reserve: 512 MiB
    proof:
      {{domain: proof, dormant_memory: {DORMANT_MIB} MiB, memory_per_worker: {WORKER_MIB} MiB, workers_max: {WORKERS}}}
    wn: {{domain: wn, memory_floor: {WN_FLOOR_MIB} MiB, memory_max: {WN_MIB} MiB, swap_down_to: {WN_FLOOR_MIB} MiB}}
"""


@dataclass(eq=False)
class Controller:
    """One ``autoscaler run``, by its metrics."""

    process: Process
    config: Path
    port: int

    def metrics(self) -> dict[str, float]:
        """The value of each metric, its series added up; empty while it does not answer."""
        try:
            text = requests.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5).text
        except requests.RequestException:
            return {}
        found: dict[str, float] = {}
        for sample in (each for family in text_string_to_metric_families(text) for each in family.samples):
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
        return found

    @property
    def leads(self) -> bool:
        """Whether it leads, and has finished a cycle since it does."""
        metrics = self.metrics()
        return metrics.get("autoscaler_leader") == 1 and "autoscaler_last_cycle_timestamp_seconds" in metrics

    @property
    def finished_at_s(self) -> float:
        """When it last finished a cycle, in seconds since the epoch; 0 while it does not lead."""
        return self.metrics().get("autoscaler_last_cycle_timestamp_seconds", 0.0)

    @property
    def stands_by(self) -> bool:
        """Whether it lives, and does not lead."""
        return self.metrics().get("autoscaler_leader") == 0

    def wait_until_leads(self) -> None:
        """Wait until it does."""
        self.process.wait_until(lambda: self.leads, DEADLINE_S, "it to lead")

    def wait_until_stands_by(self) -> None:
        """Wait until it does."""
        self.process.wait_until(lambda: self.stands_by, DEADLINE_S, "it to stand by")

    def status(self) -> str:
        """What ``autoscaler status`` prints of it."""
        command = [Path(sys.executable).with_name("autoscaler"), "status", "--config", self.config]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout


@dataclass
class Pair:
    """The first controller leads, the second one stands by; ``most_mib`` is the most that the domains ever had."""

    first: Controller
    second: Controller
    postgres: Postgres
    proxy: Proxy
    exporter: Exporter
    host: libvirt.virConnect
    most_mib: int = 0
    _ending: threading.Event = field(default_factory=threading.Event)

    def memory_mib(self, domain: str) -> int:
        """The size of a domain."""
        return self.host.lookupByName(domain).info()[2] // 1024

    def serve(self, sessions: int) -> None:
        """Let so many sessions wait, and wait until PROOF has their workers."""
        self.exporter.queued = sessions
        wanted = DORMANT_MIB + 2 * sessions * WORKER_MIB
        wait_until(lambda: self.memory_mib("proof") == wanted, DEADLINE_S, f"PROOF to have {wanted} MiB")

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Let users come and go all the time, and watch what the domains have together."""
        self._ending.clear()
        threads = [threading.Thread(target=each) for each in (self._come_and_go, self._watch)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ending.set()
            for thread in threads:
                thread.join()

    def _come_and_go(self) -> None:
        # Slower than the policy gives back, so that there is always something to move.
        while not self._ending.wait(3):
            self.exporter.queued = 3 - self.exporter.queued

    def _watch(self) -> None:
        while not self._ending.wait(0.002):
            # What shrinks first is read first: read in between, the sum would be one that never was.
            donor_last = [self.memory_mib(name) for name in ("proof", "wn", "proof")]
            self.most_mib = max(self.most_mib, donor_last[1] + min(donor_last[0], donor_last[2]))


@contextmanager
def two_controllers(postgres: Postgres) -> Iterator[Pair]:
    """Start both, the first one leading; the scratch folder and all processes are gone afterwards."""
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder())
        libvirtd = stack.enter_context(Libvirtd(stack.enter_context(scratch_folder())))
        uri = libvirtd.uri.replace("qemu:///system", "test+unix:///default")
        host = stack.enter_context(closing(_host(uri)))
        exporter = Exporter()
        exporter.queued = 1
        url = stack.enter_context(served(exporter))
        proxy = stack.enter_context(proxied(postgres.port))
        database = postgres.new_database()

        def controller(name: str, port: int) -> Controller:
            folder = scratch / name
            folder.mkdir()
            values = {
                "URL": postgres.url(database, port),
                "PASSWORD": str(postgres.password_file),
                "EXPORTER": url,
                "LIBVIRT": uri,
                "METRICS": str(free_port()),
            }
            text = CONFIG
            for key, value in values.items():
                text = text.replace(f'"{key}"', f'"{value}"').replace(f":{key}", f":{value}")
            config = folder / "autoscaler.yaml"
            config.write_text(text)
            argv = [Path(sys.executable).with_name("autoscaler"), "run", "--config", config]
            process = stack.enter_context(Process(argv, folder, name="autoscaler", cwd=folder))
            return Controller(process, config, int(values["METRICS"]))

        first = controller("first", proxy.port)
        first.wait_until_leads()
        second = controller("second", postgres.port)
        second.wait_until_stands_by()
        yield Pair(first, second, postgres, proxy, exporter, host)


def _host(uri: str) -> libvirt.virConnect:
    """The test driver's machine, with our domains instead of its own."""
    connection = libvirt.open(uri)
    for domain in connection.listAllDomains():
        domain.destroy()
        domain.undefine()
    for name, memory_mib in (("proof", DORMANT_MIB), ("wn", WN_MIB)):
        connection.createXML(
            f"<domain type='test'><name>{name}</name><memory unit='MiB'>{WN_MIB}</memory>"
            f"<currentMemory unit='MiB'>{memory_mib}</currentMemory>{REST}</domain>"
        )
    return connection
