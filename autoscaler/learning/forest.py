"""Trained quantiles of the coming rise in demand, as arrays of numbers: nothing of a model file is ever executed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoscaler.learning.features import Floats

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# Far above what training makes; they bound the time and memory that a file from elsewhere can take.
MOST_NODES = 1_000_000
MOST_DEPTH = 64
_MOST_LEVELS = 64
_MOST_FEATURES = 1_000
_MOST_SESSIONS = 1e9
_LONGEST_HORIZON_MIN = 24 * 60
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Decision trees one after the other, each beginning at its root; the trees of a level stand together.

    An inner node sends a row to ``left`` where its feature is at most ``threshold``, or unknown and ``unknown_left``
    says so, else to ``right``. A leaf points to itself, and ``value`` is what it adds. ``level`` is of each tree.
    """

    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    unknown_left: Bools
    value: Floats
    roots: Ints
    level: Ints


@dataclass(frozen=True, slots=True, eq=False)
class QuantileForest:
    """Quantiles at ``levels`` of y = max(d[t+L..t+2L]) - d[t], in sessions, where L is ``horizon_min``.

    ``base`` is what each level begins with; ``low`` and ``high`` are the range of each feature in training, NaN where
    it was never known. Raises ``ValueError``, with a sentence, where the parts do not make a forest.
    """

    levels: tuple[float, ...]
    horizon_min: int
    features: tuple[str, ...]
    low: Floats
    high: Floats
    base: Floats
    trees: Trees
    _depth: int = field(init=False)
    _first_of_level: Ints = field(init=False)

    def __post_init__(self) -> None:
        _check_head(self)
        _check_trees(self.trees, len(self.levels), len(self.features))
        object.__setattr__(self, "_depth", _depth(self.trees))
        first = np.searchsorted(self.trees.level, np.arange(len(self.levels)))
        object.__setattr__(self, "_first_of_level", first)

    def predict(self, row: Floats) -> Floats:
        """Return the quantiles for one row of features, in the order of the levels and never falling."""
        found: Floats = self.predict_rows(row[None, :])[0]
        return found

    def predict_rows(self, matrix: Floats) -> Floats:
        """Return the quantiles for each row, of shape (rows, levels)."""
        # Quantiles that were learned one by one can cross.
        return np.sort(self.raw_rows(matrix), axis=1)

    def raw_rows(self, matrix: Floats) -> Floats:
        """Return what the trees of each level say, crossing or not."""
        found = np.empty((len(matrix), len(self.levels)))
        for begin in range(0, len(matrix), _ROWS_AT_ONCE):
            block = slice(begin, begin + _ROWS_AT_ONCE)
            found[block] = self._raw(np.asarray(matrix[block], dtype=np.float64))
        return found

    def _raw(self, matrix: Floats) -> Floats:
        """Walk down all trees for all rows at once."""
        trees, width = self.trees, matrix.shape[1]
        flat, offset = matrix.ravel(), (np.arange(len(matrix)) * width)[:, None]
        node = np.broadcast_to(trees.roots, (len(matrix), len(trees.roots)))
        for _ in range(self._depth):
            value = flat[trees.feature[node] + offset]
            goes_left = (value <= trees.threshold[node]) | (np.isnan(value) & trees.unknown_left[node])
            node = np.where(goes_left, trees.left[node], trees.right[node])
        return np.add.reduceat(trees.value[node], self._first_of_level, axis=1) + self.base

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return the forest as named arrays, from which ``from_arrays`` makes the same one."""
        return {
            "levels": np.array(self.levels, dtype=np.float64),
            "horizon_min": np.array(self.horizon_min, dtype=np.int64),
            "features": np.array(self.features, dtype=np.str_),
            "low": self.low,
            "high": self.high,
            "base": self.base,
            **{name: getattr(self.trees, name) for name in _TREE_ARRAYS},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "QuantileForest":
        """Return the forest that the arrays hold, which nothing can change any more.

        Raises ``ValueError``, with a sentence, where they hold none.
        """
        names = {*_HEAD_ARRAYS, *_TREE_ARRAYS}
        if arrays.keys() != names:
            odd = ", ".join(sorted(names ^ set(arrays)))
            raise ValueError(f"the model's arrays are not those of a forest: {odd} missing or too many")
        for name, (kind, dimensions) in {**_HEAD_ARRAYS, **_TREE_ARRAYS}.items():
            _check_array(name, arrays[name], kind, dimensions)
        return cls(
            tuple(float(level) for level in arrays["levels"]),
            int(arrays["horizon_min"]),
            tuple(str(name) for name in arrays["features"]),
            _frozen(arrays["low"]),
            _frozen(arrays["high"]),
            _frozen(arrays["base"]),
            Trees(**{name: _frozen(arrays[name]) for name in _TREE_ARRAYS}),
        )


# The type of an array's numbers, and its dimensions.
_HEAD_ARRAYS: Mapping[str, tuple[type[np.generic], int]] = {
    "levels": (np.float64, 1),
    "horizon_min": (np.int64, 0),
    "features": (np.str_, 1),
    "low": (np.float64, 1),
    "high": (np.float64, 1),
    "base": (np.float64, 1),
}
_TREE_ARRAYS: Mapping[str, tuple[type[np.generic], int]] = {
    "feature": (np.int64, 1),
    "threshold": (np.float64, 1),
    "left": (np.int64, 1),
    "right": (np.int64, 1),
    "unknown_left": (np.bool_, 1),
    "value": (np.float64, 1),
    "roots": (np.int64, 1),
    "level": (np.int64, 1),
}


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    kept = array.copy()
    kept.setflags(write=False)
    return kept


def _check_array(name: str, array: object, kind: type[np.generic], dimensions: int) -> None:
    if not isinstance(array, np.ndarray) or array.dtype.type is not kind or array.ndim != dimensions:
        raise ValueError(f"the model's array {name} is not of the kind and shape that a forest has")
    if not array.dtype.isnative:
        raise ValueError(f"the model's array {name} was written on another kind of machine")
    if array.size > MOST_NODES:
        raise ValueError(f"the model's array {name} has {array.size} entries, more than the {MOST_NODES} that are read")


def _check_head(forest: QuantileForest) -> None:
    levels = np.array(forest.levels)
    if not 1 <= len(levels) <= _MOST_LEVELS or not ((levels > 0) & (levels < 1)).all() or (np.diff(levels) <= 0).any():
        raise ValueError("the model's levels are not rising numbers between 0 and 1")
    if not 1 <= forest.horizon_min <= _LONGEST_HORIZON_MIN:
        raise ValueError(f"the model's horizon of {forest.horizon_min} minutes is none that is used")
    width = len(forest.features)
    if not 1 <= width <= _MOST_FEATURES or len(set(forest.features)) != width:
        raise ValueError("the model's features are none, too many, or have the same name twice")
    if forest.low.shape != (width,) or forest.high.shape != (width,) or not _are_ranges(forest):
        raise ValueError("the model's ranges are not one, from low to high, for each feature")
    if forest.base.shape != levels.shape or not _are_sessions(forest.base):
        raise ValueError("the model's base is not one number of sessions for each level")


def _check_trees(trees: Trees, levels: int, features: int) -> None:
    count = len(trees.feature)
    lengths = {len(getattr(trees, name)) for name in ("threshold", "left", "right", "unknown_left", "value")}
    if not 1 <= count <= MOST_NODES or lengths != {count}:
        raise ValueError("the model's nodes have not the same number of features, thresholds, children and values")
    if (trees.feature < 0).any() or (trees.feature >= features).any():
        raise ValueError("a node of the model asks for a feature that the model has not")
    if not np.isfinite(trees.threshold).all() or not _are_sessions(trees.value):
        raise ValueError("a node of the model has a threshold or a value that is no number of this world")
    if len(trees.roots) < 1 or trees.roots[0] != 0 or (np.diff(trees.roots) <= 0).any() or trees.roots[-1] >= count:
        raise ValueError("the model's trees do not begin one after the other")
    if len(trees.level) != len(trees.roots) or not np.array_equal(np.unique(trees.level), np.arange(levels)):
        raise ValueError("the model has not trees for each level, and none for others")
    if (np.diff(trees.level) < 0).any():
        raise ValueError("the model's trees are not in the order of their levels")
    place = np.arange(count)
    end = np.append(trees.roots, count)[np.searchsorted(trees.roots, place, side="right")]
    leaf = (trees.left == place) & (trees.right == place)
    forward = (trees.left > place) & (trees.right > place) & (trees.left < end) & (trees.right < end)
    if not (leaf | forward).all():
        raise ValueError("a node of the model leads back, or into another tree")


def _are_ranges(forest: QuantileForest) -> bool:
    known = ~(np.isnan(forest.low) & np.isnan(forest.high))
    ends = np.stack([forest.low, forest.high])[:, known]
    return bool(np.isfinite(ends).all() and (ends[0] <= ends[1]).all())


def _are_sessions(values: Floats) -> bool:
    # False for NaN, too.
    return bool((np.abs(values) <= _MOST_SESSIONS).all())


def _depth(trees: Trees) -> int:
    """How many steps lead from a root to the farthest leaf; children come after their parents, so it ends."""
    reached = trees.roots
    for depth in range(MOST_DEPTH + 1):
        inner = reached[trees.left[reached] != reached]
        if not len(inner):
            return depth
        reached = np.unique(np.concatenate([trees.left[inner], trees.right[inner]]))
    raise ValueError(f"a tree of the model is deeper than {MOST_DEPTH} nodes")
