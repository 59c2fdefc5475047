"""Is one policy better than another, or was it luck? Weeks are drawn again and again, for both policies the same ones.

A figure is a sum over weeks divided by another: the cost by the time, the waiting by the sessions. A week is what
repeats in the work of a site, so days of one week are not counted as evidence of their own. The interval is the
percentile interval of a paired block bootstrap over weeks, widened as Student's t is wider than the normal: with few
weeks it would be too narrow (Hesterberg, What Teachers Should Know About the Bootstrap, 2015, expanded percentile
interval). Its numbers are drawn with a fixed seed, so a comparison is the same each time that it is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from autoscaler.simulation.figures import DAY_S, FIGURES, HOUR_S, MIB_PER_GIB, experience, lost_core_s
from autoscaler.simulation.local_time import WEEK_S
from autoscaler.simulation.run import Floats, Run
from autoscaler.simulation.scenario import Scenario

Verdict = Literal["better", "worse", "cannot tell"]
RESAMPLES = 10_000
# What is outside of a 95 % interval, on either side.
TAIL = 0.025
# Two policies that are the same on average were told apart in 3 to 6 % of the trials, where 5 % is meant, with 4 to 52
# weeks whose differences are normal; in 20 % with 4, 16 % with 8 and 10 % with 52 where they are lognormal (measured).
WEEKS_MIN = 4
SEED = 20240501
# Of a figure, in its unit at least: differences below it come from the rounding of sums.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Share:
    """A figure by weeks: ``part`` over ``whole``, each summed over the weeks that are looked at."""

    part: Floats
    whole: Floats

    def over(self, weeks: NDArray[np.intp]) -> Floats:
        """The figure for each row of weeks; NaN where there is nothing to divide by."""
        whole: Floats = self.whole[weeks].sum(axis=-1)
        figure = np.full(whole.shape, np.nan)
        np.divide(self.part[weeks].sum(axis=-1), whole, out=figure, where=whole > 0)
        return figure


@dataclass(frozen=True, slots=True)
class Weekly:
    """A run by weeks: each week's length, and the figures that can be compared, by the key of the row.

    Keys that end in ``_per_week`` are the row's, per seven days. A session belongs to the week in which it came, with
    all of its wait; a cycle or a transfer to the week in which it began.
    """

    policy: str
    days: Floats
    shares: Mapping[str, Share]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval, ``None`` where it has no value or there are too few weeks for an interval."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A policy's figure minus the reference's, with its 95 % interval, and what that says of the policy."""

    key: str
    policy: str
    reference: str
    difference: Interval
    verdict: Verdict
    reason: str


def weekly(run: Run, scenario: Scenario) -> Weekly:
    """Take a run apart by weeks. A last week of less than half its length belongs to the one before."""
    edges_s = _edges_s(run.duration_s)
    days = np.diff(edges_s) / DAY_S
    return Weekly(run.policy, days, _of_sessions(run, len(days)) | _of_time(run, scenario, edges_s))


def interval(run: Weekly, key: str) -> Interval:
    """Return a figure of one run with the interval in which it would be in other such weeks."""
    return _interval(run.shares[key].over(_as_it_was(run)), run.shares[key].over(_draws(run)), len(run.days))


def compare(run: Weekly, reference: Weekly) -> dict[str, Comparison]:
    """Compare all figures of a run with those of a reference on the same workload."""
    if not np.array_equal(run.days, reference.days):
        raise ValueError(f"{run.policy} and {reference.policy} did not run on the same workload: their weeks differ")
    was, draws = _as_it_was(run), _draws(run)
    compared = {}
    for key, share in run.shares.items():
        other = reference.shares[key]
        drawn = _minus(share.over(draws), other.over(draws))
        difference = _interval(_minus(share.over(was), other.over(was)), drawn, len(run.days))
        verdict, reason = _verdict(key, difference, len(run.days))
        compared[key] = Comparison(key, run.policy, reference.policy, difference, verdict, reason)
    return compared


def _edges_s(duration_s: float) -> Floats:
    weeks = max(1, int(duration_s / WEEK_S + 0.5))
    return np.append(np.arange(weeks) * WEEK_S, duration_s)


def _by_week(at_s: Floats, values: Floats, weeks: int) -> Floats:
    week = np.minimum(at_s / WEEK_S, weeks - 1).astype(np.intp)
    return np.bincount(week, weights=values, minlength=weeks).astype(np.float64)


def _of_sessions(run: Run, weeks: int) -> dict[str, Share]:
    """The figures that are means over sessions."""
    lived = experience(run)
    sessions = _by_week(lived.submit_s, np.ones_like(lived.submit_s), weeks)
    return {key: Share(_by_week(lived.submit_s, values, weeks), sessions) for key, values in lived.means().items()}


