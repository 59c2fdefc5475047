"""What a scrape of PROOF sessions costs: `python -m tests.benchmarks.exporters_proof` prints JSON.

The installed `vaf-exporter proof` is scraped over HTTP on loopback, one new connection for each scrape as Prometheus at
its worst. Every session has a session and a status file with fresh times and a process that lives: a thousand processes
(`sleep`) at most, so of 10 000 sessions ten have the same process under ten user names; the exporter looks at every
file and asks about every process id all the same. 200 users in 5 groups, `--max-users` as by default. In milliseconds:
`wall_ms` of the median scrape as the client sees it, `fastest_wall_ms` of the fastest one (on a machine that others
use, what the work itself takes), `cpu_ms` user and system time of the exporter per scrape. Only ratios within one run
mean something on another machine: `cpu_per_session_growth_ratio` is the CPU time per session at the largest number over
that at 1 000, 1 is linear.
"""

import json
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

from tests.exporters.running import Exporter, running_exporter

SIZES = (10, 100, 1000, 10_000)
REFERENCE = 1000
MOST_PROCESSES = 1000
USERS, GROUPS = 200, 5
WARM_UP, REPEATS = 3, 25
# Older than the daemon's lag, so that sessions are idle or running and not all starting.
SESSION_AGE_S = 60


@contextmanager
def sleeping(number: int) -> Iterator[list[int]]:
    """Give the ids of so many processes."""
    children = [subprocess.Popen(["sleep", "infinity"]) for _ in range(number)]
    try:
        yield [child.pid for child in children]
    finally:
        for child in children:
            child.kill()
        for child in children:
            child.wait()


def write_area(area: Path, sessions: int, pids: list[int]) -> None:
    """Write an admin area with so many master sessions, in turn idle, running, terminating and queued."""
    (area / "activesessions").mkdir(parents=True)
    (area / "xrootd.pid").write_text(str(pids[0]))
    begun = time.time() - SESSION_AGE_S
    for number in range(sessions):
        pid = pids[number % len(pids)]
        # Once round the processes, another group of users: each name is there once.
        turn = number // len(pids)
        user, group = f"user{number % USERS:03}x{turn}", f"group{number % GROUPS}"
        file = area / "activesessions" / f"{user}.{group}.{pid}"
        log = f"/proofbox/{user}/session-master-1200000000-{pid}/master-0-master-1200000000-{pid}.log"
        tag = f"master-1200000000-{pid}"
        file.write_text(f"{user} {group}\n{area}/socks/xpd.1093.{pid}\n{pid} {number} 2\n0 {tag} \n{log}\n36 5.34/30\n")
        file.with_name(f"{file.name}.status").write_text(str(number % 4))
        os.utime(file, (begun, begun))


def scrape_times(exporter: Exporter, repeats: int) -> dict[str, float]:
    """Scrape, and return the median wall time and the mean CPU time, in milliseconds."""
    process = psutil.Process(exporter.process.pid)
    walls = []
    cpu_before = process.cpu_times()
    for _ in range(repeats):
        begun = time.perf_counter()
        with urllib.request.urlopen(exporter.url, timeout=60) as answer:
            text = answer.read()
        walls.append(time.perf_counter() - begun)
    cpu_after = process.cpu_times()
    assert b"proof_up 1.0" in text, text
    cpu_s = cpu_after.user + cpu_after.system - cpu_before.user - cpu_before.system
    return {
        "wall_ms": 1000 * median(walls),
        "fastest_wall_ms": 1000 * min(walls),
        "cpu_ms": 1000 * cpu_s / repeats,
    }


def measure_size(sessions: int, repeats: int) -> dict[str, float]:
    """Return what a scrape of so many sessions costs."""
    processes = min(sessions, MOST_PROCESSES)
    with tempfile.TemporaryDirectory() as folder, sleeping(processes) as pids:
        scratch = Path(folder)
        write_area(scratch / ".xproofd.1093", sessions, pids)
        with running_exporter("proof", "--admin-path", scratch, scratch=scratch) as exporter:
            scrape_times(exporter, WARM_UP)
            times = scrape_times(exporter, repeats)
            memory_mib = psutil.Process(exporter.process.pid).memory_info().rss / 2**20
    each = {
        "wall_us_per_session": 1000 * times["wall_ms"] / sessions,
        "cpu_us_per_session": 1000 * times["cpu_ms"] / sessions,
    }
    return {"sessions": sessions, "processes": processes, **times, **each, "rss_mib": memory_mib}


def measure(sizes: Sequence[int] = SIZES, repeats: int = REPEATS) -> dict[str, object]:
    """Measure all sizes."""
    by_size = {sessions: measure_size(sessions, repeats) for sessions in sizes}
    result: dict[str, object] = {"sizes": list(by_size.values())}
    if REFERENCE in by_size:
        ratio = by_size[sizes[-1]]["cpu_us_per_session"] / by_size[REFERENCE]["cpu_us_per_session"]
        result["cpu_per_session_growth_ratio"] = ratio
    return result


def main() -> None:
    """Measure and print the result."""
    print(json.dumps(measure()))  # noqa: T201 - this is its output


if __name__ == "__main__":
    main()
