"""One process that decides as the service does, for learned_cost.py: it imports what the service imports, and no more.

`python -m tests.benchmarks.learned_decisions POLICY MODEL COUNT` prints the milliseconds of each of so many decisions,
by the clock and of CPU, a cycle each 15 s, and the most memory that the process ever had.
"""

import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

# What `autoscaler run` has loaded, whichever its policy is.
import autoscaler.cli.run  # noqa: F401
from autoscaler.contracts import Policy
from autoscaler.core.decide import decide
from autoscaler.core.rules import Rules
from autoscaler.core.voices import remembering
from autoscaler.learning.forest import QuantileForest
from autoscaler.model import (
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    Decision,
    Facility,
    GuardLimits,
    Sample,
    Series,
    Situation,
    Window,
)
from autoscaler.service.timed import TimedForecaster
from autoscaler.testing import a_host, observed
from policies.learned import Learned
from policies.threshold import Threshold

START = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
INTERVAL = timedelta(seconds=15)
HOSTS, SEED = 10, 20261127
WARM_UP = 4 * 60 * 4 + 100
# The controller was away for so long, and makes up for it in one decision.
AWAY = timedelta(hours=3)


def policy(name: str, model: Path) -> Policy:
    """The policy, with the model as the service would have it."""
    if name == "threshold":
        return Threshold()
    with np.load(model, allow_pickle=False) as arrays:
        forest = QuantileForest.from_arrays(dict(arrays))
    return Learned(forecaster=TimedForecaster(forest), trained_until=START - timedelta(days=1))


def situations(count: int, history: timedelta) -> Iterator[Situation]:
    """Sessions that come and go at random; the last situation comes after a long while."""
    random = np.random.default_rng(SEED)
    facility = [a_host(f"host-{number}") for number in range(HOSTS)]
    hosts = tuple(observed(host) for host in facility)
    samples: deque[tuple[Sample, Sample]] = deque(maxlen=history // INTERVAL + 2)
    running = 0.0
    for number in range(count):
        now = START + number * INTERVAL + (AWAY if number == count - 1 else timedelta(0))
        running = max(0.0, running + float(random.choice([-1, 0, 0, 0, 0, 0, 0, 1])))
        samples.append((Sample(now, 0.0), Sample(now, running)))
        queued, served = zip(*samples, strict=True)
        series = (Series(PROOF_QUEUED_SESSIONS, queued, now), Series(PROOF_RUNNING_SESSIONS, served, now))
        yield Situation(Window(now, series), hosts)


def decided(name: str, model: Path, count: int) -> list[tuple[float, float]]:
    """Milliseconds of each decision, by the clock and of CPU."""
    facility = Facility(tuple(a_host(f"host-{number}") for number in range(HOSTS)))
    rules = Rules(policy(name, model), GuardLimits())
    before: Decision | None = None
    took: list[tuple[float, float]] = []
    for situation in situations(WARM_UP + count, rules.policy.history):
        began, began_cpu = time.perf_counter(), time.thread_time()
        before = decide(remembering(situation, before), facility, rules)
        took.append((1000 * (time.perf_counter() - began), 1000 * (time.thread_time() - began_cpu)))
        before = replace(before, situation=replace(situation, hosts=()))
    return took[WARM_UP:]


def peak_mib() -> float:
    """The most memory this process had; what ``getrusage`` says would be that of its parent, where that had more."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


if __name__ == "__main__":
    took = decided(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps({"took": took, "peak_mib": peak_mib()}))  # noqa: T201 - this is its output
