"""How the time of deciding grows with the facility: `python tests/benchmarks/cycle.py` prints JSON.

Only ratios within one run mean something on another machine. `per_host_growth_ratio` is the time per host at the
largest facility over that at the smallest: 1 is linear.
"""

import json
from dataclasses import replace
from statistics import median
from time import perf_counter

from autoscaler.core.decide import Rules, decide
from autoscaler.model import Facility, GuardLimits, HostTimers, Situation
from autoscaler.store.records import decision_to_json
from autoscaler.testing import A_SWAPPING_WN, NOW, a_host, observed, proof_window
from policies.threshold import Threshold

SIZES = (10, 100, 1000, 5000)
REPEATS = 5
HOST = a_host(wns=(A_SWAPPING_WN,))
RULES = Rules(Threshold(), GuardLimits())


def situation_of(facility: Facility) -> Situation:
    """Every second host has four workers; users ask for as many workers as there are hosts times six."""
    seen = tuple(observed(host, workers=4 * (number % 2)) for number, host in enumerate(facility.hosts))
    timers = tuple(HostTimers(host.name, NOW, None) for host in facility.hosts)
    return Situation(proof_window([0.0], [len(seen) * 6 / 8]), seen, timers)


def measure(hosts: int) -> dict[str, float]:
    """Median seconds of deciding, and of writing the decision as JSON."""
    facility = Facility(tuple(replace(HOST, name=f"host-{number:05}") for number in range(hosts)))
    situation = situation_of(facility)
    decides, writes = [], []
    for _ in range(REPEATS):
        began = perf_counter()
        decision = decide(situation, facility, RULES)
        decided = perf_counter()
        decision_to_json(decision)
        decides.append(decided - began)
        writes.append(perf_counter() - decided)
    return {"hosts": hosts, "decide_s": median(decides), "to_json_s": median(writes)}


def main() -> None:
    """Measure all sizes and print the result."""
    sizes = [measure(hosts) for hosts in SIZES]
    first, last = (size["decide_s"] / size["hosts"] for size in (sizes[0], sizes[-1]))
    print(json.dumps({"sizes": sizes, "per_host_growth_ratio": last / first}))  # noqa: T201 - this is its output


if __name__ == "__main__":
    main()
