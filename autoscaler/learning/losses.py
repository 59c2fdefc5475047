"""How wrong quantiles were: the pinball loss, which is least in the mean for the true quantiles."""

from collections.abc import Sequence

import numpy as np

from autoscaler.learning.features import Floats


def pinball(levels: Sequence[float], quantiles: Floats, actual: float) -> float:
    """Return the loss of quantiles, the mean over their levels; that nothing changes is a forecast of zeros."""
    short = actual - quantiles
    level = np.array(levels)
    return float(np.maximum(level * short, (level - 1.0) * short).mean())