def _of_time(run: Run, scenario: Scenario, edges_s: Floats) -> dict[str, Share]:
    """The figures that are so much in so much time, and the batch jobs' efficiency."""
    days = np.diff(edges_s) / DAY_S
    weeks = len(days)
    lived = experience(run)
    cycles_at_s: Floats = np.arange(len(run.cycles.wn_used_core_s), dtype=np.float64) * run.cycles.interval_s
    lost_core_hours = _by_week(cycles_at_s, lost_core_s(run), weeks) / HOUR_S
    waited_core_hours = _by_week(lived.submit_s, lived.wait_s, weeks) * scenario.price.wait_core_s / HOUR_S
    moves_at_s = np.array([move.at_s for move in run.moves], dtype=np.float64)
    moved_gib = np.array([abs(move.moved_mib) for move in run.moves], dtype=np.float64) / MIB_PER_GIB
    swapped_gib = np.array([move.swapped_mib for move in run.moves], dtype=np.float64) / MIB_PER_GIB
    return {
        "cost_per_week": Share(waited_core_hours + lost_core_hours, days / 7),
        "wn_core_hours_lost_per_week": Share(lost_core_hours, days / 7),
        "wn_cpu_efficiency_ratio": Share(
            _by_week(cycles_at_s, run.cycles.wn_used_core_s, weeks),
            _by_week(cycles_at_s, run.cycles.wn_wanted_core_s, weeks),
        ),
        "spare_workers_mean": Share(_by_week(cycles_at_s, run.cycles.spare_worker_s, weeks), days * DAY_S),
        "moved_gib_per_day": Share(_by_week(moves_at_s, moved_gib, weeks), days),
        "changes_per_day": Share(_by_week(moves_at_s, np.ones_like(moves_at_s), weeks), days),
        "swapped_gib_per_day": Share(_by_week(moves_at_s, swapped_gib, weeks), days),
        "swap_in_gib_per_day": Share(_by_week(cycles_at_s, run.cycles.swap_in_mib / MIB_PER_GIB, weeks), days),
    }


def _as_it_was(run: Weekly) -> NDArray[np.intp]:
    return np.arange(len(run.days))[np.newaxis]


def _draws(run: Weekly) -> NDArray[np.intp]:
    """As many weeks as there are, each any of them, ten thousand times over; the same for all runs of that length."""
    weeks = len(run.days)
    return np.random.default_rng(SEED).integers(weeks, size=(RESAMPLES, weeks), dtype=np.intp)


def _minus(figure: Floats, reference: Floats) -> Floats:
    difference = figure - reference
    noise = ROUNDING * np.maximum(1.0, np.maximum(np.abs(figure), np.abs(reference)))
    return np.where(np.abs(difference) <= noise, 0.0, difference)


def _interval(was: Floats, drawn: Floats, weeks: int) -> Interval:
    """Put the interval around what was. A draw in which nobody came has no mean wait: it is left out."""
    (value,) = was.tolist()
    if np.isnan(value):
        return Interval(None, None, None)
    if weeks < WEEKS_MIN:
        return Interval(value, None, None)
    # By rank and not interpolated: exchanging the policies gives the same interval with its signs exchanged.
    ranked = np.sort(drawn[~np.isnan(drawn)])
    outside, wider = int(TAIL * len(ranked)), _widening(weeks)
    low, high = float(ranked[outside]), float(ranked[-1 - outside])
    return Interval(value, value - wider * (value - low), value + wider * (high - value))


def _widening(weeks: int) -> float:
    """By how much Student's t with the weeks' degrees of freedom and spread is wider than what resampling gives.

    The quantile of t is the first terms of its expansion in the normal one (Abramowitz and Stegun, 26.7.5).
    """
    z, free = NormalDist().inv_cdf(1 - TAIL), weeks - 1
    t = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    return t / z * sqrt(weeks / free)


def _verdict(key: str, difference: Interval, weeks: int) -> tuple[Verdict, str]:
    if difference.value is None:
        return "cannot tell", "one of the two has no value"
    if difference.low is None or difference.high is None:
        return "cannot tell", f"too few weeks for an interval: {weeks}, at least {WEEKS_MIN} are needed"
    if difference.low <= 0 <= difference.high:
        return "cannot tell", f"the 95 % interval over {weeks} weeks holds no difference"
    lower = difference.high < 0
    wants_lower = FIGURES[key.removesuffix("_per_week")].better == "lower"
    return "better" if lower == wants_lower else "worse", f"the 95 % interval over {weeks} weeks is on one side of 0"
