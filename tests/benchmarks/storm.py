"""A storm of alerts: 1 000 webhooks a second for 10 s against `autoscaler run`; prints one JSON document.

    python -m tests.benchmarks.storm

The controller is a process of its own on libvirt's test driver, with a cycle each second and its API on. It is watched
while nothing comes, and while a sender with many connections posts as fast as it is told to, or can; each webhook has
one alert that nobody has sent before, and begins a tuning, but for one in ten: it tells that of the webhook before it
again, maybe while that is still being answered. Twice: with the API's limit as it is shipped, which refuses most, and
without a limit, so that all are taken.

* `sent_per_s`: what was reached; `answers` by status, `waited_s` for an answer;
* `lost`: accepted and not in the store, `twice`: in it more than once, or begun by more than one answer,
  `uninvited`: in it and refused: all must be 0, or the exit code is 1;
  `not_counted`: answers that the controller's own counter does not know of;
* `cpu_ms_each`: CPU time of the controller and its API for each webhook, its cycles included: on a busy machine it says
  more;
* `cycle_s`: the mean of a cycle's own time, `ratio` that in the storm over that in the quiet before it; `gap_s` the
  longest time from one decision to the next.

Sender and controller share the machine: `load` says how much of it others used.
"""

import asyncio
import json
import multiprocessing
import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from statistics import quantiles
from typing import Any

import click
import psutil
import requests
from prometheus_client.parser import text_string_to_metric_families

from autoscaler.api.tokens import Scope, add_token
from autoscaler.demo.facility import demo_facility
from tests.testbed.processes import Process, free_port

PATH = "/api/v1/alerts/alertmanager"
DEADLINE_S = 60
CONNECTIONS = 64
# No limit of the API's own.
NO_LIMIT = 10_000_000
SHIPPED_LIMIT = 60
# One webhook in so many tells what the one before it has told.
AGAIN_EVERY = 10
WRONG = ("lost", "twice", "uninvited")
PARTS = ("read", "decide", "record")
CYCLE_TIME = "autoscaler_cycle_duration_seconds"


@dataclass(frozen=True, slots=True)
class Blow:
    """What a sender does: so many a second for so long, over so many connections."""

    address: tuple[str, int]
    token: str
    per_s: float
    seconds: float
    starts_at: datetime
    connections: int = CONNECTIONS


@dataclass(frozen=True, slots=True)
class Echo:
    """The answer to one webhook, and whether it says that its alert began something; status 0 is no answer at all."""

    alert: int
    status: int
    waited_s: float
    sentence: bool
    begun: bool


def config(folder: Path, limit: int, ports: Mapping[str, int]) -> Path:
    """Write the configuration of a small facility on libvirt's test driver."""
    hosts = "".join(
        f"  - {{name: {host.name}, uri: '{host.uri}', proof: {{domain: {host.proof.name}}}, "
        f"wn: {{domain: {host.wns[0].name}, swap_down_to: 572 MiB}}}}\n"
        for host in demo_facility(folder).hosts
    )
    file = folder / "autoscaler.yaml"
    file.write_text(f"""
controller: {{interval: 1s, store: decisions.sqlite, metrics_listen: "127.0.0.1:{ports["metrics"]}"}}
source: {{kind: scrape, timeout: 5s, targets: {{proof: ["http://127.0.0.1:{ports["exporter"]}/metrics"]}}}}
policy: {{name: static, workers: 3}}
api: {{listen: "127.0.0.1:{ports["api"]}", tokens_file: tokens, requests_per_minute: {limit}}}
tuning:
  - {{match: {{severity: page}}, action: {{boost_workers: 2}}, for: 1h}}
host_defaults:
  memory_total: 8056 MiB
  memory_reserve: 573 MiB
  proof: {{dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 8}}
  wn: {{memory_floor: 572 MiB, memory_max: 6911 MiB}}
hosts:
{hosts}""")
    return file


