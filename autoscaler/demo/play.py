"""Plays the day: the real controller, source, store and libvirt, with a clock that the demo moves."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

from prometheus_client import CollectorRegistry, start_http_server

from autoscaler.config.signals import BUILT_IN
from autoscaler.core.rules import Rules
from autoscaler.demo.day import MIDNIGHT, DayExporter, load_at
from autoscaler.demo.facility import CORES, demo_facility
from autoscaler.demo.summary import Summary
from autoscaler.hypervisors import connect
from autoscaler.model import Facility, GuardLimits, Host, HostObservation
from autoscaler.service.controller import Controller, Pace
from autoscaler.simulation.cpu import Claim, share_cores
from autoscaler.sources.scrape import ScrapeSource
from autoscaler.store.records import Record
from autoscaler.store.sql import SqlStore
from policies.threshold import Threshold

STEP = timedelta(minutes=5)
CYCLES_PER_DAY = timedelta(days=1) // STEP
POLICY = Threshold(workers_per_session=6, idle=timedelta(minutes=15))
LIMITS = GuardLimits(fresh_for=STEP, shrink_cooldown=2 * STEP)
PACE = Pace(host_timeout=timedelta(seconds=10), transfer_stall=timedelta(seconds=10))


@dataclass(frozen=True, slots=True)
class Moment:
    """One cycle: its record with outcomes, the hosts after it, and each domain's CPU seconds so far."""

    record: Record
    facility: Facility
    hosts: tuple[HostObservation, ...]
    cpu_time_s: dict[str, float]


def play(cycles: int, summary: Summary) -> Iterator[Moment]:
    """Yield the day's moments one by one and add each to ``summary``."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="autoscaler-demo-")))
        exporter = DayExporter(STEP)
        url = stack.enter_context(_served(exporter))
        facility = demo_facility(folder)
        store = SqlStore(folder / "decisions.sqlite")
        stack.callback(store.close)
        controller = Controller(
            facility=facility,
            rules=Rules(POLICY, LIMITS),
            source=ScrapeSource({"proof": [url]}, BUILT_IN, POLICY.history, STEP, PACE.host_timeout),
            connect=connect,
            store=store,
            pace=PACE,
            clock=lambda: exporter.now,
        )
        stack.callback(controller.stop)
        cpu_time_s = {name: 0.0 for host in facility.hosts for name in host.domain_names}
        for number in range(cycles):
            exporter.now = MIDNIGHT + number * STEP
            record = _cycle(controller, store, summary)
            hosts = record.hosts_after()
            summary.add(record, facility, hosts)
            for seen in hosts:
                _account_cpu(facility.host(seen.host), seen, exporter.now, cpu_time_s)
            yield Moment(record, facility, hosts, dict(cpu_time_s))


@contextmanager
def _served(exporter: DayExporter) -> Iterator[str]:
    registry = CollectorRegistry()
    registry.register(exporter)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()
    thread.join()


def _cycle(controller: Controller, store: SqlStore, summary: Summary) -> Record:
    cycle = controller.cycle()
    began = perf_counter()
    controller.settle()
    summary.read_s.append(cycle.read_s)
    summary.decide_s.append(cycle.decide_s)
    if cycle.decision.transfers:
        summary.act_s.append(perf_counter() - began)
    return store.record(cycle.number)


def _account_cpu(host: Host, seen: HostObservation, now: datetime, cpu_time_s: dict[str, float]) -> None:
    """The Worker Node's jobs could always use every core; PROOF uses its workers' cores while sessions run."""
    if not seen.domains:
        return
    load = load_at(now, STEP)
    busy = float(CORES) if load.queued or load.running else 0.0
    claims = {}
    for domain in seen.domains:
        has, wants = domain.allocation, busy if domain.name == host.proof.name else CORES
        claims[domain.name] = Claim(min(wants, has.cpu_cap_cores or CORES), has.cpu_weight)
    for name, cores in share_cores(CORES, claims).items():
        cpu_time_s[name] += cores * STEP.total_seconds()
