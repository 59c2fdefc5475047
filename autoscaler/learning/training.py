"""From a site's own loads to a forest of quantiles, by scikit-learn's histogram gradient boosting.

The only module that imports scikit-learn: a site that does not train needs none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from autoscaler.learning.features import FEATURES, Floats, rows
from autoscaler.learning.forest import QuantileForest, Trees

# Predictions differ from scikit-learn's by the order of a sum, at most.
_SAME = 1e-9
_CHECKED_ROWS = 10_000


class TrainingError(Exception):
    """No forest can be made of these loads; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How the trees of each level grow."""

    trees: int = 100
    leaves: int = 15
    learning_rate: float = 0.1
    rows_per_leaf: int = 200


def train(
    loads: Floats,
    start: datetime,
    *,
    horizon_min: int,
    levels: Sequence[float],
    zone: tzinfo = UTC,
    growth: Growth | None = None,
) -> QuantileForest:
    """Return the quantiles of the coming rise, learned from one load each minute from ``start`` on, NaN where unknown.

    Raises ``TrainingError`` where too little is known. The same loads give the same forest.
    """
    growth = growth or Growth()
    rise = coming_rise(loads, horizon_min)
    usable = ~np.isnan(rise)
    if usable.sum() < 2 * growth.rows_per_leaf:
        raise TrainingError(f"{usable.sum()} minutes of known load are too few to learn from")
    matrix, target = rows(loads, start, zone)[usable], rise[usable]
    models = [_fitted(level, matrix, target, growth) for level in levels]
    forest = QuantileForest(
        tuple(levels), horizon_min, FEATURES, *_ranges(matrix), _base(models), _exported(models, matrix.shape[1])
    )
    _verify(forest, models, matrix[:: max(1, len(matrix) // _CHECKED_ROWS)])
    return forest


def coming_rise(loads: Floats, horizon_min: int) -> Floats:
    """Return y = max(d[t+L..t+2L]) - d[t] of each minute, NaN where any of these is unknown."""
    rise = np.full(len(loads), np.nan)
    count = len(loads) - 2 * horizon_min
    if count > 0:
        ahead = np.lib.stride_tricks.sliding_window_view(loads[horizon_min:], horizon_min + 1)[:count]
        rise[:count] = ahead.max(axis=1) - loads[:count]
    return rise


def _fitted(level: float, matrix: Floats, target: Floats, growth: Growth) -> HistGradientBoostingRegressor:
    model = HistGradientBoostingRegressor(
        loss="quantile",
        quantile=level,
        max_iter=growth.trees,
        max_leaf_nodes=growth.leaves,
        learning_rate=growth.learning_rate,
        min_samples_leaf=growth.rows_per_leaf,
        early_stopping=False,
        random_state=0,
    )
    return model.fit(matrix, target)


def _ranges(matrix: Floats) -> tuple[Floats, Floats]:
    # fmin and fmax leave out what is unknown, and say so without a warning where nothing is known.
    return np.fmin.reduce(matrix, axis=0), np.fmax.reduce(matrix, axis=0)


def _base(models: Sequence[HistGradientBoostingRegressor]) -> Floats:
    return np.array([float(np.ravel(model._baseline_prediction)[0]) for model in models])  # noqa: SLF001 - not public


def _exported(models: Sequence[HistGradientBoostingRegressor], width: int) -> Trees:
    """The trees of all models, one after the other."""
    trees = [(level, tree) for level, model in enumerate(models) for (tree,) in model._predictors]  # noqa: SLF001
    nodes = np.concatenate([tree.nodes for _, tree in trees])
    sizes = np.array([len(tree.nodes) for _, tree in trees])
    roots = np.cumsum(sizes) - sizes
    offset, place = np.repeat(roots, sizes), np.arange(len(nodes))
    leaf = nodes["is_leaf"].astype(bool)
    largest = np.finfo(np.float64).max
    return Trees(
        feature=np.where(leaf, 0, np.clip(nodes["feature_idx"], 0, width - 1)).astype(np.int64),
        # A split between known and unknown has an infinite threshold.
        threshold=np.where(leaf, 0.0, np.clip(nodes["num_threshold"], -largest, largest)),
        left=np.where(leaf, place, nodes["left"].astype(np.int64) + offset),
        right=np.where(leaf, place, nodes["right"].astype(np.int64) + offset),
        unknown_left=nodes["missing_go_to_left"].astype(bool),
        value=np.where(leaf, nodes["value"], 0.0),
        roots=roots.astype(np.int64),
        level=np.array([level for level, _ in trees], dtype=np.int64),
    )


def _verify(forest: QuantileForest, models: Sequence[HistGradientBoostingRegressor], matrix: Floats) -> None:
    theirs = np.stack([model.predict(matrix) for model in models], axis=1)
    if not np.allclose(forest.raw_rows(matrix), theirs, rtol=_SAME, atol=_SAME):
        raise TrainingError("the exported forest does not predict what scikit-learn's does: is its version supported?")
