"""Training: what is learned, from what, and that it is scikit-learn's to the number."""

from datetime import timedelta

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from autoscaler.learning.features import FEATURES, Floats, rows
from autoscaler.learning.forest import QuantileForest
from autoscaler.learning.training import Growth, TrainingError, coming_rise, examples, train
from tests.learning.loads import MONDAY, made_loads

LEVELS = (0.5, 0.9, 0.99)
GROWTH = Growth(trees=20, rows_per_leaf=50)


@pytest.fixture(scope="module")
def loads() -> Floats:
    gaps = made_loads(days=14)
    gaps[5000:5400] = np.nan
    return gaps


@pytest.fixture(scope="module")
def forest(loads: Floats) -> QuantileForest:
    return train(loads, MONDAY, horizon_min=5, levels=LEVELS, growth=GROWTH)


def test_a_forest_predicts_what_scikit_learn_does(loads: Floats, forest: QuantileForest) -> None:
    learned = examples(loads, MONDAY, 5)
    model = HistGradientBoostingRegressor(
        loss="quantile",
        quantile=0.9,
        max_iter=GROWTH.trees,
        max_leaf_nodes=GROWTH.leaves,
        max_depth=GROWTH.depth,
        min_samples_leaf=GROWTH.rows_per_leaf,
        early_stopping=False,
    )
    model.fit(learned.matrix, learned.rise, sample_weight=learned.weight)
    matrix = rows(loads, MONDAY)
    ours = forest.raw_rows(matrix)[:, 1]
    assert np.allclose(ours, model.predict(matrix), rtol=1e-9, atol=1e-9)


def test_the_same_loads_give_the_same_forest(loads: Floats, forest: QuantileForest) -> None:
    again = train(loads, MONDAY, horizon_min=5, levels=LEVELS, growth=GROWTH)
    assert {name: array.tobytes() for name, array in again.arrays().items()} == {
        name: array.tobytes() for name, array in forest.arrays().items()
    }


def test_what_is_done_is_told_level_by_level(loads: Floats) -> None:
    told: list[float] = []
    train(loads, MONDAY, horizon_min=5, levels=LEVELS, growth=GROWTH, tell=told.append)
    assert told == [(done + 1) / len(LEVELS) for done in range(len(LEVELS))]


def test_a_trained_forest_survives_being_arrays(loads: Floats, forest: QuantileForest) -> None:
    again = QuantileForest.from_arrays(forest.arrays())
    matrix = rows(loads, MONDAY)[::97]
    assert np.array_equal(again.predict_rows(matrix), forest.predict_rows(matrix))


def test_a_forest_says_what_it_is_and_in_which_range_it_learned(forest: QuantileForest, loads: Floats) -> None:
    assert (forest.levels, forest.horizon_min, forest.features) == (LEVELS, 5, FEATURES)
    load = FEATURES.index("load")
    assert (forest.low[load], forest.high[load]) == (0, np.nanmax(loads))


def test_about_the_stated_share_of_rises_is_below_a_quantile_of_weeks_that_were_not_seen(
    forest: QuantileForest,
) -> None:
    other = made_loads(days=14, seed=2)
    rise = coming_rise(other, 5)
    known = ~np.isnan(rise)
    expected = forest.predict_rows(rows(other, MONDAY))
    below = (rise[known, None] <= expected[known] + 0.5).mean(axis=0)
    assert below[1] == pytest.approx(0.9, abs=0.1)
    assert below[2] == pytest.approx(0.99, abs=0.02)


def test_the_coming_rise_is_over_what_the_next_decision_can_still_reach() -> None:
    loads = np.array([1.0, 9.0, 2.0, 3.0, 5.0, 4.0, 0.0, 0.0])
    assert coming_rise(loads, 2).tolist()[:4] == [4.0, -4.0, 3.0, 1.0]
    assert np.isnan(coming_rise(loads, 2)[4:]).all()


def test_the_coming_rise_may_be_over_a_shorter_time() -> None:
    loads = np.array([1.0, 9.0, 2.0, 3.0, 5.0, 4.0, 0.0, 0.0])
    assert coming_rise(loads, 2, 0).tolist()[:6] == [1.0, -6.0, 3.0, 1.0, -5.0, -4.0]


def test_quiet_minutes_are_thinned_and_stand_for_those_left_out(loads: Floats) -> None:
    learned, known = examples(loads, MONDAY, 5), ~np.isnan(coming_rise(loads, 5))
    assert len(learned.rise) < 0.8 * known.sum()
    assert learned.weight.sum() == pytest.approx(known.sum(), rel=0.001)
    busy = known & (loads > 0)
    assert (learned.matrix[:, FEATURES.index("load")] > 0).sum() == busy.sum()


def test_a_rise_of_which_a_part_is_unknown_is_unknown() -> None:
    loads = np.array([1.0, np.nan, 2.0, 3.0, 5.0, 4.0])
    assert np.isnan(coming_rise(loads, 1)).tolist() == [True, True, False, False, True, True]


@pytest.mark.parametrize("loads", [np.zeros(0), np.zeros(60), np.full(5000, np.nan)], ids=["none", "few", "unknown"])
def test_too_little_is_refused_with_a_sentence(loads: Floats) -> None:
    with pytest.raises(TrainingError, match="too few"):
        train(loads, MONDAY, horizon_min=5, levels=LEVELS, growth=GROWTH)


def test_a_flat_load_is_learned_too() -> None:
    flat = np.full(3000, 2.0)
    forest = train(flat, MONDAY + timedelta(hours=5), horizon_min=1, levels=LEVELS, growth=GROWTH)
    assert forest.predict(rows(flat, MONDAY)[-1]).tolist() == [0.0, 0.0, 0.0]