@dataclass(frozen=True, slots=True)
class Controller:
    """One that runs: its store, its metrics, and where alerts go."""

    store: Path
    metrics_url: str
    address: tuple[str, int]
    token: str
    pid: int

    def cpu_s(self) -> float:
        """The CPU time of its processes."""
        controller = psutil.Process(self.pid)
        return sum(sum(each.cpu_times()[:2]) for each in (controller, *controller.children()))

    def counts(self) -> dict[str, float]:
        """The metrics by name and labels."""
        text = requests.get(self.metrics_url, timeout=DEADLINE_S).text
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return {f"{each.name}{sorted(each.labels.items())}": each.value for each in samples}

    def answered(self, counts: Mapping[str, float]) -> int:
        """How many requests for the path were answered, by the controller's counter."""
        found = [value for name, value in counts.items() if name.startswith("autoscaler_api_requests_total")]
        return int(sum(found))

    def rows(self, query: str) -> list[Any]:
        """What the store says."""
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()


@contextmanager
def controller(folder: Path, limit: int) -> Iterator[Controller]:
    """Run ``autoscaler run`` while the ``with`` block runs."""
    ports = {name: free_port() for name in ("api", "metrics", "exporter")}
    file = config(folder, limit, ports)
    token = add_token(folder / "tokens", "storm", frozenset({Scope.ALERTS}))
    command = [sys.executable, "-m", "autoscaler.cli", "run", "--config", str(file)]
    with Process(command, folder, name="autoscaler") as process:
        made = Controller(
            folder / "decisions.sqlite",
            f"http://127.0.0.1:{ports['metrics']}/metrics",
            ("127.0.0.1", ports["api"]),
            token,
            process.pid,
        )
        process.wait_until(lambda: _cycles(made.counts()) >= 3, DEADLINE_S, "the first cycles")
        yield made


