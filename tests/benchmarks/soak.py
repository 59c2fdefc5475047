"""A month of the controller's life in minutes: `python -m tests.benchmarks.soak --days 30` prints one JSON document.

The real controller, duty, guards, transfer engine, store on disk, HTTP API, retention and metrics run; the facility is
in memory, and so is time. Alerts come, with replays, and sessions are announced, each twice. Each edge is down for 5 %
of the time, in stretches: the exporter (refused, stale, unknown, half a text), each host's hypervisor (no call, or only
half of the calls or replies come through), the store (locked, full, failing to commit), and Alertmanager's way to us.
Balloons are stuck, a source raises, clocks jump by hours and come back. The controller is restarted, with and without
waiting for its transfers. It lives in a process of its own, which is killed (SIGKILL, from within, so that it can be in
a transfer or in a transaction; or at any time), and the facility outlives it. The last third is one process, to see
whether it grows, from when on the store holds nothing any more of what was made before: fewer cycles, for a dead
controller makes none.

* `cycles`: those that were due, and why some are missed: nobody lived (`dead`), the store failed, the source raised;
* `broken`: the laws that did not hold (soak_world.py at each call, soak_laws.py of each decision), and the first ones;
* `memory`, `disk`: at the begin and the end of the steady part, and what that makes of a day. `objects` are Python's.

No host hangs (that would take real time), and no power fails (what the kernel has taken is on disk). A process that
hangs is ended, which is as broken as a law. `broken` is 0, or the exit code is 1; memory and disk are for people to
judge.
"""

import json
import logging
import multiprocessing
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import fmean
from typing import Any

import click

from autoscaler.api.tokens import Scope, add_token
from autoscaler.cli.progress import share_bar
from tests.benchmarks.soak_life import HOSTS, INTERVAL_S, Task, live
from tests.benchmarks.soak_plan import Plan
from tests.benchmarks.soak_world import Shared, shared_at

# How long systemd, and somebody who is called at night, leave a controller dead.
DEAD_S = (15.0, 120.0, 900.0)
# The store keeps a tenth of the soak's decisions, so that most of the steady part is after the others are gone.
KEPT_SHARES = 10
SHOWN = 20
POLL_S = 0.2
# In real time; a minute of the facility's takes far less, on whatever machine.
HANGS_S = 300.0


def soak(plan: Plan, folder: Path, show: Callable[[float], None] = lambda _: None) -> dict[str, Any]:
    """Live through the plan and return what came of it."""
    began = time.monotonic()
    shared = shared_at(folder / "shared")
    token = add_token(folder / "tokens", "everything", frozenset(Scope))
    keep = timedelta(days=plan.days / KEPT_SHARES)
    task = Task(folder, plan, keep, token, plan.end_s)
    # Not forked from here: a process that is killed must share no lock, and no file, with the others.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([live.__module__])
    code: int | None = -signal.SIGKILL
    while code == -signal.SIGKILL:
        # A daemon does not outlive this process, whatever ends it.
        process = context.Process(target=live, args=(task,), daemon=True)
        process.start()
        code = _ended(process, shared, lambda: show(shared.now_s / plan.end_s))
        if code == -signal.SIGKILL:
            dead_s = DEAD_S[shared.kills % len(DEAD_S)] // INTERVAL_S * INTERVAL_S
            shared.dead += int(dead_s // INTERVAL_S)
            shared.now_s += dead_s
    broken = task.broken.read_text().splitlines() if task.broken.exists() else []
    if code:
        broken.append(f"the process ended with {code} after {shared.now_s:.0f} s")
    samples = [json.loads(line) for line in task.samples.read_text().splitlines()]
    return {
        "days": plan.days,
        "seed": plan.seed,
        "hosts": len(HOSTS),
        "took_s": round(time.monotonic() - began, 1),
        "cycles": _cycles(plan, shared),
        "hypervisor_calls": shared.calls,
        "transfers": shared.transfers,
        "kills": {"all": shared.kills, "in_a_transfer": shared.in_transfer},
        "restarts": shared.restarts,
        "alerts_that_began_something": len(task.begun.read_text().split()) if task.begun.exists() else 0,
        "announced_sessions": shared.announced,
        "decided_again": shared.checked_again,
        "broken": len(broken),
        "first_broken": broken[:SHOWN],
        **_growth([each for each in samples if each["at_s"] >= plan.steady_s + keep.total_seconds()]),
    }


def _ended(process: BaseProcess, shared: Shared, show: Callable[[], None]) -> int | None:
    """Wait for the end of a process, and bring it about when its time stands still; return its exit code."""
    seen_s, moved = shared.now_s, time.monotonic()
    while process.is_alive():
        process.join(POLL_S)
        show()
        if shared.now_s != seen_s:
            seen_s, moved = shared.now_s, time.monotonic()
        elif time.monotonic() - moved > HANGS_S:
            process.terminate()
            process.join()
    return process.exitcode


def _cycles(plan: Plan, shared: Shared) -> dict[str, int]:
    due = int(plan.end_s // INTERVAL_S)
    return {
        "due": due,
        "finished": shared.finished,
        "missed": due - shared.finished,
        "failed_by_the_store": shared.failed_by_store,
        "failed_by_a_source_that_raises": shared.failed_by_raising,
        "dead": shared.dead,
    }


def _growth(steady: Sequence[dict[str, float]]) -> dict[str, Any]:
    """The mean of a tenth of the samples at the begin, after as much to warm up, and at the end."""
    tenth = max(1, len(steady) // 10)
    first, last = steady[tenth : 2 * tenth], steady[-tenth:]
    if not first:
        return {}
    days = max(1e-9, (last[-1]["at_s"] - first[0]["at_s"]) / 86400)

    def grown(name: str) -> dict[str, float]:
        begin, end = fmean(each[name] for each in first), fmean(each[name] for each in last)
        return {"begin": round(begin, 1), "end": round(end, 1), "a_day": round((end - begin) / days, 1)}

    memory = {name: grown(name) for name in ("rss_kib", "objects", "threads", "descriptors")}
    return {"memory": memory, "disk": {"store_kib": grown("store_kib")}}


@click.command(help=__doc__)
@click.option("--days", type=click.FloatRange(min=0.25), default=30, show_default=True, help="How long it lasts.")
@click.option("--seed", type=int, default=1, show_default=True, help="What all chance comes from.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Where the store lies, and stays.")
@click.pass_context
def main(context: click.Context, days: float, seed: int, folder: Path | None) -> None:
    """Print what came of a soak."""
    logging.disable(logging.CRITICAL)
    if folder is not None:
        folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() if folder is None else nullcontext(folder) as made, share_bar("living") as show:
        result = soak(Plan(days, seed, HOSTS), Path(made), show)
    click.echo(json.dumps(result, indent=2))
    context.exit(1 if result["broken"] else 0)


if __name__ == "__main__":
    main()
