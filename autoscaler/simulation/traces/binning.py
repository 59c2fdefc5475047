"""Amounts over time, spread evenly into steps of equal length."""

from dataclasses import dataclass

import numpy as np

from autoscaler.simulation.run import Floats


@dataclass(frozen=True, slots=True)
class Amounts:
    """So much between each two times, evenly; a time must not end before it begins."""

    begin_s: Floats
    end_s: Floats
    amount: Floats


def spread(amounts: Amounts, first_s: float, step_s: float) -> Floats:
    """Return what falls into each step from ``first_s`` to the last end."""
    begin, end = (amounts.begin_s - first_s) / step_s, (amounts.end_s - first_s) / step_s
    first = np.floor(begin).astype(np.int64)
    steps = np.maximum(np.ceil(end).astype(np.int64) - first, 1)
    # One entry for each step that an amount touches: its place, and the share of the amount that is in it.
    each = np.repeat(np.arange(len(first)), steps)
    place = first[each] + np.arange(len(each)) - np.repeat(np.cumsum(steps) - steps, steps)
    inside = np.minimum(end[each], place + 1.0) - np.maximum(begin[each], place)
    length = (end - begin)[each]
    share = np.divide(inside, length, out=np.ones_like(inside), where=length > 0)
    return np.bincount(place, weights=share * amounts.amount[each]).astype(np.float64)
