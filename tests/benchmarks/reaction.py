"""From a PROOF session to the guest that has its memory and CPU: `python -m tests.benchmarks.reaction` prints JSON.

Wants root. Two QEMU guests under CPU load share one CPU; a session file is written, and the clock runs from just before
until both domains have their final balloon size and their final CPU weight and cap, looked at every 50 ms. What runs is
what a site runs: `vaf-exporter proof --notify` and `autoscaler run` with its default interval of 15 s, scraping.
Against it, in the same run, round by round in another order: several sequences of `virsh` calls by hand for the same
move (`reaction_moves.py` says what they leave out), of which the fastest counts; setting the weights before the memory;
and MoM's rule. The last two are measured once, and no longer than `limit_s`. Every move begins from the same rest. Five
rounds take half an hour.

`to_fastest_raw_ratio` and `target_s`, which is 1.3 times the fastest median by hand and a second, are of the medians;
`proof_says_s` is when the PROOF guest's own report, which comes each second, showed the memory. `timeline_s` of the
controller is in seconds since the session; its cycle and transfer are of the store, the rest is what was looked at.
Only the ratios mean something on another machine; `load` says how much of this one others used.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from statistics import median
from typing import Any

import click

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from autoscaler.store.records import Record
from tests.benchmarks.reaction_bed import MOVED, RESTING, Bed, Watch, running_bed
from tests.benchmarks.reaction_moves import CONTESTANTS, OURS, Contestant
from tests.testbed.guests import build_initramfs
from tests.testbed.libvirtd import Libvirtd
from tests.testbed.processes import scratch_folder

ROUNDS = 5
TARGET_RATIO, TARGET_PLUS_S = 1.3, 1.0


def one_move(bed: Bed, contestant: Contestant) -> dict[str, Any]:
    """Let one contestant move once, from rest; return its times."""
    bed.rest()
    with contestant.ready(bed) as move:
        watch = Watch(bed)
        begun_at_s = time.time()
        with watch.watching():
            move.go(contestant.limit_s)
            watch.wait(contestant.limit_s)
        record = move.record()
    times: dict[str, Any] = {"moved_s": rounded(watch.moved_s), "proof_says_s": rounded(watch.proof_says_s)}
    if watch.moved_s is None:
        proof = watch.seen[-1].shares["proof"].memory_mib
        times["proof_got_mib"] = proof - RESTING["proof"].memory_mib
    if record is None:
        return times
    said = {"why": record.decision.hosts[0].reason, "outcome": record.outcomes[0].reason}
    return {**times, **said, "timeline_s": timeline_s(watch, record, begun_at_s)}


def timeline_s(watch: Watch, record: Record, begun_at_s: float) -> dict[str, float | None]:
    """Put what was watched and what the controller recorded on one line of time."""

    def since(at: datetime) -> float:
        return at.timestamp() - begun_at_s

    def near(name: str, mib: int) -> float | None:
        return watch.first_s(lambda shares: abs(shares[name].memory_mib - mib) <= BALLOON_TOLERANCE_MIB)

    wn, proof = (RESTING[name].memory_mib for name in ("wn", "proof"))
    outcome = record.outcomes[0]
    times = {
        "cycle_began": since(record.decision.at),
        "transfer_began": since(outcome.began_at),
        "donor_moved": watch.first_s(lambda shares: shares["wn"].memory_mib < wn - BALLOON_TOLERANCE_MIB),
        "acceptor_moved": watch.first_s(lambda shares: shares["proof"].memory_mib > proof + BALLOON_TOLERANCE_MIB),
        "donor_done": near("wn", MOVED["wn"].memory_mib),
        "acceptor_done": near("proof", MOVED["proof"].memory_mib),
        "cpu_set": watch.first_s(lambda shares: all(shares[name][1:] == share[1:] for name, share in MOVED.items())),
        "transfer_ended": since(outcome.ended_at),
    }
    return {what: rounded(at_s) for what, at_s in times.items()}


def rounded(seconds: float | None) -> float | None:
    """Milliseconds are more than can be told."""
    return None if seconds is None else round(seconds, 2)


def summary(moves: Sequence[Mapping[str, Any]], contestant: Contestant) -> dict[str, Any]:
    """Bring the rounds of one contestant together; a median is there when every round came to its end."""
    moved = [move["moved_s"] for move in moves]
    says = [move["proof_says_s"] for move in moves]
    found = {
        "what": contestant.what,
        "limit_s": contestant.limit_s,
        "median_s": None if None in moved else median(moved),
        "median_proof_says_s": None if None in says else median(says),
    }
    return {**found, "rounds": list(moves)}


def compared(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Set ours against the fastest by hand and against the slow ways."""
    medians = {name: one["median_s"] for name, one in found.items() if one["median_s"] is not None}
    by_hand = {name: seconds for name, seconds in medians.items() if name.startswith("raw_")}
    if OURS not in medians or not by_hand:
        return {}
    ours, fastest = medians[OURS], min(by_hand, key=lambda name: by_hand[name])
    target_s = TARGET_RATIO * by_hand[fastest] + TARGET_PLUS_S
    # One that did not come to its end has taken at least its time.
    slow = {name: one["median_s"] or one["limit_s"] for name, one in found.items() if name in ("weights_first", "mom")}
    return {
        "fastest_raw": fastest,
        "to_fastest_raw_ratio": round(ours / by_hand[fastest], 2),
        "target_s": round(target_s, 2),
        "target_met": ours <= target_s,
        **{f"{name}_to_ours_ratio": round(seconds / ours, 1) for name, seconds in slow.items()},
    }


def measure(bed: Bed, names: Sequence[str] = tuple(CONTESTANTS), rounds: int = ROUNDS) -> dict[str, Any]:
    """Let all contestants move in turn; each round begins with another one."""
    moves: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            if number and CONTESTANTS[name].slow:
                continue
            moves[name].append(one_move(bed, CONTESTANTS[name]))
            progress(f"round {number + 1} of {rounds}, {name}: {json.dumps(moves[name][-1])}")
    found = {name: summary(done, CONTESTANTS[name]) for name, done in moves.items()}
    return {
        "from": {name: share._asdict() for name, share in RESTING.items()},
        "to": {name: share._asdict() for name, share in MOVED.items()},
        **compared(found),
        "contestants": found,
        "load": os.getloadavg(),
    }


def progress(line: str) -> None:
    """Say how far it is."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - beside the output


@contextmanager
def a_bed(proof_works_from_mib: int = 0) -> Iterator[Bed]:
    """Start a hypervisor; all but its guests' vCPUs keeps off their CPU where there is another one."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with scratch_folder() as folder, Libvirtd(folder) as libvirtd, scratch_folder() as scratch:
        kernel = build_initramfs(scratch)
        with running_bed(libvirtd.uri, kernel, scratch, proof_works_from_mib) as bed:
            yield bed


@click.command(help=__doc__.splitlines()[0])
@click.option("--rounds", type=click.IntRange(min=1), default=ROUNDS, show_default=True)
@click.option(
    "--only", "names", type=click.Choice(tuple(CONTESTANTS)), multiple=True, help="Only these.  [default: all]"
)
def main(rounds: int, names: tuple[str, ...]) -> None:
    """Measure and print the result."""
    if os.geteuid():
        raise click.ClickException("this wants root: it starts a libvirtd of its own, in namespaces of its own")
    with a_bed() as bed:
        found = measure(bed, names or tuple(CONTESTANTS), rounds)
    print(json.dumps(found))  # noqa: T201 - this is its output


if __name__ == "__main__":
    main()
