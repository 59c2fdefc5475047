"""What a cycle costs as the facility grows: `python -m tests.benchmarks.scale` prints one JSON document, in minutes.

The whole controller runs, with its store on disk; only the hypervisors are fake. Each host has two domains, whose
balloons move at once, and each call takes 20 ms: once for each call of our own interface (`plain`), and once for as
many round trips as libvirt makes for it (`round_trips`). Each part runs in a process of its own. Times in seconds,
medians of `REPEATS` cycles, `cpu_s` being the whole process's CPU time: on a machine that others use, it says more.

* `quiet`: cycles that change nothing; `all_change`: every host gets workers, and `settle_s` is how long the transfers
  go on after the cycle;
* `decide_alone`: deciding, and writing the decision as JSON, in a process that does nothing else;
* `peak_mib`: the greatest resident memory of the process, `threads` how many it had;
* `hung`: of 1 000 hosts, one's call never returns while all others change; `without` is the same without it.
  `first` is the cycle in which it begins to hang, `later` those that follow, `at_start` the first one of a
  controller that is started while it hangs.

Only ratios within one run mean something on another machine: `per_host_growth_ratio` is the CPU time per host at the
largest number over that at 1 000, 1 is linear. With fewer hosts the 20 ms are most of a cycle.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from autoscaler.core.decide import decide
from autoscaler.core.rules import Rules
from autoscaler.model import Decision, Facility, GuardLimits, Host, Result
from autoscaler.service.controller import Controller, Pace
from autoscaler.store.records import decision_to_json
from autoscaler.store.sql import SqlStore
from autoscaler.testing import A_SWAPPING_WN, NOW, FakeHost, SettableSource, a_host, observed
from policies.threshold import Threshold

SIZES = (10, 100, 1000, 5000)
REFERENCE = 1000
REPEATS = 3
CALL_S = 0.02
SESSIONS_PER_HOST = 1 / 4
PACE = Pace(host_timeout=timedelta(seconds=10), transfer_stall=timedelta(seconds=10))
RULES = Rules(Threshold(), GuardLimits())

# Of KVM: getInfo and listAllDomains; of each domain isActive twice, info, state, memoryStats, schedulerParameters (2).
# Before each change the domain is looked up; for weight and cap it is asked for its vCPUs and (2) its parameters.
ROUND_TRIPS = {"read": 2 + 2 * 7, "set_memory": 2, "set_cpu": 5}
COSTS: Mapping[str, Mapping[str, int]] = {"plain": {}, "round_trips": ROUND_TRIPS}


@dataclass
class Site:
    """So many fake hosts under a real controller; a minute passes from cycle to cycle."""

    hosts: int
    folder: Path
    costs: Mapping[str, int]
    now: datetime = NOW
    source: SettableSource = field(default_factory=SettableSource)
    hangs: str | None = None

    def __post_init__(self) -> None:
        host = a_host(wns=(A_SWAPPING_WN,))
        self.facility = Facility(tuple(replace(host, name=f"host-{number:05}") for number in range(self.hosts)))
        self._let_go = threading.Event()
        self._store = SqlStore(self.folder / "decisions.sqlite")
        self.controller = self.start()

    def start(self) -> Controller:
        """Start a controller beside the hosts as they are at first."""
        self.controller = Controller(
            facility=self.facility,
            rules=RULES,
            source=self.source,
            connect=self._connect,
            store=self._store,
            pace=PACE,
            clock=lambda: self.now,
        )
        return self.controller

    def _connect(self, host: Host) -> FakeHost:
        fake = FakeHost.of(observed(host), speed_mib=10_000)

        def before(call: str) -> None:
            time.sleep(CALL_S * self.costs.get(call.split(maxsplit=1)[0], 1))
            if host.name == self.hangs:
                self._let_go.wait()
            fake.step()
            # A real hypervisor keeps no list of its calls.
            fake.calls.clear()

        fake.before_call = before
        return fake

    def cycle(self) -> tuple[dict[str, float], Decision]:
        """Run one cycle, without waiting for its transfers."""
        self.now += timedelta(minutes=1)
        cpu, began = time.process_time(), time.perf_counter()
        cycle = self.controller.cycle()
        whole_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        rest_s = whole_s - cycle.read_s - cycle.decide_s
        times = {"whole_s": whole_s, "cpu_s": cpu_s, "read_s": cycle.read_s, "decide_s": cycle.decide_s}
        return {**times, "record_and_begin_s": rest_s}, cycle.decision

    def change(self) -> dict[str, float]:
        """Let every host that can be used get two workers more, and wait for their transfers."""
        self.source.running = (self.source.running or 0) + self.hosts * SESSIONS_PER_HOST
        times, decision = self.cycle()
        cpu, began = time.process_time(), time.perf_counter()
        assert self.controller.settle(600), "a transfer did not end"
        settle_s, settle_cpu_s = time.perf_counter() - began, time.process_time() - cpu
        outcomes = self._store.history(1, changes_only=False)[0].outcomes
        done = sum(outcome.result is Result.DONE for outcome in outcomes)
        assert done == len(decision.transfers), f"{done} of {len(decision.transfers)} transfers are done"
        return {**times, "settle_s": settle_s, "settle_cpu_s": settle_cpu_s, "transfers": done}

    def close(self) -> None:
        """Let go of the host that hangs, and of all else."""
        self._let_go.set()
        self.controller.stop()
        self._store.close()


@contextmanager
def site_of(hosts: int, way: str) -> Iterator[Site]:
    """Give a site with its store in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(hosts, Path(folder), COSTS[way])
        try:
            yield site
        finally:
            site.close()


