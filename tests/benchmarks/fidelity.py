"""How near the facility model is to real guests: `python -m tests.benchmarks.fidelity` prints JSON.

Wants root. One scenario twice: a PROOF session comes to a host whose Worker Node is busy, works, and goes. Once on two
QEMU guests that share one CPU, under `autoscaler run` with `vaf-exporter proof --notify`; PROOF works while it has its
memory. Once in the model, with the same configuration file, policy and guards. Before each scenario the controller
moves half as much memory to PROOF: the model gets the speeds of the donor and of the acceptor in that, and the time
between the engine's steps; what the Worker Node says it uses; what CPU a guest needs that only reports; and nothing of
the scenario itself.

`up_s` is from the decision to PROOF's memory, `down_s` from the decision to the Worker Node's memory and everybody's
weights. `..._cpu_ratio` is a guest's part of the CPU, as the host counts it. `..._events_ratio` is its events a second
over those with the CPU to itself; what a guest needs for its reports is there taken off what the model gives it, for it
is little of a core, but much of a ninth of one. `error_ratio` is modelled over measured, less 1, of the medians of the
rounds.

Others use this machine, too. So everything is given twice: `wall` by the clock on the wall, and `undisturbed` by the
CPU time that both guests got together, which passes as fast as the time on the wall when nobody else wants their CPU:
one of them always wants all of it. `guests_cores` says how much they got: where it is far below 1, only `undisturbed`
says something. A round takes four minutes.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import click

from autoscaler.config.load import Loaded, load
from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from autoscaler.store.records import Record
from tests.benchmarks.fidelity_model import Calibration, modelled
from tests.benchmarks.reaction import a_bed, progress
from tests.benchmarks.reaction_bed import (
    AWAKE_MIB,
    DORMANT_MIB,
    RESTING,
    WEIGHT,
    WEIGHT_YIELDING,
    WN_MIB,
    WN_YIELDED_MIB,
    WORKER_MIB,
    WORKERS,
    Bed,
    Seen,
    Share,
    Watch,
)
from tests.benchmarks.reaction_moves import CONFIG as REACTION_CONFIG
from tests.benchmarks.reaction_moves import open_session, records, running_controller
from tests.testbed.guests import Guest, event_rates
from tests.testbed.processes import scratch_folder, wait_until

ROUNDS = 3
SECONDS = 20.0
IDLE_S = 20
MOVE_DEADLINE_S = 300
TARGET_ERROR = 0.15
COURSE_EVERY_S = 0.5
# The guest's kernel keeps some of its memory to itself.
PROOF_WORKS_FROM_MIB = AWAKE_MIB - 256
# A host has no more workers than cores, and these guests share one: it has as much memory as two have elsewhere.
HALF_CONFIG = (
    REACTION_CONFIG.replace(f"workers_per_session: {WORKERS}", f"workers_per_session: 1, idle: {IDLE_S}s")
    .replace(f"workers_max: {WORKERS}", "workers_max: 1")
    .replace("guards: {}", "guards: {shrink_cooldown: 1s}")
)
HALF_MIB = WORKER_MIB
CONFIG = HALF_CONFIG.replace(f"memory_per_worker: {HALF_MIB} MiB", f"memory_per_worker: {AWAKE_MIB - DORMANT_MIB} MiB")
# What the heavier of the two guests has of the CPU while both want it.
PACE = WEIGHT / (WEIGHT + WEIGHT_YIELDING)


class Times(NamedTuple):
    """A value by the clock on the wall, and by the CPU time that the guests had."""

    wall: float
    undisturbed: float


class Clocks:
    """Both clocks of a bed, from now on."""

    def __init__(self, bed: Bed) -> None:
        self._guests = bed.guests.values()
        self._begun = self._now()

    def passed_s(self) -> Times:
        """How much has passed."""
        now = self._now()
        return Times(now.wall - self._begun.wall, now.undisturbed - self._begun.undisturbed)

    def _now(self) -> Times:
        return Times(time.monotonic(), sum(guest.cpu_seconds() for guest in self._guests))


def calibrate(bed: Bed, seconds: float) -> tuple[Calibration, dict[str, Times]]:
    """Let each guest work alone, and the controller move half a worker's memory; return also speeds and rates."""
    bed.rest()
    wn, proof = bed.guests["wn"], bed.guests["proof"]
    stats = wn.memory_stats()
    # A dormant PROOF guest does nothing but report.
    housekeeping = rates(bed, seconds, wn)["proof_cpu"]
    with standing_still(proof):
        wn_rate = rates(bed, seconds, wn)["wn"]
    half = half_a_move(bed)
    # PROOF does not work before it has all.
    by_hand(bed)
    with standing_still(wn):
        proof.next_report()
        proof_rate = rates(bed, seconds, proof)["proof"]
    used_mib = (stats["available"] - stats["usable"]) // 1024
    calibration = Calibration(
        balloon_free_mib_per_s=half.free_mib_per_s.undisturbed / PACE,
        balloon_give_mib_per_s=half.give_mib_per_s.undisturbed / PACE,
        step_s=half.between_s.undisturbed,
        wn_used_mib=used_mib,
        housekeeping_cores=housekeeping.undisturbed,
    )
    speeds = {**half._asdict(), "housekeeping_cores": housekeeping}
    return calibration, {**speeds, "wn": wn_rate, "proof": proof_rate}


