"""One life of a soak's controller: a process with real store, API, retention and metrics, until it is killed."""

import gc
import json
import logging
import sqlite3
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from autoscaler.api.app import Facilities, make_app
from autoscaler.api.metrics import ApiMetrics
from autoscaler.config.load import Loaded, load
from autoscaler.contracts import Source, StoreError
from autoscaler.core.decide import decide
from autoscaler.core.guards import unknown_reason
from autoscaler.model import Tuning, Window
from autoscaler.service import controller as service
from autoscaler.service.controller import Controller, Pace
from autoscaler.service.cycle_metrics import CycleMetrics
from autoscaler.service.duty import Duty
from autoscaler.service.health import Health
from autoscaler.service.metrics import PolicyMetrics
from autoscaler.service.retention import Retention
from autoscaler.sources import make_source
from autoscaler.store.retention import Keep
from autoscaler.store.sql import SqlStore
from tests.benchmarks.soak_laws import broken_by, broken_ledger
from tests.benchmarks.soak_plan import DAY_S, HOUR_S, Edge, Firing, Kill, Plan, as_time
from tests.benchmarks.soak_world import Shared, World, shared_at

INTERVAL_S = 60
RETENTION_EVERY_S = 600
# One decision in so many is read back and decided again.
AGAIN_EVERY = 20
# So long it is sure that what has begun is kept, whatever the clock does; the store keeps it for 14 days.
REMEMBERED_S = 13 * DAY_S
HOSTS = ("host-1", "host-2", "host-3", "host-4")

CONFIG = """
controller:
  {{interval: 60s, transfer_stall: 20s, store: decisions.sqlite, keep: {keep_h}h, keep_size: 10 GiB}}
source: {{kind: scrape, timeout: 5s, targets: {{proof: ["http://127.0.0.1:{port}/metrics"]}}}}
policy: {{name: threshold, workers_per_session: 4}}
api: {{tokens_file: tokens, requests_per_minute: 1000000}}
tuning:
  - {{match: {{severity: boost}}, action: {{boost_workers: 6}}, for: 2h}}
  - {{match: {{severity: cap}}, action: {{cap_workers: 10}}, for: 1h}}
  - {{match: {{severity: freeze-grow}}, action: {{freeze: grow, hosts: host-1}}, for: 1h}}
  - {{match: {{severity: freeze-shrink}}, action: {{freeze: shrink, hosts: all}}, for: 1h}}
host_defaults:
  memory_total: 8056 MiB
  memory_reserve: 573 MiB
  proof: {{dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 8}}
  wn: {{memory_floor: 572 MiB, memory_max: 6911 MiB}}
hosts:
  - {{name: host-1, uri: "test:///1", proof: {{domain: proof-1}}, wn: {{domain: wn-1}}}}
  - {{name: host-2, uri: "test:///2", proof: {{domain: proof-2}}, wn: {{domain: wn-2}}}}
  - {{name: host-3, uri: "test:///3", proof: {{domain: proof-3, dormant_state: saved}}, wn: {{domain: wn-3}}}}
  - name: host-4
    uri: test:///4
    memory_total: 12 GiB
    proof: {{domain: proof-4}}
    wn: [{{domain: wn-4-a}}, {{domain: wn-4-b, memory_max: 4 GiB}}]
"""


@dataclass(frozen=True, slots=True)
class Task:
    """What a process is to live: where, how long the store keeps decisions, and until when it lives."""

    folder: Path
    plan: Plan
    keep: timedelta
    token: str
    until_s: float

    @property
    def broken(self) -> Path:
        """Where broken laws are written down."""
        return self.folder / "broken"

    @property
    def begun(self) -> Path:
        """Where the alerts are written down that have begun something."""
        return self.folder / "begun"

    @property
    def samples(self) -> Path:
        """Where the sizes of process and store are written down."""
        return self.folder / "samples"


def live(task: Task) -> None:
    """Live until the plan stops this life, or kills it."""
    logging.disable(logging.CRITICAL)
    shared = shared_at(task.folder / "shared")
    with _exporter(task.plan, shared) as port:
        text = CONFIG.format(port=port, keep_h=max(1, round(task.keep / timedelta(hours=1))))
        (task.folder / "autoscaler.yaml").write_text(text)
        life = Life(task, shared, load(task.folder / "autoscaler.yaml"))
        life.check_store()
        while shared.now_s + INTERVAL_S <= task.until_s:
            life.step()
        life.end()


