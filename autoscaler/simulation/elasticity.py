"""How well supply follows demand: the elasticity metrics of autoscaler research, for one course of workers over time.

The metrics are those of Ilyushkin et al. (ICPE 2017), in the form that joygraph's AutoscalerMetricCalculator computes.
``at_s`` ascends from 0, each value of ``demand`` d and ``supply`` s holds until the next time, the last until
``duration_s`` T. Accuracy and timeshare are exact integrals over that course. Published code divides over-provisioning
either by demand or by supply; here both accuracies are divided by demand, and where that is below one worker, by one:
at night, when nobody wants anything, each worker that is there counts 100 %. All results are percent; ``None`` for a
course without time.
"""

import numpy as np
from numpy.typing import NDArray

from autoscaler.simulation.run import Floats


def theta_under_percent(at_s: Floats, demand: Floats, supply: Floats, duration_s: float) -> float | None:
    """Accuracy, theta_U = 100/T * integral of max(d - s, 0) / max(d, 1): the share of demand that is not met."""
    return mean_percent(np.maximum(demand - supply, 0.0) / np.maximum(demand, 1.0), at_s, duration_s)


def theta_over_percent(at_s: Floats, demand: Floats, supply: Floats, duration_s: float) -> float | None:
    """Accuracy, theta_O = 100/T * integral of max(s - d, 0) / max(d, 1): what is there too much, per demand."""
    return mean_percent(np.maximum(supply - demand, 0.0) / np.maximum(demand, 1.0), at_s, duration_s)


def tau_under_percent(at_s: Floats, demand: Floats, supply: Floats, duration_s: float) -> float | None:
    """Timeshare, tau_U = 100/T * integral of [d > s]: how much of the time there is too little."""
    return mean_percent((demand > supply).astype(np.float64), at_s, duration_s)


def tau_over_percent(at_s: Floats, demand: Floats, supply: Floats, duration_s: float) -> float | None:
    """Timeshare, tau_O = 100/T * integral of [s > d]: how much of the time there is too much."""
    return mean_percent((supply > demand).astype(np.float64), at_s, duration_s)


def instability_percent(at_s: Floats, demand: Floats, supply: Floats, duration_s: float, step_s: float) -> float | None:
    """Instability, k = 100/(n - 1) * sum of min(1, max(0, sgn(ds) - sgn(dd))): supply moves up against demand.

    ds and dd are the changes from one of n samples to the next, taken at 0, ``step_s``, 2 ``step_s``, ... below T: in k
    are the steps in which supply grew and demand did not, or demand fell and supply did not. joygraph divides by one
    less, as its T counts steps and not samples; so divided, all steps are 100 %.
    """
    return _instability(_signs(at_s, supply, duration_s, step_s), _signs(at_s, demand, duration_s, step_s))


def instability_other_percent(
    at_s: Floats, demand: Floats, supply: Floats, duration_s: float, step_s: float
) -> float | None:
    """Instability, k' = 100/(n - 1) * sum of min(1, max(0, sgn(dd) - sgn(ds))): supply moves down against demand.

    As k, with the signs exchanged: steps in which demand grew and supply did not, or supply fell and demand did not.
    """
    return _instability(_signs(at_s, demand, duration_s, step_s), _signs(at_s, supply, duration_s, step_s))


def mean_percent(values: Floats, at_s: Floats, duration_s: float) -> float | None:
    """Mean of ``values`` over the time in which each holds, times 100."""
    if not at_s.size or duration_s <= 0:
        return None
    # Not a dot product: what that rounds to depends on the machine's threads.
    return 100.0 * float(np.sum(values * _spans(at_s, duration_s))) / duration_s


def _spans(at_s: Floats, duration_s: float) -> Floats:
    """How long each value holds; what comes at the end of the run or later holds for no time."""
    return np.diff(np.minimum(np.append(at_s, duration_s), duration_s))


def _signs(at_s: Floats, values: Floats, duration_s: float, step_s: float) -> Floats:
    """The direction in which the values went from each sample to the next."""
    if not at_s.size:
        return np.zeros(0)
    samples_at_s = np.arange(int(np.ceil(duration_s / step_s))) * step_s
    holding: NDArray[np.intp] = np.searchsorted(at_s, samples_at_s, side="right") - 1
    return np.sign(np.diff(values[holding]))


def _instability(mover: Floats, other: Floats) -> float | None:
    if not mover.size:
        return None
    return 100.0 * float(np.mean(np.clip(mover - other, 0.0, 1.0)))