def by_hand(bed: Bed) -> None:
    """Give PROOF all of its memory."""
    for name, memory_mib in (("wn", WN_YIELDED_MIB), ("proof", AWAKE_MIB)):
        bed.guests[name].set_memory_mib(memory_mib)
        bed.guests[name].wait_memory_mib(memory_mib)


class HalfMove(NamedTuple):
    """What half a move says: MiB per second of donor and acceptor, and how long the engine took between its steps."""

    free_mib_per_s: Times
    give_mib_per_s: Times
    between_s: Times


def half_a_move(bed: Bed) -> HalfMove:
    """Let the controller move half as much memory; the acceptor counts from when weights are set."""
    given_mib, got_mib = WN_MIB - HALF_MIB, DORMANT_MIB + HALF_MIB
    with running_controller(bed, HALF_CONFIG) as (area, store):
        _, watch, decided_s = watched(bed, store, 0, lambda: open_session(area))
    seen = watch.seen
    begun = next(look for look in seen if wn_gives(look.shares))
    given = next(look for look in seen if look.shares["wn"].memory_mib <= given_mib + BALLOON_TOLERANCE_MIB)
    got = next(look for look in seen if look.shares["proof"].memory_mib >= got_mib - BALLOON_TOLERANCE_MIB)
    # The last look before, which is the nearer one: the next may be half of the acceptor's move later.
    still = [look for look in seen if look.at_s >= given.at_s and look.shares["wn"].weight != WEIGHT_YIELDING]
    handed = still[-1] if still else given
    begin_s = passed_s(watch, decided_s, wn_gives)
    hand_over_s = Times(handed.at_s - given.at_s, handed.cpu_s - given.cpu_s)
    between_s = Times(*((one + other) / 2 for one, other in zip(begin_s, hand_over_s, strict=True)))
    return HalfMove(speed("wn", begun, given), speed("proof", handed, got), between_s)


def speed(name: str, begin: Seen, end: Seen) -> Times:
    """MiB per second between two looks."""
    mib = abs(end.shares[name].memory_mib - begin.shares[name].memory_mib)
    return Times(mib / (end.at_s - begin.at_s), mib / (end.cpu_s - begin.cpu_s))


@contextmanager
def standing_still(guest: Guest) -> Iterator[None]:
    """Pause a guest."""
    with guest.domain() as domain:
        domain.suspend()
        try:
            yield
        finally:
            domain.resume()