def medians(measure: Callable[[], Mapping[str, float]], repeats: int) -> dict[str, float]:
    """Measure so many times; return each value's median."""
    runs = [measure() for _ in range(repeats)]
    return {name: median(run[name] for run in runs) for name in runs[0]}


def cycles(hosts: int, way: str, repeats: int) -> dict[str, Any]:
    """Measure cycles that change nothing, and cycles in which every host changes."""
    with site_of(hosts, way) as site:
        first, _ = site.cycle()
        quiet = medians(lambda: site.cycle()[0], repeats)
        changes = medians(site.change, repeats)
        threads = threading.active_count()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"first": first, "quiet": quiet, "all_change": changes, "peak_mib": peak_mib, "threads": threads}


def decide_alone(hosts: int, way: str, repeats: int) -> dict[str, float]:
    """Decide one situation in which every host changes, again and again."""
    with site_of(hosts, way) as site:
        site.source.running = hosts * SESSIONS_PER_HOST
        _, decision = site.cycle()
        site.controller.settle()
    assert len(decision.transfers) == hosts

    def once() -> dict[str, float]:
        cpu, began = time.thread_time(), time.perf_counter()
        decided = decide(decision.situation, site.facility, RULES)
        cpu_s, between = time.thread_time() - cpu, time.perf_counter()
        text = decision_to_json(decided)
        to_json_s = time.perf_counter() - between
        return {"decide_s": between - began, "cpu_s": cpu_s, "to_json_s": to_json_s, "json_bytes": len(text)}

    return medians(once, repeats)


def hung(hosts: int, way: str, repeats: int) -> dict[str, Any]:
    """Measure what one host that hangs does to the others, which all change."""
    with site_of(hosts, way) as site:
        site.cycle()
        without = site.change()
        site.hangs = site.facility.hosts[0].name
        first = site.change()
        later = medians(lambda: site.cycle()[0], repeats)
        site.start()
        at_start, _ = site.cycle()
    return {"without": without, "first": first, "later": later, "at_start": at_start}


PARTS: Mapping[str, Callable[[int, str, int], dict[str, Any]]] = {
    "cycles": cycles,
    "decide_alone": decide_alone,
    "hung": hung,
}


def measure(part: str, hosts: int, way: str) -> dict[str, Any]:
    """Measure one part in a process of its own."""
    print(f"measuring {part} of {hosts} hosts, {way} ...", file=sys.stderr)  # noqa: T201 - progress, beside the output
    words = [sys.executable, "-m", "tests.benchmarks.scale", part, str(hosts), way]
    done = subprocess.run(words, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def growth(sizes: Sequence[Mapping[str, Any]]) -> float:
    """Return the CPU time per host at the largest size over that at the reference."""
    per_host = {size["hosts"]: size["cpu_s"] / size["hosts"] for size in sizes}
    return per_host[SIZES[-1]] / per_host[REFERENCE]


def measure_all() -> dict[str, Any]:
    """Measure everything; the load says how much of the machine others used."""
    result: dict[str, Any] = {}
    for way in COSTS:
        sizes = [{"hosts": hosts, **measure("cycles", hosts, way)} for hosts in SIZES]
        ratios = {
            kind: growth([{"hosts": size["hosts"], **size[kind]} for size in sizes]) for kind in ("quiet", "all_change")
        }
        result[way] = {"sizes": sizes, "per_host_growth_ratio": ratios, "hung": measure("hung", REFERENCE, way)}
    alone = [{"hosts": hosts, **measure("decide_alone", hosts, "plain")} for hosts in SIZES]
    return {**result, "decide_alone": {"sizes": alone, "per_host_growth_ratio": growth(alone)}, "load": os.getloadavg()}


def main() -> None:
    """Measure everything and print the result; with a part, hosts and a way, measure that alone."""
    if len(sys.argv) > 1:
        part, hosts, way = sys.argv[1:4]
        print(json.dumps(PARTS[part](int(hosts), way, REPEATS)))  # noqa: T201 - this is its output
    else:
        print(json.dumps(measure_all()))  # noqa: T201 - this is its output


if __name__ == "__main__":
    main()
