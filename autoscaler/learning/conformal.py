"""Adaptive conformal inference (Gibbs and Candes, 2021): the quantile is moved until the stated share is missed.

``alpha`` is the share of minutes that may rise above the quantile in use, one less its level. What is promised is
another share, of arrivals that find no worker, and the outcome of each arrival moves alpha: down at a miss, up a little
at a hit. The step is of alpha's logarithm, because the alphas in question span decades.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np

from autoscaler.learning.features import Floats

# Sessions for each factor of ten in alpha.
LEAST_RISE = 1.0
_LEAST_SLOPE = LEAST_RISE / log(10.0)


@dataclass(frozen=True, slots=True)
class Correction:
    """How alpha follows the misses; ``target`` is the share of arrivals that may find no worker.

    It ends at ``lowest`` and ``highest``. Where nothing is missed within a step of the lowest alpha, and everything
    within a step of the highest, the share missed among n arrivals is within ``bound(n)`` of the target, however they
    come.
    """

    target: float
    gamma: float = 0.02
    lowest: float = 1e-5
    highest: float = 0.5

    def __post_init__(self) -> None:
        if not (0 < self.target < 1 and self.gamma > 0 and 0 < self.lowest < self.highest < 1):
            raise ValueError("a correction has a target and ends between 0 and 1, and steps of more than 0")

    def after(self, alpha: float, arrivals: float, missed: float) -> float:
        """Return alpha after so many arrivals at once, of which some were missed."""
        moved = log(alpha) + self.gamma * (self.target * arrivals - missed)
        return min(max(exp(min(moved, 0.0)), self.lowest), self.highest)

    def bound(self, arrivals: int) -> float:
        """How far from the target the share of missed arrivals can be, at most."""
        return log(self.highest / self.lowest) / (self.gamma * arrivals)


def quantile(levels: Sequence[float], quantiles: Floats, alpha: float) -> float:
    """Return the quantile at level 1 - alpha, from those at other levels.

    Between two of them it is linear in the logarithm of alpha, as in the tail of an exponential distribution. Above the
    highest it goes on as between the highest two, but by no less than ``LEAST_RISE`` for each factor of ten; below the
    lowest it stays.
    """
    return float(quantiles_of_rows(levels, quantiles[None, :], alpha)[0])


def quantiles_of_rows(levels: Sequence[float], matrix: Floats, alpha: float) -> Floats:
    """Return ``quantile`` of each row."""
    depth = [-log(1.0 - level) for level in levels]
    wanted = -log(alpha)
    if wanted <= depth[0]:
        return matrix[:, 0]
    upper = bisect_left(depth, wanted)
    if upper < len(depth):
        share = (wanted - depth[upper - 1]) / (depth[upper] - depth[upper - 1])
        return matrix[:, upper - 1] * (1.0 - share) + matrix[:, upper] * share
    slope = (matrix[:, -1] - matrix[:, -2]) / (depth[-1] - depth[-2]) if len(depth) > 1 else np.zeros(len(matrix))
    return matrix[:, -1] + (wanted - depth[-1]) * np.maximum(slope, _LEAST_SLOPE)