def rates(bed: Bed, seconds: float, *working: Guest) -> dict[str, Times]:
    """Return the events per second of guests that work, and the cores of all, over the same time."""
    clocks, used_s = Clocks(bed), {name: guest.cpu_seconds() for name, guest in bed.guests.items()}
    found = event_rates(*working, window_s=seconds)
    cores_s = {name: guest.cpu_seconds() - used_s[name] for name, guest in bed.guests.items()}
    passed_s = clocks.passed_s()
    events = {
        guest.name: Times(rate, rate * passed_s.wall / passed_s.undisturbed)
        for guest, rate in zip(working, found, strict=True)
    }
    cores = {f"{name}_cpu": Times(*(core_s / passed for passed in passed_s)) for name, core_s in cores_s.items()}
    return {**events, **cores, "guests_cores": Times(passed_s.undisturbed / passed_s.wall, 1.0)}


def measured(bed: Bed, own: dict[str, Times], seconds: float) -> dict[str, Any]:
    """Let a session come and go under the controller; return times, and rates as parts of the guests' own."""
    bed.rest()
    wn, proof = bed.guests["wn"], bed.guests["proof"]
    with running_controller(bed, CONFIG) as (area, store):
        # Nobody looks while rates are measured: a look costs the guest's QEMU some CPU.
        up, up_watch, up_at_s = watched(bed, store, 0, lambda: open_session(area))
        awake = rates(bed, seconds, wn, proof)
        down, down_watch, down_at_s = watched(bed, store, up.number, lambda: area.close_session(area.sessions[0]))
        dormant = rates(bed, seconds, wn)
    times = {
        "up_s": passed_s(up_watch, up_at_s, proof_is_there),
        "session_to_memory_s": passed_s(up_watch, 0.0, proof_is_there),
        "down_s": passed_s(down_watch, down_at_s, all_is_back),
    }
    begins_s = passed_s(up_watch, up_at_s, wn_gives), passed_s(down_watch, down_at_s, proof_gives)
    ratios = {
        "proof_awake_events_ratio": ratio(awake["proof"], own["proof"]),
        "wn_awake_events_ratio": ratio(awake["wn"], own["wn"]),
        "wn_dormant_events_ratio": ratio(dormant["wn"], own["wn"]),
        "proof_awake_cpu_ratio": awake["proof_cpu"],
        "wn_awake_cpu_ratio": awake["wn_cpu"],
        "wn_dormant_cpu_ratio": dormant["wn_cpu"],
    }
    return {
        "measured": {**times, **ratios},
        "guests_cores": [round(phase["guests_cores"].wall, 3) for phase in (awake, dormant)],
        "outcomes": [move.outcomes[0].reason for move in (up, down)],
        "begins_s": [round(begin_s.wall, 2) for begin_s in begins_s],
        "courses": [course(watch) for watch in (up_watch, down_watch)],
    }


def watched(bed: Bed, store: Path, number: int, act: Callable[[], object]) -> tuple[Record, Watch, float]:
    """Do something and watch the move after it; return also when it was decided, in seconds of the watch."""
    watch, begun_at_s = Watch(bed), time.time()
    with watch.watching():
        act()
        move = move_after(store, number)
    return move, watch, move.decision.at.timestamp() - begun_at_s


def move_after(store: Path, number: int) -> Record:
    """Wait for a decision after this one that moves something, and for its end."""

    def found() -> Record | None:
        moves = (record for record in records(store) if record.decision.transfers and record.outcomes)
        return next((move for move in moves if move.number > number), None)

    return wait_until(found, MOVE_DEADLINE_S, "the end of a move")


def wn_gives(shares: dict[str, Share]) -> bool:
    """Whether the Worker Node has begun to shrink."""
    return shares["wn"].memory_mib < WN_MIB - BALLOON_TOLERANCE_MIB


def proof_gives(shares: dict[str, Share]) -> bool:
    """Whether PROOF has begun to shrink."""
    return shares["proof"].memory_mib < AWAKE_MIB - BALLOON_TOLERANCE_MIB


def proof_is_there(shares: dict[str, Share]) -> bool:
    """Whether PROOF has its memory."""
    return shares["proof"].memory_mib >= AWAKE_MIB - BALLOON_TOLERANCE_MIB


def all_is_back(shares: dict[str, Share]) -> bool:
    """Whether everybody has what there is at rest."""
    return all(shares[name].near(share) for name, share in RESTING.items())


