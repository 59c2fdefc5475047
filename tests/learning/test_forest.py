"""A forest of quantiles: arrays that anybody may have altered, and what they predict."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autoscaler.learning.forest import MOST_DEPTH, QuantileForest, Trees

Arrays = dict[str, NDArray[Any]]


def ints(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, dtype=np.int64)


def small() -> QuantileForest:
    """At level 0.5 one leaf; at 0.9 a tree that asks for x, then for y, and one leaf more."""
    trees = Trees(
        feature=ints(0, 0, 0, 1, 0, 0, 0),
        threshold=np.array([0.0, 1.0, 0.0, 5.0, 0.0, 0.0, 0.0]),
        left=ints(0, 2, 2, 4, 4, 5, 6),
        right=ints(0, 3, 2, 5, 4, 5, 6),
        unknown_left=np.array([False, True, False, False, False, False, False]),
        value=np.array([2.0, 0.0, 1.0, 0.0, 3.0, 7.0, 0.5]),
        roots=ints(0, 1, 6),
        level=ints(0, 1, 1),
    )
    return QuantileForest(
        levels=(0.5, 0.9),
        horizon_min=5,
        features=("x", "y"),
        low=np.array([0.0, np.nan]),
        high=np.array([9.0, np.nan]),
        base=np.array([0.0, 0.25]),
        trees=trees,
    )


def altered(**changes: object) -> Mapping[str, Any]:
    return {**small().arrays(), **changes}


def with_entry(name: str, place: int, value: object) -> Mapping[str, Any]:
    array = small().arrays()[name].copy()
    array[place] = value
    return altered(**{name: array})


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((1.0, 9.0), [1.75, 2.0]),
        ((1.1, 5.0), [2.0, 3.75]),
        ((1.1, 5.1), [2.0, 7.75]),
        ((np.nan, 9.0), [1.75, 2.0]),
        ((2.0, np.nan), [2.0, 7.75]),
    ],
    ids=["left", "right, left", "right, right", "unknown to the left", "unknown to the right"],
)
def test_a_forest_adds_up_its_leaves_and_sorts_its_quantiles(row: tuple[float, float], expected: list[float]) -> None:
    assert small().predict(np.array(row)).tolist() == expected


def test_rows_are_predicted_as_each_row_alone() -> None:
    matrix = np.random.default_rng(1).random((2500, 2)) * 10
    alone = [small().predict(row) for row in matrix]
    assert np.array_equal(small().predict_rows(matrix), alone)


def test_a_forest_survives_being_arrays() -> None:
    forest = small()
    again = QuantileForest.from_arrays(forest.arrays())
    assert (again.levels, again.horizon_min, again.features) == (forest.levels, forest.horizon_min, forest.features)
    matrix = np.random.default_rng(1).random((50, 2)) * 10
    assert np.array_equal(again.predict_rows(matrix), forest.predict_rows(matrix))


@pytest.mark.parametrize("name", ["low", "high", "base", "threshold", "value"])
def test_what_a_loaded_forest_holds_cannot_be_written(name: str) -> None:
    forest = QuantileForest.from_arrays(small().arrays())
    with pytest.raises(ValueError, match="read-only"):
        forest.arrays()[name][:] = 100.0


def test_a_forest_does_not_change_when_the_arrays_it_came_from_do() -> None:
    arrays = {name: array.copy() for name, array in small().arrays().items()}
    forest = QuantileForest.from_arrays(arrays)
    arrays["value"][:] = 100.0
    assert forest.predict(np.array([1.0, 9.0])).tolist() == [1.75, 2.0]


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        (altered(more=np.zeros(3)), "not those of a forest: more"),
        ({name: array for name, array in small().arrays().items() if name != "left"}, "not those of a forest: left"),
        (altered(left=[0, 2, 2, 4, 4, 5, 6]), "array left is not of the kind"),
        (altered(left=small().trees.left.astype(np.float64)), "array left is not of the kind"),
        (altered(value=small().trees.value.astype(object)), "array value is not of the kind"),
        (altered(value=small().trees.value.astype(">f8")), "another kind of machine"),
        (altered(horizon_min=ints(5)), "array horizon_min is not of the kind"),
        (altered(horizon_min=np.array(0)), "horizon of 0 minutes"),
        (altered(levels=np.array([0.9, 0.5])), "not rising numbers"),
        (altered(levels=np.array([0.5, np.nan])), "not rising numbers"),
        (altered(features=np.array(["x", "x"])), "same name twice"),
        (altered(low=np.array([0.0])), "ranges"),
        (with_entry("low", 0, 10.0), "ranges"),
        (with_entry("high", 0, np.nan), "ranges"),
        (with_entry("base", 0, np.inf), "base"),
        (altered(threshold=np.zeros(6)), "not the same number"),
        (with_entry("feature", 1, 2), "feature that the model has not"),
        (with_entry("feature", 1, -1), "feature that the model has not"),
        (with_entry("threshold", 1, np.nan), "no number of this world"),
        (with_entry("value", 2, np.nan), "no number of this world"),
        (with_entry("value", 2, 1e300), "no number of this world"),
        (with_entry("roots", 0, 1), "begin one after the other"),
        (with_entry("roots", 2, 7), "begin one after the other"),
        (altered(roots=ints(), level=ints()), "begin one after the other"),
        (with_entry("level", 0, 1), "trees for each level"),
        (with_entry("level", 2, 2), "trees for each level"),
        (altered(level=ints(1, 0, 1)), "order of their levels"),
        (with_entry("left", 3, 1), "leads back"),
        (with_entry("left", 3, 3), "leads back"),
        (with_entry("right", 3, 6), "another tree"),
        (with_entry("right", 3, 70), "another tree"),
    ],
)
def test_arrays_that_make_no_forest_are_refused_with_a_sentence(arrays: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        QuantileForest.from_arrays(arrays)


def test_a_tree_that_is_a_ladder_is_refused() -> None:
    rungs = MOST_DEPTH + 1
    inner = 2 * np.arange(rungs)
    left, right = np.arange(2 * rungs + 1), np.arange(2 * rungs + 1)
    left[inner], right[inner] = inner + 1, inner + 2
    nodes = len(left)
    arrays = altered(
        feature=np.zeros(nodes, dtype=np.int64),
        threshold=np.zeros(nodes),
        left=left,
        right=right,
        unknown_left=np.zeros(nodes, dtype=np.bool_),
        value=np.zeros(nodes),
        roots=ints(0),
        level=ints(0),
        levels=np.array([0.5]),
        base=np.zeros(1),
    )
    with pytest.raises(ValueError, match="deeper than"):
        QuantileForest.from_arrays(arrays)


@settings(max_examples=500)
@given(st.data())
def test_whatever_was_done_to_the_arrays_they_are_refused_or_predict_numbers(data: st.DataObject) -> None:
    arrays = {name: array.copy() for name, array in small().arrays().items()}
    for name in data.draw(st.sets(st.sampled_from(sorted(arrays.keys() - {"features"})), min_size=1, max_size=3)):
        arrays[name] = data.draw(mangled(arrays[name]))
    try:
        forest = QuantileForest.from_arrays(arrays)
    except ValueError:
        return
    for row in ([0.0, 0.0], [np.nan, np.nan], [9.0, np.inf]):
        found = forest.predict(np.array(row))
        assert np.isfinite(found).all()
        assert (np.diff(found) >= 0).all()


@st.composite
def mangled(draw: st.DrawFn, array: NDArray[Any]) -> NDArray[Any]:
    """The array with other bytes, cut short, or of another type."""
    kind = draw(st.sampled_from(["bytes", "entry", "short", "type"]))
    if kind == "short" and array.ndim:
        return array[: draw(st.integers(0, len(array)))]
    if kind == "type":
        return np.nan_to_num(array).astype(draw(st.sampled_from([np.float32, np.int8, np.uint64, np.str_])))
    flat = np.atleast_1d(array).copy()
    if kind == "entry" and flat.dtype.kind == "i":
        flat[draw(st.integers(0, flat.size - 1))] = draw(st.integers(-10, 10))
        return flat.reshape(array.shape)
    raw = bytearray(flat.tobytes())
    raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 1 if flat.dtype.kind == "b" else 255))
    return np.frombuffer(bytes(raw), dtype=array.dtype).reshape(array.shape)
