"""The pinball loss."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.learning.losses import pinball

numbers = st.floats(-100, 100)


def test_a_miss_costs_the_level_and_an_excess_the_rest() -> None:
    assert pinball([0.9], np.array([2.0]), 5.0) == pytest.approx(0.9 * 3)
    assert pinball([0.9], np.array([5.0]), 2.0) == pytest.approx(0.1 * 3)


def test_the_loss_is_the_mean_over_the_levels() -> None:
    assert pinball([0.5, 0.9], np.array([0.0, 0.0]), 1.0) == pytest.approx(0.7)


@given(st.lists(numbers, min_size=1, max_size=30), st.floats(0.05, 0.95))
def test_no_forecast_is_better_in_the_mean_than_the_quantile(actual: list[float], level: float) -> None:
    def loss(forecast: float) -> float:
        return sum(pinball([level], np.array([forecast]), one) for one in actual)

    best = loss(float(np.quantile(actual, level, method="inverted_cdf")))
    assert all(best <= loss(other) + 1e-6 for other in actual)