def passed_s(watch: Watch, from_s: float, there: Callable[[dict[str, Share]], bool]) -> Times:
    """How long it took from a time until all was as it is to be, as the watch saw it."""
    later = [seen for seen in watch.seen if seen.at_s >= from_s]
    end = next(seen for seen in later if there(seen.shares))
    wall_s = end.at_s - from_s
    # The first look is a moment after the beginning.
    return Times(wall_s, (end.cpu_s - later[0].cpu_s) * wall_s / (end.at_s - later[0].at_s))


def ratio(one: Times, other: Times) -> Times:
    """One over the other, on each clock."""
    return Times(one.wall / other.wall, one.undisturbed / other.undisturbed)


def course(watch: Watch) -> list[list[float]]:
    """What the watch saw, twice a second while memory moved: seconds, memory of PROOF and the Worker Node, CPU time."""
    found: list[list[float]] = []
    for seen in watch.seen:
        sizes = [seen.shares[name].memory_mib for name in ("proof", "wn")]
        if not found or (seen.at_s - found[-1][0] >= COURSE_EVERY_S and sizes != found[-1][1:3]):
            found.append([round(seen.at_s, 2), *sizes, round(seen.cpu_s - watch.seen[0].cpu_s, 2)])
    return found


def one_round(bed: Bed, seconds: float) -> dict[str, Any]:
    """Calibrate, measure, and model with it."""
    calibration, own = calibrate(bed, seconds)
    found = measured(bed, own, seconds)
    with scratch_folder() as scratch:
        model = modelled(configuration(scratch), calibration)
    return {
        **found,
        "measured": {what: rounded(times) for what, times in found["measured"].items()},
        "modelled": {what: round(value, 3) for what, value in model.items()},
        "own": {what: rounded(times) for what, times in own.items()},
        "wn_used_mib": calibration.wn_used_mib,
        "load": os.getloadavg(),
    }


def configuration(scratch: Path) -> Loaded:
    """Read the controller's configuration; the addresses in it are not called."""
    file = scratch / "autoscaler.yaml"
    file.write_text(CONFIG.replace("NOTIFY", "1").replace("EXPORTER", "2").replace("LIBVIRT", "qemu:///system"))
    return load(file)


def rounded(times: Times) -> dict[str, float]:
    """Milliseconds, and thousandths, are more than can be told."""
    return {clock: round(value, 3) for clock, value in times._asdict().items()}


def compared(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Set the medians of both halves side by side, on both clocks."""
    rows = {}
    for what in rounds[0]["measured"]:
        model = median(one["modelled"][what] for one in rounds)
        row: dict[str, Any] = {"modelled": round(model, 3)}
        for clock in Times._fields:
            seen = median(one["measured"][what][clock] for one in rounds)
            error = model / seen - 1
            row[clock] = {
                "measured": round(seen, 3),
                "error_ratio": round(error, 3),
                "target_met": abs(error) <= TARGET_ERROR,
            }
        rows[what] = row
    return rows


def measure(bed: Bed, rounds: int = ROUNDS, seconds: float = SECONDS) -> dict[str, Any]:
    """Play the scenario so often in both worlds."""
    done = []
    # The first time after its boot, a guest gives memory half as fast again.
    by_hand(bed)
    for number in range(rounds):
        done.append(one_round(bed, seconds))
        progress(f"round {number + 1} of {rounds}: {json.dumps(compared(done[-1:]))}")
    return {"compared": compared(done), "target_error_ratio": TARGET_ERROR, "rounds": done}


@click.command(help=__doc__.splitlines()[0])
@click.option("--rounds", type=click.IntRange(min=1), default=ROUNDS, show_default=True)
@click.option("--seconds", type=click.FloatRange(min=5), default=SECONDS, show_default=True, help="For each rate.")
def main(rounds: int, seconds: float) -> None:
    """Measure and print the result."""
    if os.geteuid():
        raise click.ClickException("this wants root: it starts a libvirtd of its own, in namespaces of its own")
    with a_bed(PROOF_WORKS_FROM_MIB) as bed:
        found = measure(bed, rounds, seconds)
    print(json.dumps(found))  # noqa: T201 - this is its output


if __name__ == "__main__":
    main()
