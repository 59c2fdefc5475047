"""What learning costs: the time of a decision and the memory beside `threshold`, and the training.

* `decision`: `decide` for ten hosts with a cycle each 15 s, in milliseconds by the clock and of CPU, for each policy in
  a process of its own that loads what the service loads. `after_three_hours_ms` is one decision that makes up for as
  long a time in which the controller was away; `peak_mib` is the most memory that the process ever had;
* `training`: all levels of the service from so many rows, which are the minutes that are left when most quiet ones are
  thinned out. Seconds by the clock and of CPU; on a busy machine the latter count.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from autoscaler.learning.forest import QuantileForest
from autoscaler.learning.training import examples, train
from autoscaler.service.minutes import Minutes, from_sessions
from autoscaler.service.training import LEVELS
from tests.benchmarks.learned_adversarial import HORIZON_MIN, SPRING, ZONE, people

ROWS, DECISIONS = 130_000, 4000
SEED = 20261127


def measure(rows: int = ROWS, decisions: int = DECISIONS) -> dict[str, Any]:
    """Train, then decide."""
    past = minutes(rows)
    began, began_cpu = time.perf_counter(), time.process_time()
    forest = train(past.loads, past.start, horizon_min=HORIZON_MIN, levels=LEVELS, zone=ZONE)
    took_s, took_cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    threshold, learned = (decided(name, forest, decisions) for name in ("threshold", "learned"))
    more = {f"more_{key}": learned[key] - threshold[key] for key in ("median_ms", "median_cpu_ms", "peak_mib")}
    return {
        "decision": {"threshold": threshold, "learned": learned, **more},
        "training": {
            "rows": rows,
            "minutes": len(past.loads),
            "levels": len(LEVELS),
            "wall_s": took_s,
            "cpu_s": took_cpu_s,
        },
    }


def minutes(rows: int) -> Minutes:
    """As many minutes of a made site as leave so many rows to learn from."""
    days = max(14, rows // 1440)
    while True:
        begin = SPRING - timedelta(days=days)
        made = from_sessions(people(begin, days, np.random.default_rng(SEED)), begin, ZONE, "made")
        kept = len(examples(made.loads, made.start, HORIZON_MIN, zone=ZONE).rise)
        if kept >= rows:
            return made.part(0, int(len(made.loads) * rows / kept))
        days = int(days * rows / kept) + 1


def decided(policy: str, forest: QuantileForest, decisions: int) -> Mapping[str, float]:
    """So many decisions in a process of their own."""
    with tempfile.NamedTemporaryFile(suffix=".npz") as model:
        np.savez(model, **forest.arrays())
        model.flush()
        command = [sys.executable, "-m", "tests.benchmarks.learned_decisions", policy, model.name, str(decisions)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout)
    *took, last = told["took"]
    (clock_ms, cpu_ms), (last_ms, _) = np.array(took).T, last
    return {
        "median_ms": float(np.median(clock_ms)),
        "worst_ms": float(clock_ms.max()),
        "median_cpu_ms": float(np.median(cpu_ms)),
        "worst_cpu_ms": float(cpu_ms.max()),
        "after_three_hours_ms": last_ms,
        "peak_mib": told["peak_mib"],
    }


ROOT = Path(__file__).parents[2]
