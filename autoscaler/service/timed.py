"""A forecaster with a limit by the clock: a policy has none, and must not keep the loop waiting."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from autoscaler.contracts import Forecaster
from autoscaler.learning.features import Floats

# A forecast takes a fraction of a millisecond; a crowded machine may take a hundred times as long.
LIMIT_S = 0.5


class SlowForecastError(TimeoutError):
    """A forecast came, but too late to be relied on; the message says how late."""


@dataclass(frozen=True, slots=True)
class TimedForecaster:
    """Refuses a forecast that took longer than ``limit_s``, so that the policy steps back in the same cycle."""

    forecaster: Forecaster
    limit_s: float = LIMIT_S

    @property
    def levels(self) -> Sequence[float]:
        """Those of the model."""
        return self.forecaster.levels

    @property
    def horizon_min(self) -> int:
        """That of the model, in minutes."""
        return self.forecaster.horizon_min

    @property
    def features(self) -> Sequence[str]:
        """Those of the model."""
        return self.forecaster.features

    @property
    def low(self) -> Floats:
        """The least of each feature in training."""
        return self.forecaster.low

    @property
    def high(self) -> Floats:
        """The most of each feature in training."""
        return self.forecaster.high

    def predict(self, row: Floats) -> Floats:
        """What the model says; raises ``SlowForecastError``, and whatever the model raises."""
        began = time.perf_counter()
        found = self.forecaster.predict(row)
        took_s = time.perf_counter() - began
        if took_s > self.limit_s:
            raise SlowForecastError(f"a forecast took {took_s:.2f} s, the limit is {self.limit_s:g} s")
        return found