def blow(sender: Blow) -> tuple[float, list[Echo]]:
    """Send from a process of its own; return how long that took, and the answers."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_send, (sender,))


def _send(sender: Blow) -> tuple[float, list[Echo]]:
    return asyncio.run(_send_all(sender))


async def _send_all(sender: Blow) -> tuple[float, list[Echo]]:
    numbers = iter(range(round(sender.per_s * sender.seconds)))
    began_s = time.monotonic()
    echoes: list[Echo] = []
    await asyncio.gather(*(_one_connection(sender, numbers, began_s, echoes) for _ in range(sender.connections)))
    return time.monotonic() - began_s, echoes


async def _one_connection(sender: Blow, numbers: Iterator[int], began_s: float, echoes: list[Echo]) -> None:
    """Send what is next when it is due, or at once when it is late; nothing new after the time is over."""
    streams = None
    for number in numbers:
        await asyncio.sleep(max(0.0, began_s + number / sender.per_s - time.monotonic()))
        if time.monotonic() > began_s + sender.seconds:
            break
        sent_s = time.monotonic()
        try:
            streams = streams or await asyncio.open_connection(*sender.address)
            status, text, goes_on = await _exchange(streams, _request(sender, number))
        except (OSError, asyncio.IncompleteReadError):
            status, text, goes_on = 0, b"", False
        begun = status == HTTPStatus.OK and bool(json.loads(text)["begun"])
        echoes.append(Echo(_alert_of(number), status, time.monotonic() - sent_s, b'"' in text, begun))
        if streams is not None and not goes_on:
            streams[1].close()
            streams = None
    if streams is not None:
        streams[1].close()


async def _exchange(
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes
) -> tuple[int, bytes, bool]:
    reader, writer = streams
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(length), b"connection: close" not in head


def _alert_of(number: int) -> int:
    """The alert that a webhook tells."""
    return number - (number % AGAIN_EVERY == AGAIN_EVERY - 1)


def _request(sender: Blow, number: int) -> bytes:
    told = _alert_of(number)
    alert = {
        "status": "firing",
        "labels": {"alertname": f"Storm{told}", "severity": "page"},
        "annotations": {},
        "startsAt": sender.starts_at.isoformat(),
        "fingerprint": f"{told:016x}",
    }
    body = json.dumps({"version": "4", "groupKey": "storm", "truncatedAlerts": 0, "alerts": [alert]}).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: storm\r\nAuthorization: Bearer {sender.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _cycles(counts: Mapping[str, float]) -> int:
    """How many cycles there were."""
    return int(counts[f"{CYCLE_TIME}_count[('part', 'read')]"])


def storm(limit: int, per_s: float, seconds: float) -> dict[str, Any]:
    """Measure a quiet time and a storm of the same controller."""
    with tempfile.TemporaryDirectory() as made, controller(Path(made), limit) as running_one:
        before = running_one.counts()
        time.sleep(seconds)
        quiet, cpu_quiet_s, storm_began = running_one.counts(), running_one.cpu_s(), time.time()
        sender = Blow(running_one.address, running_one.token, per_s, seconds, datetime.now(UTC))
        took_s, echoes = blow(sender)
        storm_ended = time.time()
        after, cpu_after_s = running_one.counts(), running_one.cpu_s()
        cycles = {"quiet": _mean(before, quiet), "storm": _mean(quiet, after)}
        kept = Counter(int(name, 16) for (name,) in running_one.rows("SELECT fingerprint FROM tunings"))
        # The API's process tells its counts now and then.
        time.sleep(1)
        counted = running_one.answered(running_one.counts()) - running_one.answered(quiet)
        at_s = [at for (at,) in running_one.rows("SELECT at_s FROM decisions ORDER BY number")]
    accepted = {echo.alert for echo in echoes if echo.status == HTTPStatus.OK}
    # Of those that got no answer nothing is known.
    unsure = {echo.alert for echo in echoes if echo.status == 0}
    begun = Counter(echo.alert for echo in echoes if echo.begun)
    return {
        "sent": len(echoes),
        "sent_per_s": round(len(echoes) / took_s, 1),
        "answers": dict(sorted(Counter(str(echo.status) for echo in echoes).items())),
        "without_a_sentence": sum(not echo.sentence for echo in echoes),
        "cpu_ms_each": round(1000 * (cpu_after_s - cpu_quiet_s) / len(echoes), 2),
        "waited_s": _spread([echo.waited_s for echo in echoes]),
        "lost": len(accepted - kept.keys()),
        "twice": sum(number > 1 for number in (kept | begun).values()),
        "uninvited": len(kept.keys() - accepted - unsure),
        "not_counted": len(echoes) - counted,
        "cycle_s": {**cycles, "ratio": round(cycles["storm"]["whole"] / cycles["quiet"]["whole"], 2)},
        "gap_s": {
            "quiet": _longest_gap(at_s, storm_began - seconds, storm_began),
            "storm": _longest_gap(at_s, storm_began, storm_ended),
        },
    }


def _mean(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """The mean of each part of a cycle, and of the whole."""
    cycles = _cycles(after) - _cycles(before)
    sums = {part: f"{CYCLE_TIME}_sum[('part', '{part}')]" for part in PARTS}
    parts = {part: (after[name] - before[name]) / cycles for part, name in sums.items()}
    return {part: round(seconds, 4) for part, seconds in {**parts, "whole": sum(parts.values())}.items()}


def _longest_gap(at_s: list[float], begin_s: float, end_s: float) -> float:
    inside = [begin_s, *(at for at in at_s if begin_s <= at <= end_s), end_s]
    return round(max(later - sooner for sooner, later in pairwise(inside)), 2)


def _spread(values: list[float]) -> dict[str, float]:
    cuts = quantiles(values, n=100)
    return {"median": round(cuts[49], 4), "p99": round(cuts[98], 4), "most": round(max(values), 4)}


@click.command(help=__doc__)
@click.option("--per-s", type=click.FloatRange(min=1), default=1000, show_default=True, help="Webhooks a second.")
@click.option("--seconds", type=click.FloatRange(min=1), default=10, show_default=True, help="How long it blows.")
@click.pass_context
def main(context: click.Context, per_s: float, seconds: float) -> None:
    """Print what came of two storms."""
    parts = {"as_shipped": SHIPPED_LIMIT, "no_limit": NO_LIMIT}
    result = {name: storm(limit, per_s, seconds) for name, limit in parts.items()}
    click.echo(json.dumps({**result, "load": os.getloadavg()}, indent=2))
    context.exit(int(any(came[name] for came in result.values() for name in WRONG)))


if __name__ == "__main__":
    main()
