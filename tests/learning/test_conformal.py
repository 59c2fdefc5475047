"""The conformal correction: it keeps its promise whatever comes, and quantiles between and beyond the learned ones."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.learning.conformal import LEAST_RISE, Correction, quantile

corrections = st.builds(
    Correction,
    target=st.floats(0.01, 0.5),
    gamma=st.floats(0.001, 0.5),
    lowest=st.floats(1e-6, 1e-3),
    highest=st.floats(0.1, 0.9),
)
LEVELS = (0.5, 0.9, 0.99)
alphas = st.floats(1e-6, 0.999)


@given(corrections, st.floats(0, 1), st.lists(st.booleans(), min_size=1, max_size=400))
def test_the_target_is_attained_within_the_bound_whatever_comes(
    correction: Correction, begin: float, wishes: list[bool]
) -> None:
    """An adversary misses as it likes, but not beyond the quantile that covers all, and always below all."""
    alpha = correction.lowest * (correction.highest / correction.lowest) ** begin
    missed = 0
    for wish in wishes:
        covers_all = log(alpha / correction.lowest) <= correction.gamma
        covers_none = log(correction.highest / alpha) <= correction.gamma
        miss = (wish or covers_none) and not covers_all
        missed += miss
        alpha = correction.after(alpha, 1, miss)
    assert abs(missed / len(wishes) - correction.target) <= correction.bound(len(wishes)) + 1e-9


@given(corrections, alphas, st.integers(0, 50), st.data())
def test_alpha_stays_between_its_ends(correction: Correction, alpha: float, arrivals: int, data: st.DataObject) -> None:
    missed = data.draw(st.integers(0, arrivals))
    assert correction.lowest <= correction.after(alpha, arrivals, missed) <= correction.highest


def test_a_miss_lowers_alpha_and_a_hit_raises_it_so_that_the_target_keeps_it() -> None:
    correction = Correction(target=0.05)
    assert correction.after(0.01, 1, 1) < 0.01 < correction.after(0.01, 1, 0)
    assert correction.after(0.01, 20, 1) == pytest.approx(0.01)
    assert correction.after(0.01, 0, 0) == pytest.approx(0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": 0.0},
        {"target": 1.0},
        {"target": float("nan")},
        {"target": 0.05, "gamma": 0.0},
        {"target": 0.05, "lowest": 0.6},
        {"target": 0.05, "highest": 1.0},
    ],
)
def test_a_correction_without_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Correction(**wrong)


def test_a_learned_level_gives_its_own_quantile() -> None:
    for level, expected in zip(LEVELS, (1.0, 2.0, 5.0), strict=True):
        assert quantile(LEVELS, np.array([1.0, 2.0, 5.0]), 1 - level) == pytest.approx(expected)


def test_between_two_levels_it_is_linear_in_the_logarithm() -> None:
    assert quantile(LEVELS, np.array([1.0, 2.0, 5.0]), (0.1 * 0.01) ** 0.5) == pytest.approx(3.5)


def test_beyond_the_highest_level_it_goes_on_as_between_the_highest_two() -> None:
    assert quantile(LEVELS, np.array([1.0, 2.0, 5.0]), 0.001) == pytest.approx(8.0)
    assert quantile(LEVELS, np.array([1.0, 5.0, 5.0]), 0.001) == pytest.approx(5.0 + LEAST_RISE)


def test_below_the_lowest_level_it_stays() -> None:
    assert quantile(LEVELS, np.array([1.0, 2.0, 5.0]), 0.8) == 1.0


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=3).map(sorted), alphas, alphas)
def test_a_smaller_alpha_never_gives_a_lower_quantile(quantiles: list[float], one: float, other: float) -> None:
    levels = LEVELS[: len(quantiles)]
    small, large = sorted((one, other))
    found = [quantile(levels, np.array(quantiles), alpha) for alpha in (small, large)]
    assert found[0] >= found[1] - 1e-9
