"""What deploy/ asks of Prometheus has an answer: behind it stand the exporters and a controller that grows and shrinks.

Prometheus runs with the configuration and the rules of deploy/prometheus, only more often. The hypervisor is libvirt's
test driver and the batch system prints captured answers. What the test driver's guests do not tell is from a golden
exposition of real ones; a forecast, which takes hours to be judged, and what people say of a host are shown by the
controller's own code from a made decision.
"""

import math
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import time as time_of_day
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from ruamel.yaml import YAML

from autoscaler.api.metrics import ApiMetrics
from autoscaler.config.grafana_section import GrafanaSection
from autoscaler.hypervisors.in_memory import host_xml
from autoscaler.model import Decision, Direction, HostObservation, HostState, Orders
from autoscaler.service.grafana import Grafana
from autoscaler.service.metrics import PolicyMetrics, RefitMetrics, metrics_at
from autoscaler.service.refit import Refit
from tests.core.situations import a_pause, an_override
from tests.deploy.expressions import (
    NAMES_OF_SELECTOR,
    PROMETHEUS,
    dashboards,
    metric_names,
    panel_expressions,
    rules,
    variable_metrics,
)
from tests.exporters.exposition import GOLDEN, SAMPLES
from tests.exporters.running import running_exporter
from tests.exporters.wn.fakes import install, printing
from tests.service.test_metrics import LEARNED, decided
from tests.testbed.processes import Process, free_port, wait_until
from tests.testbed.prometheus_server import PrometheusServer
from tests.testbed.proof_area import ProofArea, Status
from tests.testbed.site import command
from tests.testbed.test_xrootd import free_udp_port
from tests.testbed.xrootd_server import Xrootd

HOST = "vaf-dom0-001"  # as in the golden exposition
RATE = "10s"
DEADLINE_S = 300
ANSWERS_DEADLINE_S = 60

CONFIG = f"""
controller: {{interval: 1s, store: decisions.sqlite, metrics_listen: "METRICS"}}
source: {{kind: prometheus, url: "PROMETHEUS", timeout: 5s, step: 2s}}
policy: {{name: threshold, workers_per_session: 4, idle: 2s}}
shadows: {{patient: {{name: threshold, workers_per_session: 8, idle: 1h}}}}
guards: {{fresh_for: 90s, shrink_cooldown: 10s}}
host_defaults:
  memory_reserve: 573 MiB
  proof: {{dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 8}}
  wn: {{memory_floor: 572 MiB, swap_down_to: 572 MiB, memory_max: 6911 MiB}}
hosts:
  - {{name: {HOST}, uri: "test://HYPERVISOR", proof: {{domain: vaf-proof-001}}, wn: {{domain: vaf-wn-001}}}}
"""

SQUEUE = """case "$*" in *--json*) {jobs} ;; *--steps*) echo 1.batch ;; *) echo '1|1_N/A|2|1:00:00' ;; esac"""


@dataclass(frozen=True)
class Watched:
    """A facility that has grown and shrunk, and the Prometheus that saw it."""

    prometheus: PrometheusServer
    began_s: float

    def values(self, promql: str) -> list[float]:
        """Every value since the beginning that is a number."""
        found = self.prometheus.query_since(self.began_s, promql)
        values = [float(value) for series in found for _, value in series["values"]]
        return [value for value in values if not math.isnan(value)]


class Recorded(Collector):
    """A golden exposition."""

    def __init__(self, name: str) -> None:
        self._text = (GOLDEN / f"{name}.prom").read_text()

    def collect(self) -> Iterable[Metric]:
        return text_string_to_metric_families(self._text)


def with_orders(decision: Decision) -> Decision:
    """The decision with a host of which people have said all that there is to say."""
    away = HostObservation("away", HostState.UNUSABLE)
    orders = Orders((a_pause(Direction.GROW, away.host),), (an_override(3, away.host),))
    return replace(decision, situation=replace(decision.situation, hosts=(away,), orders=orders))


def heard() -> ApiMetrics:
    """An API that has been asked something, and told of an alert."""
    api = ApiMetrics()
    api.answered("/api/v1/state", 200)
    api.heard("grafana", begun=1)
    return api


def targets(folder: Path, job: str, address: str) -> None:
    with (folder / "targets" / f"{job}.yml").open("a") as file:
        file.write(f'- targets: ["{address}"]\n')


def quick_prometheus(folder: Path) -> Path:
    """Copy the configuration of deploy/prometheus without its targets; return it, scraping each second."""
    shutil.copytree(PROMETHEUS, folder, ignore=shutil.ignore_patterns("targets"))
    (folder / "targets").mkdir()
    file = folder / "prometheus.yml"
    config = YAML(typ="safe").load(file)
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    YAML(typ="safe").dump(config, file)
    return file


