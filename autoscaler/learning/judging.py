"""Forecasts held against what came: the truth feeds the correction, the losses and the coverage back."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from autoscaler.learning.conformal import Correction
from autoscaler.learning.features import HISTORY_MIN
from autoscaler.learning.losses import pinball
from autoscaler.learning.notes import MOST, Arrivals, Doubt, Forecast, Judged, Losses, Notes, Who, minute_of

# A reading that is missing counts as the one before it for so many minutes: one lost scrape is not a loss of memory.
CARRIED_MIN = 5
# Loads that are remembered: a gap at the beginning of what features look back on is closed, too.
LOADS_KEPT = HISTORY_MIN + 1 + CARRIED_MIN
# Rolling means forget over so many minutes, and over so many arrivals.
LOSS_MIN = 120
ARRIVALS = 100
# Fewer say nothing yet.
_ARRIVALS_LEAST = 50
# What a model may lose against "nothing changes" beyond what it was better by before: as much as one session too many
# for eight hours, or four for two. So a quiet night does not end a good model. It begins with half of that, and returns
# with it.
_CREDIT_SESSION_MIN = 480.0
_COVERAGE_MARGIN = 0.1
# Of one minute's arrivals so many count at most: a flood is one event. A thousand misses at once would move the
# correction to its end, and at a target of 5 % it is back after ten thousand arrivals.
_COUNTED_AT_ONCE = 10.0
# To a computer 0.1 * 30 is a little more than 3.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class _Course:
    """The loads minute by minute up to ``minute``."""

    minute: int
    loads: Sequence[float | None]

    @property
    def first(self) -> int:
        return self.minute - len(self.loads) + 1

    def at(self, minute: int) -> float | None:
        return self.loads[minute - self.first] if self.first <= minute <= self.minute else None

    def highest(self, begin: int, end: int) -> float | None:
        """The highest from the one minute to the other; ``None`` where any is not known."""
        loads = [self.at(minute) for minute in range(begin, end + 1)]
        known = [load for load in loads if load is not None]
        return max(known) if len(known) == len(loads) else None


def caught_up(
    notes: Notes, seen: Iterable[tuple[datetime, float | None]], now: datetime, horizon_min: int | None
) -> Notes:
    """The notes with the loads up to now, and with what forecasts of the minutes that are over came to.

    ``horizon_min`` is the model's; without one nothing is judged.
    """
    minute = minute_of(now)
    loads = _loads(notes, seen, minute)
    # A clock that was set back leaves notes of minutes that are still to come.
    forecasts = tuple(each for each in notes.forecasts if each.minute <= minute)
    now_known = replace(notes, minute=minute, loads=loads, forecasts=forecasts)
    if notes.minute is None or horizon_min is None:
        return now_known
    course = _Course(minute, carried(loads))
    for over in range(max(notes.minute, course.first), minute):
        now_known = _after(over, now_known, course, horizon_min)
    return now_known


def carried(loads: Sequence[float | None]) -> list[float | None]:
    """The loads with short gaps closed: what was read last holds for ``CARRIED_MIN``."""
    if None not in loads:
        return list(loads)
    closed: list[float | None] = []
    last, missing = None, 0
    for load in loads:
        missing = missing + 1 if load is None else 0
        last = last if load is None else load
        closed.append(last if missing <= CARRIED_MIN else None)
    return closed


def doubt_of_the_past(notes: Notes) -> Doubt:
    """What speaks against forecasts that are like those until now."""
    arrivals, target = notes.arrivals, notes.aim.target
    acts = notes.who is not None and notes.who.acts
    if notes.losses.credit <= 0 or (not acts and notes.losses.credit < Losses().credit):
        return Doubt.WORSE
    if arrivals.seen >= _ARRIVALS_LEAST and abs(arrivals.served - (1 - target)) > _COVERAGE_MARGIN:
        # As long as it can still move, the correction is the better answer.
        ends = Correction(target)
        return Doubt.NONE if ends.lowest < notes.aim.alpha < ends.highest else Doubt.COVERAGE
    return Doubt.NONE


def who_decides(before: Who | None, doubt: Doubt, minute: int, return_after_min: float) -> Who:
    """Who decides from this minute on, in which there is such a doubt about the forecast, or none."""
    before = before or Who(acts=False, since=minute, doubt=doubt, good_since=None)
    since = min(before.since, minute)  # a clock that was set back leaves times that are still to come
    if doubt:
        return Who(acts=False, since=minute if before.acts else since, doubt=doubt, good_since=None)
    if before.acts:
        return replace(before, since=since)
    good_since = minute if before.good_since is None else min(before.good_since, minute)
    if minute - good_since >= return_after_min:
        return Who(acts=True, since=minute, doubt=Doubt.NONE, good_since=None)
    return replace(before, since=since, good_since=good_since)


def _after(over: int, notes: Notes, course: _Course, horizon_min: int) -> Notes:
    """The notes when one more minute is over: its arrivals are counted, and the forecast is judged that it ends."""
    aim, arrivals, losses, judged = notes.aim, notes.arrivals, notes.losses, notes.judged
    came, missed = _arrivals(over, course, notes.forecasts, horizon_min)
    if came and not _is_unlike_training(notes.who):
        share = min(1.0, _COUNTED_AT_ONCE / came)
        aim = replace(aim, alpha=Correction(aim.target).after(aim.alpha, share * came, share * missed))
        arrivals = _counted(arrivals, share * came, share * missed)
    for forecast in notes.forecasts:
        realised = course.highest(over - horizon_min, over) if forecast.minute == over - 2 * horizon_min else None
        if realised is not None:
            judged = Judged(forecast, realised)
            losses = _lost(losses, judged, course.at(forecast.minute), aim.target)
    return replace(notes, aim=aim, arrivals=arrivals, losses=losses, judged=judged)


def _is_unlike_training(who: Who | None) -> bool:
    """Whether the load now is: then it says nothing of how the model does on loads that it knows."""
    return who is not None and who.doubt is Doubt.OUT_OF_RANGE and not who.acts and who.good_since is None


def _loads(notes: Notes, seen: Iterable[tuple[datetime, float | None]], minute: int) -> tuple[float | None, ...]:
    """One load for each minute, the newest reading of it; from the first one on that was ever known."""
    later = 0 if notes.minute is None or not notes.loads else minute - notes.minute
    # Of a clock that was set back, the loads that are still to come are dropped.
    kept = notes.loads[:later] if later < 0 else (*notes.loads, *[None] * min(later, LOADS_KEPT))
    kept = kept[-LOADS_KEPT:]
    loads: list[float | None] = [*[None] * (LOADS_KEPT - len(kept)), *kept]
    for at, load in seen:
        place = minute_of(at) - minute - 1
        if load is not None and load <= MOST and -LOADS_KEPT <= place < 0:
            loads[place] = load
    known = next((place for place, load in enumerate(loads) if load is not None), None)
    return () if known is None else tuple(loads[min(known, LOADS_KEPT - len(kept)) :])


def _arrivals(minute: int, course: _Course, forecasts: Iterable[Forecast], horizon_min: int) -> tuple[float, float]:
    """How many sessions came in a minute, and how many of them found less forecast than they needed.

    What counts is the newest forecast that was early enough to be in effect; without one, nobody came.
    """
    before, load = course.at(minute - 1), course.at(minute)
    early = [each for each in forecasts if minute - 2 * horizon_min <= each.minute <= minute - horizon_min]
    if before is None or load is None or load <= before or not early:
        return 0.0, 0.0
    came = load - before
    return came, min(came, max(0.0, math.ceil(load - early[-1].high - ROUNDING)))


def _counted(arrivals: Arrivals, came: float, missed: float) -> Arrivals:
    seen = min(arrivals.seen + came, ARRIVALS)
    served = arrivals.served + (1 - missed / came - arrivals.served) * min(1.0, came / seen)
    return Arrivals(seen, min(1.0, max(0.0, served)))


def _lost(losses: Losses, judged: Judged, present: float | None, target: float) -> Losses:
    if present is None:
        return losses
    count = min(losses.judged + 1, LOSS_MIN)
    own, persistence = (
        pinball([1 - target], np.array([each]), judged.realised) for each in (judged.forecast.alone, present)
    )
    return Losses(
        count,
        losses.own + (own - losses.own) / count,
        losses.persistence + (persistence - losses.persistence) / count,
        min(max(0.0, losses.credit + (persistence - own) / (_CREDIT_SESSION_MIN * target)), 1.0),
    )
