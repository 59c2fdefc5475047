"""A forecast that comes late is refused, and the policy steps back in the same cycle."""

import time

import numpy as np
import pytest

from autoscaler.learning.features import FEATURES, Floats
from autoscaler.learning.forest import QuantileForest
from autoscaler.service.timed import SlowForecastError, TimedForecaster
from tests.learning.models import a_forest

ROW = np.ones(len(FEATURES))


class Slow:
    """A model that takes its time."""

    def __init__(self, forest: QuantileForest) -> None:
        self.levels, self.horizon_min, self.features = forest.levels, forest.horizon_min, forest.features
        self.low, self.high = forest.low, forest.high
        self._forest = forest

    def predict(self, row: Floats) -> Floats:
        time.sleep(0.02)
        return self._forest.predict(row)


def test_a_quick_forecast_is_that_of_the_model() -> None:
    forest = a_forest(4.0)
    timed = TimedForecaster(forest, limit_s=60)
    assert np.array_equal(timed.predict(ROW), forest.predict(ROW))
    assert (timed.levels, timed.horizon_min, timed.features) == (forest.levels, forest.horizon_min, forest.features)
    assert np.array_equal(timed.low, forest.low)
    assert np.array_equal(timed.high, forest.high)


def test_a_slow_forecast_is_refused_with_the_time_that_it_took() -> None:
    with pytest.raises(SlowForecastError, match=r"a forecast took 0\.\d\d s, the limit is 0\.01 s"):
        TimedForecaster(Slow(a_forest(4.0)), limit_s=0.01).predict(ROW)