def start_exporters(stack: ExitStack, scratch: Path, folder: Path, hypervisor: Path) -> None:
    commands = scratch / "commands"
    commands.mkdir()
    install(commands, "squeue", SQUEUE.format(jobs=printing(SAMPLES / "slurm" / "squeue.json", commands)))
    install(commands, "sinfo", printing(SAMPLES / "slurm" / "sinfo.json", commands))
    install(commands, "sstat", "echo '1.batch|1|01:54:00'")
    report_to = f"127.0.0.1:{free_udp_port()}"
    for job, words in {
        "proof": ("proof", "--admin-path", scratch),
        "wn": ("wn", "--batch", "slurm", "--cpu-efficiency", "--commands", commands),
        "domain": ("wn", "--libvirt", f"test://{hypervisor}"),
        "xrootd": ("xrootd", "--report", report_to),
    }.items():
        place = scratch / f"exporter-{job}"
        place.mkdir()
        targets(folder, job, stack.enter_context(running_exporter(*words, scratch=place)).address)
    stack.enter_context(Xrootd(scratch, report_to))


@contextmanager
def watching(scratch: Path) -> Iterator[tuple[PrometheusServer, ProofArea]]:
    """Start everything, the controller last; no session is there yet."""
    with ExitStack() as stack:
        area = stack.enter_context(ProofArea(scratch))
        hypervisor = scratch / "host.xml"
        domains = {"vaf-proof-001": (6911, 572), "vaf-wn-001": (6911, 6911)}
        hypervisor.write_text(host_xml(8056, 8, domains))
        folder = scratch / "prometheus"
        config = quick_prometheus(folder)
        start_exporters(stack, scratch, folder, hypervisor)
        learned = PolicyMetrics()
        learned.show(with_orders(decided(LEARNED)))
        grafana = Grafana(GrafanaSection())
        nightly = RefitMetrics(Refit([], time_of_day(3, 30)))
        shown = {
            "domain": [Recorded("domain")],
            "lustre": [Recorded("lustre")],
            "autoscaler": [learned, nightly, grafana, heard()],
        }
        for job, told in shown.items():
            _, port = stack.enter_context(metrics_at(("127.0.0.1", 0), *told))
            targets(folder, job, f"127.0.0.1:{port}")
        metrics = f"127.0.0.1:{free_port()}"
        targets(folder, "autoscaler", metrics)
        prometheus = stack.enter_context(PrometheusServer(scratch, {}, config=config))
        prometheus.wait_for_data("proof_up == 1")
        text = CONFIG.replace("METRICS", metrics).replace("PROMETHEUS", prometheus.url)
        (scratch / "autoscaler.yaml").write_text(text.replace("HYPERVISOR", str(hypervisor)))
        words = [command("autoscaler"), "run", "--config", scratch / "autoscaler.yaml"]
        stack.enter_context(Process(words, scratch, name="controller"))
        yield prometheus, area


@pytest.fixture
def watched(scratch: Path) -> Iterator[Watched]:
    """A user comes, and goes when the workers are there; they stay for a moment, since a guard keeps them."""
    began_s = time.time()
    with watching(scratch) as (prometheus, area):
        prometheus.wait_for_data("autoscaler_observed_workers == 0", DEADLINE_S)
        session = area.open_session("alice", status=Status.RUNNING)
        prometheus.wait_for_data("autoscaler_observed_workers == 4", DEADLINE_S)
        area.close_session(session)
        prometheus.wait_for_data("autoscaler_observed_workers == 0", DEADLINE_S)
        yield Watched(prometheus, began_s)


def test_every_expression_of_dashboards_and_rules_is_answered(watched: Watched) -> None:
    """One test: the facility behind it takes half a minute."""
    silent = {
        expression.replace("$__rate_interval", RATE).replace("$host", HOST): f"{name}: {where}"
        for name in dashboards()
        for where, expression in panel_expressions(name)
    }

    def none_is_silent() -> bool:
        for expression in [each for each in silent if watched.values(each)]:
            del silent[expression]
        return not silent

    try:
        wait_until(none_is_silent, ANSWERS_DEADLINE_S, "an answer to every expression")
    except AssertionError:
        pytest.fail(f"without an answer: {silent}")
    names = set().union(*(metric_names(NAMES_OF_SELECTOR.sub("", rule["expr"])) for rule in rules()))
    names |= set().union(*(variable_metrics(name) for name in dashboards()))
    assert [name for name in sorted(names) if not watched.values(name)] == []
    assert [rule["name"] for rule in watched.prometheus.rules() if rule["health"] != "ok"] == []
