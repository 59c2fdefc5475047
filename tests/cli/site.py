"""A small site for the commands: a PROOF exporter, hosts on libvirt's test driver, and a configuration file."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from autoscaler.cli.commands import autoscaler
from autoscaler.hypervisors.in_memory import host_xml
from autoscaler.store.sql import SqlStore

COMMAND = Path(sys.executable).with_name("autoscaler")
WIDTH = 100

HOST = """
  - name: {name}
    uri: "test://{xml}"
    proof: {{domain: proof}}
    wn: {{domain: wn}}
"""

# How any site of a test ends: hosts of the prototype's size, of which each is a HOST.
HOSTS = """host_defaults:
  memory_total: 8056 MiB
  memory_reserve: 573 MiB
  proof: {{dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 8}}
  wn: {{memory_floor: 572 MiB, memory_max: 6911 MiB, swap_down_to: 572 MiB}}
hosts:{hosts}
"""

CONFIG = (
    """
controller: {{interval: 100ms, host_timeout: 20s, transfer_stall: 20s, store: decisions.sqlite}}
source:
  kind: scrape
  timeout: 20s
  targets: {{proof: ["{url}"]}}
policy: {{name: threshold, workers_per_session: 4, idle: 5m}}
guards: {{fresh_for: 60s}}
"""
    + HOSTS
)


class Exporter(Collector):
    """What the PROOF exporter serves, as a test sets it."""

    def __init__(self) -> None:
        self.up = 1
        self.queued = 0
        self.running = 0
        self.age_s = 0.0

    def collect(self) -> Iterable[Metric]:
        """The load as set."""
        yield GaugeMetricFamily("proof_up", "1 while the source can be read.", value=self.up)
        if not self.up:
            return
        yield GaugeMetricFamily(
            "proof_last_success_timestamp_seconds", "Unix time of the last read.", value=time.time() - self.age_s
        )
        yield GaugeMetricFamily("proof_queue_depth", "Sessions that wait.", value=self.queued)
        sessions = GaugeMetricFamily("proof_sessions", "Sessions by state.", labels=["state"])
        sessions.add_metric(["running"], self.running)
        yield sessions


@contextmanager
def served(exporter: Exporter) -> Iterator[str]:
    """Serve it on a free port; gives the URL."""
    registry = CollectorRegistry()
    registry.register(exporter)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Site:
    """The site of one test; change ``text`` and ``write()`` for another configuration."""

    folder: Path
    url: str
    exporter: Exporter
    hosts: tuple[str, ...] = ("host-1",)
    text: str = field(init=False)

    def __post_init__(self) -> None:
        sections = []
        for name in self.hosts:
            xml = self.folder / f"{name}.xml"
            xml.write_text(host_xml(8056, 8, {"proof": (6911, 572), "wn": (6911, 6911)}))
            sections.append(HOST.format(name=name, xml=xml))
        self.text = CONFIG.format(url=self.url, hosts="".join(sections))
        self.write()

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "autoscaler.yaml"

    @property
    def store(self) -> Path:
        """The store's file."""
        return self.folder / "decisions.sqlite"

    def write(self) -> Path:
        """Write the configuration."""
        self.config.write_text(self.text)
        return self.config

    def replace(self, before: str, after: str) -> None:
        """Change the configuration."""
        assert before in self.text
        self.text = self.text.replace(before, after)
        self.write()

    def invoke(self, command: str, *arguments: object) -> Result:
        """Run a command with the site's configuration, in this process."""
        return invoke(command, "--config", self.config, *arguments)

    def run(self, cycles: int = 2) -> Result:
        """Run the loop for some cycles."""
        return self.invoke("run", "--cycles", cycles)

    def make_empty_store(self) -> None:
        """What there is before the first cycle is over."""
        SqlStore(self.store).close()


def invoke(*arguments: object, env: Mapping[str, str] | None = None) -> Result:
    """Run a command in this process; what it does not handle is raised here."""
    words = [str(word) for word in arguments]
    environment: dict[str, Any] = {"AUTOSCALER_CONFIG": None, **(env or {})}
    result = CliRunner(env=environment).invoke(autoscaler, words, prog_name="autoscaler", terminal_width=WIDTH)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_process(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command to its end."""
    environment = {key: value for key, value in os.environ.items() if key != "AUTOSCALER_CONFIG"}
    words = [str(word) for word in (COMMAND, *arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd, env=environment, timeout=60)
