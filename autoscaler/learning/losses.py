"""How wrong quantiles were: the pinball loss, which is least in the mean for the true quantiles."""

from collections.abc import Sequence

import numpy as np

from autoscaler.learning.features import Floats


def pinball(levels: Sequence[float], quantiles: Floats, actual: float | Floats) -> float:
    """Return the mean loss of quantiles over their levels, or of one level over forecasts and what came of each."""
    short = actual - quantiles
    level = np.array(levels)
    return float(np.maximum(level * short, (level - 1.0) * short).mean())
