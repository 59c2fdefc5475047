"""Policies in the open loop: what each would have had ready for a load that does not depend on it, minute by minute.

Cheaper than the facility model, and blind to hosts, guards and transfers: what a policy wants is there a stated time
later, whatever it is, and nobody's waiting changes who comes when.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from autoscaler.contracts import Policy, Remembering
from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Demand, Memory, Sample, Series, Window
from autoscaler.simulation.compare import Share, Weekly
from autoscaler.simulation.local_time import MINUTE_S, WEEK_S
from autoscaler.simulation.run import Floats

MINUTE = timedelta(minutes=1)
_DAY_MIN = 1440
_WEEK_MIN = int(WEEK_S / MINUTE_S)
_HOUR_S = 3600.0

Tell = Callable[[float], None]


@dataclass(frozen=True, slots=True, eq=False)
class Loads:
    """How many sessions are there each minute from ``start`` on, NaN where it is not known.

    Policies see all of it up to their minute; they are judged from minute ``judged_from`` on.
    """

    start: datetime
    loads: Floats
    judged_from: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What counts: how soon a wish is there, what a session wants, how much there is, and what it all costs.

    The costs are core seconds for each second of a session that waits, and of the workers of a session that idle, and
    for each worker whose memory is moved, to PROOF or back.
    """

    reaction_min: int
    workers_per_session: int
    workers_max: int
    wait_core_s: float
    idle_core_s: float
    move_core_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """A policy's course in sessions that could run, for each judged minute, and what it comes to by weeks."""

    policy: str
    ready: Floats
    missed_arrivals_ratio: float | None
    spare_workers_mean: float
    changes_per_day: float
    weeks: Weekly


def play(label: str, policy: Policy, load: Loads, terms: Terms, tell: Tell) -> Played:
    """Ask the policy each minute and see what it comes to; ``tell`` is told the share that is done."""
    wanted = np.minimum(_wanted(policy, load, terms.reaction_min, tell), terms.workers_max)
    loads, ready = load.loads[load.judged_from :], wanted / terms.workers_per_session
    known = ~np.isnan(loads)
    spare, missing = np.fmax(ready - loads, 0.0), np.fmax(loads - ready, 0.0)
    spare[~known] = missing[~known] = 0.0
    arrivals = np.fmax(np.diff(loads, prepend=np.nan), 0.0)
    arrivals[np.isnan(arrivals)] = 0.0
    come = arrivals.sum()
    minutes = max(1, int(known.sum()))
    moved = np.abs(np.diff(wanted, prepend=wanted[0]))
    cost_core_s = (terms.wait_core_s * missing + terms.idle_core_s * spare) * MINUTE_S + terms.move_core_s * moved
    return Played(
        label,
        ready,
        float(np.minimum(arrivals, missing).sum() / come) if come else None,
        float(spare.sum() / minutes) * terms.workers_per_session,
        float(np.count_nonzero(np.diff(wanted)) / len(wanted) * _DAY_MIN),
        _weekly(label, cost_core_s / _HOUR_S, known),
    )


def _wanted(policy: Policy, load: Loads, reaction_min: int, tell: Tell) -> Floats:
    """The workers that are there in each judged minute: those wanted so much earlier."""
    asked = _Asked(policy, load)
    first = max(0, load.judged_from - reaction_min)
    count = len(load.loads) - load.judged_from
    # A policy that looks back, or remembers, begins as one that has run for a while.
    warm = max(0, first - _DAY_MIN)
    workers = 0
    wanted = np.zeros(count)
    for minute in range(warm, first + count):
        demand = asked.at(minute)
        if demand.workers is not None:
            workers = demand.workers if demand.may_shrink else max(workers, demand.workers)
        if minute >= first:
            wanted[minute - first] = workers
            if not minute % _DAY_MIN:
                tell((minute - first) / count)
    return wanted


class _Asked:
    """Asks a policy minute by minute, and a timeless one only once for each past that looks the same to it."""

    def __init__(self, policy: Policy, load: Loads) -> None:
        self._policy = policy
        self._memory: Memory = {}
        self._back = -(-policy.history // MINUTE) + 1
        self._start = load.start
        self._loads = [None if np.isnan(value) else float(value) for value in load.loads]
        self._samples = [Sample(load.start + n * MINUTE, value) for n, value in enumerate(self._loads)]
        self._nobody = [Sample(each.at, None if each.value is None else 0.0) for each in self._samples]
        self._timeless = bool(getattr(policy, "timeless", False)) and not isinstance(policy, Remembering)
        self._known: dict[Hashable, Demand] = {}

    def at(self, minute: int) -> Demand:
        """What it wants at the beginning of this minute; minutes only go forward."""
        if not self._timeless:
            return self._ask(minute)
        seen = tuple(self._loads[max(0, minute - self._back) : minute + 1])
        demand = self._known.get(seen)
        if demand is None:
            demand = self._known[seen] = self._ask(minute)
        return demand

    def _ask(self, minute: int) -> Demand:
        past = slice(max(0, minute - self._back), minute + 1)
        at = self._start + minute * MINUTE
        fresh_at = None if self._loads[minute] is None else at
        series = (
            Series(PROOF_QUEUED_SESSIONS, tuple(self._nobody[past]), fresh_at),
            Series(PROOF_RUNNING_SESSIONS, tuple(self._samples[past]), fresh_at),
        )
        window = Window(at, series, self._memory)
        demand = self._policy.decide(window)
        if isinstance(self._policy, Remembering):
            self._memory = self._policy.remember(window, demand)
        return demand


def _weekly(label: str, cost_core_h: Floats, known: NDArray[np.bool_]) -> Weekly:
    """The cost by weeks of the known time. A last week of less than half its length belongs to the one before."""
    minutes = len(cost_core_h)
    weeks = max(1, int(minutes / _WEEK_MIN + 0.5))
    week = np.minimum(np.arange(minutes) // _WEEK_MIN, weeks - 1)
    known_min = np.bincount(week, weights=known, minlength=weeks)
    days = np.bincount(week, minlength=weeks) / _DAY_MIN
    cost = Share(np.bincount(week, weights=cost_core_h, minlength=weeks).astype(np.float64), known_min / _WEEK_MIN)
    return Weekly(label, days, {"cost_per_week": cost})
