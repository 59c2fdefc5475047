"""What learning wins: `python -m tests.benchmarks.learned --traces FOLDER --part open` measures it and prints JSON.

For the other parts see learned_closed.py and learned_gate.py, and learned_adversarial.py and learned_cost.py, which
need no traces.

`FOLDER` holds traces of the Parallel Workloads Archive, which are not in the project: SDSC-BLUE-2000-4.2-cln.swf.gz, of
which queue 0 is interactive, and LPC-EGEE-2004-1.2-cln.swf.gz, whose queues 1 (test) and 2 (short) are short Grid jobs.
The queue of the former was closed long before the trace ends: its completed jobs in the time of the whole trace are a
second load, less than half of the first.

The open loop leaves the facility out. Each job wants one slot from its submission on, for as long as it ran; the load
of a minute is the most slots that are wanted at once in it. What is decided by the load of a minute takes effect so
many minutes later (`delay_min`); work that runs is never evicted, it only leaves nothing for others. An arrival is
missed when it and those who are there want more than the supply in effect. The spare supply is what nobody uses, in the
mean over the minutes; `changes_per_day` are those of the supply that is asked for. The first 60 % of the minutes are
learned from, the rest is measured.

* `static`, `reactive` (the load and k), `hold_down` (the highest load of the last `hold_min` minutes and k) and
  `quantile`, with and without a hold of five minutes on decreases, have what they need so that at most 5 % of the
  arrivals of the *measured* minutes are missed: k, the hold and alpha, one less the level, with the least spare supply,
  chosen afterwards;
* `conformal`, with and without the hold, was told the 5 % beforehand: `missed_share` is what it attained.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, tzinfo
from math import exp, log
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from autoscaler.learning.conformal import Correction, quantile, quantiles_of_rows
from autoscaler.learning.features import Floats, rows
from autoscaler.learning.training import train
from autoscaler.simulation.traces import swf
from autoscaler.simulation.traces.table import open_table
from autoscaler.simulation.traces.usable import usable_rows
from tests.benchmarks import learned_adversarial, learned_cost, learned_gate
from tests.benchmarks.learned_closed import closed_loop
from tests.benchmarks.policies import progress, teller, traces_option


@dataclass(frozen=True)
class Jobs:
    """Some queues of a trace; ``completed``: only jobs that were not cancelled, in the time of the whole trace."""

    file: str
    queues: tuple[int, ...]
    completed: bool = False


SDSC, LPC = "SDSC-BLUE-2000-4.2-cln.swf.gz", "LPC-EGEE-2004-1.2-cln.swf.gz"
TRACES = {
    "SDSC-BLUE interactive": Jobs(SDSC, (0,)),
    "SDSC-BLUE interactive, completed": Jobs(SDSC, (0,), completed=True),
    "LPC test and short": Jobs(LPC, (1, 2)),
}
DELAYS_MIN = (1, 5)
LEARNED_SHARE = 0.6
TARGET = 0.05
HOLD_MIN = 5
HOLDS_MIN = (1, 2, 5, 10, 15, 20, 30, 60)

# Chosen on the first 60 %, of which the first three quarters were learned from and the last one measured.
LEVELS = (0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998)
SPAN_MIN = 1
GAMMA = 0.02
WARM_UP_MIN = 7 * 1440
# A quantile that is above a whole number by less is that number.
SLACK = 0.3


@dataclass(frozen=True, eq=False)
class Load:
    """The load of each minute, and the minute and the load that each arrival makes, in the order of time."""

    start: datetime
    zone: tzinfo
    highest: Floats
    arrival_min: NDArray[np.int64]
    arrival_load: Floats

    @classmethod
    def of(
        cls, submit_s: Floats, run_s: Floats, begin: datetime, zone: tzinfo, span_s: tuple[float, float] | None = None
    ) -> "Load":
        """The load of jobs that are submitted so many seconds after ``begin``, from the first to the last or longer."""
        earliest_s, latest_s = span_s or (submit_s.min(), submit_s.max())
        first_s = np.floor(earliest_s / 60) * 60
        minutes = int((latest_s - first_s) // 60) + 1
        at_s = np.concatenate([submit_s, submit_s + run_s]) - first_s
        step = np.repeat([1.0, -1.0], len(submit_s))
        # Who leaves makes room for who comes at the same moment.
        order = np.lexsort((step, at_s))
        at_s, step = at_s[order], step[order]
        load, minute = np.cumsum(step), np.floor(at_s / 60).astype(np.int64)
        highest = np.concatenate([[0.0], load])[np.searchsorted(at_s, 60.0 * np.arange(minutes), side="left")]
        inside = minute < minutes
        np.maximum.at(highest, minute[inside], load[inside])
        return cls(begin + timedelta(seconds=float(first_s)), zone, highest, minute[step > 0], load[step > 0])


@dataclass(frozen=True)
class Measured:
    """What a rule attained."""

    spare: float
    missed_share: float
    changes_per_day: float


def read(folder: Path, jobs: Jobs) -> Load:
    """Return the load of some jobs of a trace."""
    table = open_table(folder / jobs.file)
    told = [
        (submit_s, run_s, int(fields[swf.QUEUE]) in jobs.queues and (not jobs.completed or fields[swf.STATUS] == "1"))
        for submit_s, run_s, fields in usable_rows(table)
    ]
    submit_s, run_s, wanted = (np.array(column) for column in zip(*told, strict=True))
    span_s = (float(submit_s.min()), float(submit_s.max())) if jobs.completed else None
    return Load.of(submit_s[wanted], run_s[wanted], table.clock.start, table.clock.timezone, span_s)


@dataclass(frozen=True)
class Course:
    """A load, the minute from which it is measured, and how late a decision takes effect."""

    load: Load
    from_min: int
    delay_min: int

    @property
    def known_from_min(self) -> int:
        """From when on forecasts are made."""
        return max(0, self.from_min - WARM_UP_MIN)

    def measure(self, asked: Floats) -> Measured:
        """Measure a rule by the supply that it asked for at each minute."""
        supply = np.concatenate([np.zeros(self.delay_min), asked[: -self.delay_min]])
        seen = self.load.arrival_min >= self.from_min
        missed = self.load.arrival_load[seen] > supply[self.load.arrival_min[seen]]
        supply, highest = supply[self.from_min :], self.load.highest[self.from_min :]
        changes = np.count_nonzero(np.diff(supply)) / len(supply) * 1440
        return Measured(float(np.maximum(supply - highest, 0).mean()), float(missed.mean()), float(changes))

    def needed(self, rule: Callable[[float], Floats], settings: Sequence[float]) -> tuple[float, Measured]:
        """Return the first setting, of rising ones, with which a rule misses no more than the target."""
        low, high = 0, len(settings) - 1
        while low < high:
            middle = (low + high) // 2
            if self.measure(rule(settings[middle])).missed_share <= TARGET:
                high = middle
            else:
                low = middle + 1
        return settings[low], self.measure(rule(settings[low]))


def held(asked: Floats, minutes: int) -> Floats:
    """The highest of the last minutes."""
    padded = np.concatenate([np.zeros(minutes), asked])
    highest: Floats = np.lib.stride_tricks.sliding_window_view(padded, minutes + 1).max(axis=1)
    return highest


def supplies(load: Floats, rises: Floats) -> Floats:
    """The whole number of slots for a load and its rise."""
    wanted: Floats = np.maximum(np.ceil(load + rises - SLACK), 0.0)
    return wanted


def conformal(course: Course, quantiles: Floats, hold_min: int) -> Floats:
    """What is asked for when alpha follows the misses; it begins shortly before the minutes that are measured."""
    correction, alpha = Correction(TARGET, GAMMA), TARGET
    load, delay = course.load, course.delay_min
    minutes = len(load.highest)
    wanted, asked = np.zeros(minutes), np.zeros(minutes)
    first_of = np.searchsorted(load.arrival_min, np.arange(minutes + 1))
    for minute in range(course.known_from_min, minutes):
        here = slice(first_of[minute], first_of[minute + 1])
        if here.stop > here.start and minute - delay >= course.known_from_min:
            missed = np.count_nonzero(load.arrival_load[here] > asked[minute - delay])
            alpha = correction.after(alpha, here.stop - here.start, missed)
        rise = quantile(LEVELS, quantiles[minute], alpha)
        wanted[minute] = max(0.0, np.ceil(load.highest[minute] + rise - SLACK))
        asked[minute] = wanted[max(0, minute - hold_min) : minute + 1].max()
    return asked


def reactive_rules(course: Course) -> Iterator[tuple[str, dict[str, float], Measured]]:
    """The rules that learn nothing, with what they need."""
    load = course.load.highest
    k, found = course.needed(lambda slots: np.full(len(load), slots), range(int(load.max()) + 1))
    yield "static", {"slots": k}, found
    spare = range(int(load.max()) + 1)
    k, found = course.needed(lambda slots: load + slots, spare)
    yield "reactive", {"k": k}, found
    tried = []
    for minutes in HOLDS_MIN:
        highest = held(load, minutes)
        k, found = course.needed(lambda slots, highest=highest: highest + slots, spare)
        tried.append(({"k": k, "hold_min": minutes}, found))
    yield "hold_down", *min(tried, key=lambda one: one[1].spare)


def learned_rules(course: Course) -> Iterator[tuple[str, dict[str, float], Measured]]:
    """The rules that learn from the minutes before those that are measured."""
    load = course.load
    begin = load.highest[: course.from_min]
    forest = train(begin, load.start, horizon_min=course.delay_min, span_min=SPAN_MIN, levels=LEVELS, zone=load.zone)
    quantiles = np.zeros((len(load.highest), len(LEVELS)))
    known = slice(course.known_from_min, None)
    quantiles[known] = forest.predict_rows(rows(load.highest, load.start, load.zone)[known])
    # From large alphas, which miss much, to small ones.
    alphas = [exp(log(0.5) - step * 0.05) for step in range(220)]

    def asked(alpha: float) -> Floats:
        return supplies(load.highest, quantiles_of_rows(LEVELS, quantiles, alpha))

    alpha, found = course.needed(asked, alphas)
    yield "quantile", {"alpha": alpha}, found
    alpha, found = course.needed(lambda alpha: held(asked(alpha), HOLD_MIN), alphas)
    yield "quantile_hold", {"alpha": alpha, "hold_min": HOLD_MIN}, found
    yield "conformal", {"gamma": GAMMA}, course.measure(conformal(course, quantiles, 0))
    found = course.measure(conformal(course, quantiles, HOLD_MIN))
    yield "conformal_hold", {"gamma": GAMMA, "hold_min": HOLD_MIN}, found


def open_loop(load: Load, delay_min: int) -> dict[str, Any]:
    """Measure all rules on a load."""
    course = Course(load, int(LEARNED_SHARE * len(load.highest)), delay_min)
    measured = {"mean_load": float(load.highest[course.from_min :].mean())}
    rules: dict[str, Any] = {}
    for of in (reactive_rules, learned_rules):
        for name, setting, found in of(course):
            progress(f"  {name}: {found.spare:.2f} spare, {found.missed_share:.3f} missed, {setting}")
            rules[name] = {**setting, **asdict(found)}
    return {"delay_min": delay_min, **measured, "rules": rules}


def measure(folder: Path, delays_min: Sequence[int] = DELAYS_MIN) -> dict[str, Any]:
    """Measure all rules on all traces that are in a folder."""
    found: dict[str, Any] = {}
    for name, jobs in TRACES.items():
        load = read(folder, jobs)
        for delay_min in delays_min:
            progress(f"{name}, {delay_min} min ...")
            found.setdefault(name, []).append(open_loop(load, delay_min))
    return found


PARTS: Mapping[str, Callable[["Asked"], dict[str, Any]]] = {
    "open": lambda asked: measure(asked.folder()),
    "closed": lambda asked: closed_loop(asked.folder(), asked.dealings, asked.jobs, teller),
    "adversarial": lambda asked: learned_adversarial.measure(
        asked.seeds, asked.dealings, asked.jobs, teller("adversarial")
    ),
    "gate": lambda asked: learned_gate.measure(asked.folder(), asked.nights, asked.jobs, teller),
    "cost": lambda _asked: learned_cost.measure(),
}


@dataclass(frozen=True)
class Asked:
    """The options."""

    traces: Path | None
    jobs: int
    seeds: int
    dealings: int
    nights: int

    def folder(self) -> Path:
        """Where the traces are; ends the command where nobody said so."""
        if self.traces is None:
            raise click.UsageError("this part needs --traces")
        return self.traces


@click.command(help=__doc__.splitlines()[0])
@traces_option(required=False)
@click.option("--part", type=click.Choice(list(PARTS)), required=True, help="What is measured.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that work at once.")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Of the made days.")
@click.option("--dealings", type=click.IntRange(min=1), default=4, show_default=True, help="Of names to machines.")
@click.option("--nights", type=click.IntRange(min=2), default=12, show_default=True, help="On which the gate is asked.")
def main(part: str, **asked: Any) -> None:
    """Measure, and print the result."""
    found = PARTS[part](Asked(**asked))
    print(json.dumps({part: found}, allow_nan=False))  # noqa: T201 - this is its output


if __name__ == "__main__":
    main()