class Life:
    """A controller with all that ``autoscaler run`` puts around it, and the edges that fail by the plan."""

    def __init__(self, task: Task, shared: Shared, loaded: Loaded) -> None:
        self.task, self.shared, self.loaded, self.plan = task, shared, loaded, task.plan
        self.world = World(self.plan, shared, loaded.config.facility(), task.broken)
        self.store = SqlStore(loaded.config.controller.store)
        self._let_the_store_fail()
        api_metrics, self.health = ApiMetrics(), Health(lambda: self.clock().timestamp())
        using = Facilities(lambda: loaded, self.store, self.clock, lambda: None, api_metrics)
        self.client = _client(make_app(using))
        self.shown, self.policies = CycleMetrics(loaded.config.controller.interval), PolicyMetrics()
        self.registry = CollectorRegistry()
        for each in (self.shown, self.policies, self.health, api_metrics):
            self.registry.register(each)
        settings = loaded.config.controller
        self.retention = Retention(self.store.prune, Keep(settings.keep, settings.keep_size), self.clock)
        self.beside = ThreadPoolExecutor(1)
        self.pruning: Future[None] | None = None
        self.begun = set(task.begun.read_text().split()) if task.begun.exists() else set()
        # What the next decision is to know of, and what none may know of any more, by the names of alerts.
        self.hears: dict[str, str] = {}
        self.resolved: set[str] = set()
        self.begin()

    def begin(self) -> None:
        """Begin a controller over the store, as a restart does."""
        loaded, settings = self.loaded, self.loaded.config.controller
        self.controller = Controller(
            facility=loaded.config.facility(),
            rules=loaded.rules,
            source=RaisingSource(make_source(loaded.config.source, loaded.history, settings.interval), self),
            connect=lambda host: self.world.hosts[host.name],
            store=self.store,
            pace=Pace(settings.host_timeout, settings.transfer_stall),
            clock=self.clock,
            on_outcome=self.shown.ended,
            wait=self.world.wait,
        )
        hosts = self.controller._hosts
        self.world.busy = lambda: frozenset(
            name for name, lane in hosts._lanes.items() if lane.transferring is not None
        )
        self.duty = Duty(self.controller, self.health, settings.failures_to_safe, self.store.record_failure, self.clock)

    def clock(self) -> datetime:
        """The controller's clock, which may be wrong."""
        now_s = self.shared.now_s
        return as_time(now_s + self.plan.clock_offset_s(now_s))

    def step(self) -> None:
        """Let a minute pass, and live through it."""
        before_s = self.shared.now_s
        self.world.advance(before_s + INTERVAL_S)
        now_s = self.shared.now_s
        if any(before_s < at_s <= now_s for at_s in self.plan.restarts):
            self.restart()
        self.hears.clear()
        for firing, fires in self.plan.told(now_s, INTERVAL_S):
            self.tell(firing, fires=fires)
        for number in self.plan.announced(now_s, INTERVAL_S):
            self.announce(number)
        self.cycle()
        if now_s % RETENTION_EVERY_S < INTERVAL_S and (self.pruning is None or self.pruning.done()):
            self.pruning = self.beside.submit(self.retention.run)
        if now_s % HOUR_S < INTERVAL_S:
            self.look_around()

    def restart(self) -> None:
        """Stop the controller, every second time without waiting for its transfers, and begin another."""
        service.STOP_GRACE_S = 0.0 if self.shared.restarts % 2 else 60.0
        if not self.shared.restarts % 2:
            self.world.let_go()
        self.controller.stop()
        self.shared.restarts += 1
        self.begin()

    def cycle(self) -> None:
        """One cycle, and what must be true of it."""
        try:
            done = self.duty.cycle()
        except StoreError:
            self.shared.failed_by_store += 1
            self._expect("a cycle fails by the store", self._is_down(Edge.STORE))
            return
        except RaisedError:
            self.shared.failed_by_raising += 1
            return
        self.policies.show(done.decision)
        self.shown.show(done, self.loaded.config.facility(), self.loaded.rules)
        self.shared.finished += 1
        self.shared.transfers += len(done.decision.transfers)
        readable = not self._is_down(Edge.SOURCE)
        if readable:
            self.shared.known_s = self.shared.now_s
        unknown_for = timedelta(seconds=self.shared.now_s - self.shared.known_s)
        for law in broken_by(done.decision, self.loaded.config.facility(), self.loaded.rules, unknown_for):
            self.world.broken(f"decision {done.number}: {law}")
        self.check_heard(done.number, done.decision.situation.tunings)
        why = unknown_reason(done.decision.situation.window, self.loaded.policy.signals, self.loaded.rules.limits)
        knows = readable and abs(self.plan.clock_offset_s(self.shared.now_s)) < 5
        self._expect(f"decision {done.number}: what can be read is unknown: {why}", why is None or not knows)
        if done.number % AGAIN_EVERY == 0:
            self.decide_again(done.number)

    def decide_again(self, number: int) -> None:
        """Read a decision back and decide it again."""
        try:
            stored = self.store.record(number).decision
        except StoreError:
            self._expect(f"decision {number} cannot be read", self._is_down(Edge.STORE))
            return
        again = decide(stored.situation, self.loaded.config.facility(), self.loaded.rules)
        self._expect(f"decision {number} is another when it is decided again", again == stored)
        self.shared.checked_again += 1

    def tell(self, firing: Firing, *, fires: bool) -> None:
        """Post one alert as Alertmanager does, unless it cannot reach us."""
        if self._is_down(Edge.WEBHOOK):
            return
        alert = {
            "status": "firing" if fires else "resolved",
            "labels": {"alertname": firing.name, "severity": firing.severity},
            "startsAt": as_time(firing.begin_s).isoformat(),
            "fingerprint": f"{firing.number:016x}",
        }
        body = {"version": "4", "groupKey": f"soak/{firing.number}", "alerts": [alert]}
        answer = self._ask("POST", "/api/v1/alerts/alertmanager", content=json.dumps(body))
        if answer is not None and answer["begun"]:
            self._expect(f"{firing.name} has begun something twice", firing.name not in self.begun)
            self._expect(f"{firing.name} begins something and is over", fires)
            self.begun.add(firing.name)
            with self.task.begun.open("a") as file:
                file.write(f"{firing.name}\n")

        if answer is not None and not fires:
            self.resolved.add(firing.name)
        if answer is not None and answer["begun"]:
            self.hears[firing.name] = firing.severity

    def check_heard(self, number: int, tunings: Sequence[Tuning]) -> None:
        """What was said to have begun acts at once, through its rule, and what is resolved acts no more."""
        for name, severity in self.hears.items():
            acts = any(each.rule.endswith(f"severity={severity}") for each in tunings)
            self._expect(f"decision {number} does not know of {name}, which has begun something", acts)
        over = {each.name for each in tunings} & self.resolved
        self._expect(f"decision {number} knows of {over}, which was resolved", not over)

    def announce(self, number: int) -> None:
        """Announce a session as a login script does, twice, unless it cannot reach us."""
        if self._is_down(Edge.WEBHOOK):
            return
        body = json.dumps({"id": f"soak-{number}", "workers": 4, "user": "soak", "wait_s": 0})
        first, again = (self._ask("POST", "/api/v1/sessions", content=body) for _ in range(2))
        if first is not None and again is not None:
            same = first["counts_until"] == again["counts_until"]
            self._expect(f"a session that is announced twice is another: {first}, {again}", same)
            self.shared.announced += 1

    def look_around(self) -> None:
        """What a wall display and Prometheus ask for, and how large all is by now."""
        self._ask("GET", "/api/v1/decisions")
        self._ask("GET", "/api/v1/state")
        generate_latest(self.registry)
        self.check_ledger()
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        files = self.task.folder.glob("decisions.sqlite*")
        sample = {
            "at_s": self.shared.now_s,
            "rss_kib": pages * 4,
            "objects": len(gc.get_objects()),
            "threads": threading.active_count(),
            "descriptors": len(list(Path("/proc/self/fd").iterdir())),
            "store_kib": sum(file.stat().st_size for file in files) // 1024,
        }
        with self.task.samples.open("a") as file:
            file.write(f"{json.dumps(sample)}\n")

    def check_store(self) -> None:
        """After a kill the file is whole, and the ledger knows of all that was asked for."""
        with closing(sqlite3.connect(self.loaded.config.controller.store)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchone()[0]
            orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
            bodies = [json.loads(body) for (body,) in connection.execute("SELECT body FROM tunings")]
        self._expect(f"the store is damaged: {found}, {orphans}", found == "ok" and not orphans)
        recent = {each.name for each in self.plan.firings if self.shared.now_s - each.begin_s < REMEMBERED_S}
        lost = (self.begun & recent) - {each["name"] for each in bodies}
        self._expect(f"begun, and not in the store: {lost}", not lost)
        self.check_ledger()

    def check_ledger(self) -> None:
        """The ledger understates nothing, as far as it can be read."""
        try:
            ledger = self.store.asked()
        except StoreError:
            return
        busy = self.world.busy()
        asked = {
            (host, name): (domain.memory_mib, domain.target_mib)
            for host, fake in self.world.hosts.items()
            if host not in busy
            for name, domain in fake.domains.items()
        }
        for law in broken_ledger(ledger, asked):
            self.world.broken(law)

    def check_rest(self) -> None:
        """When nothing fails and nobody works, everything goes back."""
        newest = self.store.latest()
        self._expect("nothing was decided", newest is not None)
        if newest is not None:
            self._expect(f"no rest: {newest.decision.transfers}", not newest.decision.transfers)
            granted = {each.host: (each.granted, each.reason) for each in newest.decision.hosts}
            self._expect(f"PROOF is not dormant: {granted}", all(workers == 0 for workers, _ in granted.values()))
            tunings = newest.decision.situation.tunings
            self._expect(f"something is tuned at rest: {tunings}", not tunings)
        quarantines = [each for each in self.store.timers() if each.quarantine is not None]
        self._expect(f"quarantined at rest: {quarantines}", not quarantines)
        for name, host in self.world.hosts.items():
            for wn in host.host.wns:
                held = host.domains[wn.name].memory_mib
                others = sum(each.memory_mib for other, each in host.domains.items() if other != wn.name)
                guests = (host.host.memory_total_mib or 0) - host.host.memory_reserve_mib
                full = held >= min(wn.memory_max_mib, guests - others) - 100
                self._expect(f"{name}: {wn.name} has only {held} MiB back, others {others} MiB", full)

    def end(self) -> None:
        """Stop, as ``autoscaler run`` does."""
        if self.shared.now_s + INTERVAL_S > self.plan.end_s:
            self.check_rest()
        self.world.let_go()
        self.controller.stop()
        self.retention.end()
        self.beside.shutdown()
        self.store.close()

    def _ask(self, method: str, path: str, content: str | None = None) -> Any:
        """The answer, ``None`` where there is none for a reason."""
        answer = self.client.request(
            method, path, content=content, headers={"Authorization": f"Bearer {self.task.token}"}
        )
        if answer.status_code in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
            return answer.json()
        fits = self._is_down(Edge.STORE) if answer.status_code == 503 else self.shared.finished == 0
        self._expect(f"{method} {path} answers {answer.status_code} {answer.text}", fits)
        return None

    def _is_down(self, edge: Edge) -> bool:
        return self.plan.down(edge, self.shared.now_s) is not None

    def _expect(self, otherwise: str, well: object) -> None:
        if not well:
            self.world.broken(otherwise)

    def _let_the_store_fail(self) -> None:
        """By the plan, and be the place where a process is killed."""
        engine = self.store._engine

        @event.listens_for(engine, "before_cursor_execute")
        def _statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            self.world.killer.instant(Kill.RECORD)
            stretch = self.plan.down(Edge.STORE, self.shared.now_s)
            writes = statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))
            if stretch is not None and (stretch % 3 == 0 or (stretch % 3 == 1 and writes)):
                _fail(statement, "database is locked" if stretch % 3 == 0 else "database or disk is full")

        @event.listens_for(engine, "commit")
        def _commit(_connection: Any) -> None:
            self.world.killer.instant(Kill.RECORD)
            if (self.plan.down(Edge.STORE, self.shared.now_s) or 0) % 3 == 2:
                _fail("COMMIT", "disk I/O error")


