"""From a site's own loads to a forest of quantiles, by scikit-learn's histogram gradient boosting.

The only module that imports scikit-learn: a site that does not train needs none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from autoscaler.learning.features import FEATURES, Floats, rows
from autoscaler.learning.forest import QuantileForest, Trees

# Predictions differ from scikit-learn's by the order of a sum, at most.
_SAME = 1e-9
_CHECKED_ROWS = 10_000

# Nights are most of the minutes and teach least: of those when nobody is or was there, one in so many stands for all.
_QUIET_FOR_MIN = 30
_QUIET_KEPT = 10
_LOAD, _SINCE = FEATURES.index("load"), FEATURES.index("minutes_since_arrival")


class TrainingError(Exception):
    """No forest can be made of these loads; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How the trees of each level grow."""

    trees: int = 100
    leaves: int = 15
    depth: int = 8
    learning_rate: float = 0.1
    rows_per_leaf: int = 200


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What is learned from: features, the rise that followed, and for how many minutes each row stands."""

    matrix: Floats
    rise: Floats
    weight: Floats


def train(
    loads: Floats,
    start: datetime,
    *,
    horizon_min: int,
    levels: Sequence[float],
    span_min: int | None = None,
    zone: tzinfo = UTC,
    growth: Growth | None = None,
    tell: Callable[[float], None] = lambda _share: None,
) -> QuantileForest:
    """Return the quantiles of the coming rise, learned from one load each minute from ``start`` on, NaN where unknown.

    The rise is to the highest load within ``span_min`` after the horizon, as long again as the horizon if not given.
    Raises ``TrainingError`` where too little is known. The same loads give the same forest. ``tell`` is told the share
    that is done.
    """
    growth = growth or Growth()
    learned = examples(loads, start, horizon_min, span_min, zone)
    if learned.weight.sum() < 2 * growth.rows_per_leaf:
        raise TrainingError(f"{len(learned.rise)} minutes of known load are too few to learn from")
    # Threads of OpenMP wait for each other by spinning: on a busy machine two take ten times as long as one.
    with threadpool_limits(limits=1, user_api="openmp"):
        models = []
        for done, level in enumerate(levels, start=1):
            models.append(_fitted(level, learned, growth))
            tell(done / len(levels))
    ranges = _ranges(learned.matrix)
    forest = QuantileForest(
        tuple(levels), horizon_min, FEATURES, *ranges, _base(models), _exported(models, len(FEATURES))
    )
    _verify(forest, models, learned.matrix[:: max(1, len(learned.matrix) // _CHECKED_ROWS)])
    return forest


def examples(
    loads: Floats, start: datetime, horizon_min: int, span_min: int | None = None, zone: tzinfo = UTC
) -> Examples:
    """Return what can be learned from a series."""
    rise = coming_rise(loads, horizon_min, span_min)
    matrix = rows(loads, start, zone)
    known = ~np.isnan(rise)
    quiet = known & (matrix[:, _LOAD] == 0) & (matrix[:, _SINCE] > _QUIET_FOR_MIN)
    kept = known & (~quiet | (np.cumsum(quiet) % _QUIET_KEPT == 0))
    return Examples(matrix[kept], rise[kept], np.where(quiet[kept], float(_QUIET_KEPT), 1.0))


def coming_rise(loads: Floats, horizon_min: int, span_min: int | None = None) -> Floats:
    """Return y = max(d[t+L..t+L+span]) - d[t] of each minute, NaN where any of these is unknown."""
    span = horizon_min if span_min is None else span_min
    rise = np.full(len(loads), np.nan)
    count = len(loads) - horizon_min - span
    if count > 0:
        ahead = np.lib.stride_tricks.sliding_window_view(loads[horizon_min:], span + 1)
        rise[:count] = ahead.max(axis=1) - loads[:count]
    return rise


def _fitted(level: float, learned: Examples, growth: Growth) -> HistGradientBoostingRegressor:
    model = HistGradientBoostingRegressor(
        loss="quantile",
        quantile=level,
        max_iter=growth.trees,
        max_leaf_nodes=growth.leaves,
        max_depth=growth.depth,
        learning_rate=growth.learning_rate,
        min_samples_leaf=growth.rows_per_leaf,
        early_stopping=False,
        random_state=0,
    )
    return model.fit(learned.matrix, learned.rise, sample_weight=learned.weight)


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
