"""Who came, began and went, where only is known how many were there each minute: first come, first gone.

Who left is not known, and does not change how many are there, nor by Little's law (Little 1961) the mean stay. Where
some came and others went between two looks only the difference is seen: of many at once fewer come, and stay longer.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoscaler.simulation.local_time import MINUTE_S
from autoscaler.simulation.run import Floats

# What says more is out of its mind, and would be no whole number of 64 bits when it is added up.
MOST = 1e9
# One that was seen once was there for less than two looks.
SHORTEST_S = MINUTE_S / 2


@dataclass(frozen=True, slots=True, eq=False)
class Stays:
    """Seconds since the first look, one value for each that came, in the order in which they came.

    ``run_s`` is how long each stayed after it had begun; who was still there at the last look stayed until then.
    """

    came_s: Floats
    run_s: Floats


def stays(there: Floats, waiting: Floats | None = None, seed: int = 0) -> Stays:
    """Find them by how many were there each minute, and how many of these had not begun.

    What is not known is taken to lie on the line between what was known before and after it: as it was last, all that
    came meanwhile would come in one minute. When in its minute somebody came is drawn at random, by the seed.
    Who never began is left out.
    """
    count = _counts(there)
    change = np.diff(count, prepend=0)
    ever = np.cumsum(np.maximum(change, 0))
    gone = np.cumsum(np.maximum(-change, 0))
    begun = ever if waiting is None else _begun(ever, gone, _counts(waiting))
    order = np.arange(begun[-1])
    came_min, began_min, gone_min = (_minute_of(order, curve) for curve in (ever, begun, gone))
    drawn = np.random.default_rng(seed).random(len(order))
    # One that is there at a full minute came in the minute before.
    came_s = np.sort(np.maximum(0.0, came_min - drawn) * MINUTE_S)
    return Stays(came_s, np.maximum((gone_min - began_min) * MINUTE_S, SHORTEST_S))


def arrivals(there: Floats) -> int:
    """How many came, by how many were there each minute."""
    return int(np.maximum(np.diff(_counts(there), prepend=0), 0).sum())


def _begun(ever: NDArray[np.int64], gone: NDArray[np.int64], waiting: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many had ever begun: none begins twice, none before it has come, and none goes without having begun."""
    return np.maximum.accumulate(np.minimum(np.maximum(ever - waiting, gone), ever))


def _counts(values: Floats) -> NDArray[np.int64]:
    """Whole numbers, none of them unknown; before the first that is known, and after the last, as these."""
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return np.zeros(len(values), dtype=np.int64)
    filled = np.interp(np.arange(len(values)), known, np.clip(values[known], 0.0, MOST))
    return np.rint(filled).astype(np.int64)


def _minute_of(order: NDArray[np.int64], curve: NDArray[np.int64]) -> NDArray[np.int64]:
    """In which minute each was counted; one that never was, at the end."""
    return np.searchsorted(curve, order, side="right")