def _client(app: FastAPI) -> Any:
    with warnings.catch_warnings():
        # As in pyproject.toml, which does not reach a process of its own.
        warnings.filterwarnings("ignore", "Using `httpx` with `starlette.testclient` is deprecated")
        from fastapi.testclient import TestClient

        return TestClient(app, raise_server_exceptions=False)


def _fail(statement: str, why: str) -> None:
    cause = sqlite3.OperationalError(why)
    raise OperationalError(statement, None, cause) from cause


class RaisedError(Exception):
    """What no source raises, and this one does."""


@dataclass
class RaisingSource:
    """A source that raises now and then, which is against its contract."""

    source: Source
    life: Life

    def read(self, now: datetime) -> Window:
        """As the source's."""
        if self.life._is_down(Edge.SOURCE_RAISES):
            raise RaisedError("a bug in the source")
        return self.source.read(now)


@contextmanager
def _exporter(plan: Plan, shared: Shared) -> Iterator[int]:
    """Serve the PROOF exporter's metrics, or what comes instead of them while it is down; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stretch = plan.down(Edge.SOURCE, shared.now_s)
            text = _exposition(plan, shared.now_s, stretch)
            self.send_response(503 if stretch is not None and stretch % 5 == 0 else 200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _exposition(plan: Plan, now_s: float, stretch: int | None) -> bytes:
    """Metrics, or in a stretch what makes them unknown: no source, an old one, no number, half a text."""
    queued, running = plan.sessions(now_s)
    way = None if stretch is None else stretch % 5
    fresh_s = as_time(now_s - 600 if way == 2 else now_s).timestamp()
    text = (
        f"proof_up {0 if way == 1 else 1}\n"
        f"proof_last_success_timestamp_seconds {fresh_s}\n"
        f"proof_queue_depth {'NaN' if way == 3 else queued}\n"
        + "".join(
            f'proof_sessions{{state="{state}"}} {running if state == "running" else 0}\n'
            for state in ("running", "starting", "unknown")
        )
    )
    if way == 3:
        text = text.replace(f'state="running"}} {running}', 'state="running"} NaN')
    return (text[:90] if way == 4 else text).encode()
