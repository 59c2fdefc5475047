"""Comparisons by weeks: what belongs to which week, and when a difference is one."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.simulation.compare import Share, Weekly, compare, interval, weekly
from autoscaler.simulation.figures import FIGURES, figures
from autoscaler.simulation.run import Run
from tests.simulation.made_runs import WEEK_S, a_move, a_run, a_scenario, cycles, runs, served, unserved

DAY_S = 86400.0
unhurried = settings(deadline=None, max_examples=100)
OPPOSITE = {"better": "worse", "worse": "better", "cannot tell": "cannot tell"}


def costing(*per_week: float, policy: str = "threshold", sessions: tuple[float, ...] = ()) -> Weekly:
    """A run that lost so many core hours in each week, and in which a session came and waited 20 s at each time."""
    run = a_run(
        len(per_week) * WEEK_S,
        sessions=tuple(served(at, wait_s=20.0) for at in sessions),
        spent=cycles([hours * 3600 for hours in per_week], [0.0] * len(per_week), WEEK_S),
        policy=policy,
    )
    return weekly(run, a_scenario(wait_core_s=0))


@pytest.mark.parametrize(
    ("days", "blocks"),
    [
        (2, [2]),
        (7, [7]),
        (10, [10]),  # three days are less than half a week
        (10.5, [7, 3.5]),
        (20, [7, 7, 6]),
        (24, [7, 7, 10]),
    ],
)
def test_a_last_week_of_less_than_half_its_length_belongs_to_the_one_before(days: float, blocks: list[float]) -> None:
    assert weekly(a_run(days * DAY_S), a_scenario()).days.tolist() == blocks


def test_a_wait_belongs_to_the_week_in_which_the_session_came_and_a_loss_to_that_of_its_cycle() -> None:
    run = a_run(
        3 * WEEK_S,
        sessions=(served(60, wait_s=30), unserved(WEEK_S + 60)),
        moves=(a_move(2 * WEEK_S, moved_mib=-2048, swapped_mib=1024),),
        spent=cycles([360, 720, 1080], [0, 0, 720], WEEK_S),
    )
    shares = weekly(run, a_scenario(wait_core_s=2)).shares
    assert shares["proof_wait_mean_s"].part.tolist() == [30, 2 * WEEK_S - 60, 0]
    assert shares["proof_wait_mean_s"].whole.tolist() == [1, 1, 0]
    assert shares["wn_core_hours_lost_per_week"].part.tolist() == [0.1, 0.2, 0.1]
    assert shares["cost_per_week"].part == pytest.approx([0.1 + 60 / 3600, 0.2 + (2 * WEEK_S - 60) * 2 / 3600, 0.1])
    assert shares["spare_workers_mean"].part.tolist() == [2 * WEEK_S] * 3
    assert shares["moved_gib_per_day"].part.tolist() == [0, 0, 2]
    assert shares["swapped_gib_per_day"].part.tolist() == [0, 0, 1]
    assert shares["swap_in_gib_per_day"].part.tolist() == [0.25] * 3
    assert shares["changes_per_day"].part.tolist() == [0, 0, 1]


@unhurried
@given(runs())
def test_the_weeks_together_are_the_row(run: Run) -> None:
    row, by_weeks = figures(run, a_scenario()), weekly(run, a_scenario())
    for key in by_weeks.shares:
        value = interval(by_weeks, key).value
        if key.endswith("_per_week") and value is not None:
            value *= run.duration_s / WEEK_S
        assert value == pytest.approx(row[key.removesuffix("_per_week")], abs=1e-9), key


def test_each_figure_that_is_compared_has_a_direction() -> None:
    keys = weekly(a_run(WEEK_S), a_scenario()).shares
    assert all(FIGURES[key.removesuffix("_per_week")].better for key in keys)


def test_less_in_every_week_is_better() -> None:
    found = compare(costing(1, 2, 3, 4, 5), costing(2, 3, 4, 5, 6.5, policy="static"))["cost_per_week"]
    assert (found.policy, found.reference, found.verdict) == ("threshold", "static", "better")
    assert found.difference.value == pytest.approx(-1.1)
    assert found.difference.low is not None
    assert found.difference.high is not None
    assert -1.5 <= found.difference.low <= -1.1 <= found.difference.high < -0.9
    assert found.reason == "the 95 % interval over 5 weeks is on one side of 0"


def test_weeks_are_paired_so_that_busy_and_quiet_weeks_do_not_hide_a_difference() -> None:
    mine, other = costing(10, 200, 30, 400, 50), costing(11, 201, 31, 401, 51)
    alone, reference = interval(mine, "cost_per_week"), interval(other, "cost_per_week")
    assert alone.high is not None
    assert reference.low is not None
    assert reference.low < alone.high
    assert compare(mine, other)["cost_per_week"].verdict == "better"


def test_more_efficiency_is_better_though_it_is_more() -> None:
    def using(*ratios: float) -> Weekly:
        spent = cycles([100.0] * len(ratios), [100 * ratio for ratio in ratios], WEEK_S)
        return weekly(a_run(len(ratios) * WEEK_S, spent=spent), a_scenario())

    found = compare(using(0.9, 0.95, 0.9, 0.8), using(0.8, 0.9, 0.85, 0.7))
    assert found["wn_cpu_efficiency_ratio"].verdict == "better"
    assert found["cost_per_week"].verdict == "better"


def test_more_in_some_weeks_and_less_in_others_cannot_be_told() -> None:
    found = compare(costing(1, 2, 3, 4, 5), costing(2, 1, 4, 3, 5))["cost_per_week"]
    assert found.verdict == "cannot tell"
    assert found.reason == "the 95 % interval over 5 weeks holds no difference"


def test_too_few_weeks_cannot_be_told_however_large_the_difference() -> None:
    found = compare(costing(1, 1, 1), costing(9, 9, 9))["cost_per_week"]
    assert found.verdict == "cannot tell"
    assert found.difference.value == -8
    assert found.difference.low is None
    assert found.reason == "too few weeks for an interval: 3, at least 4 are needed"


def test_what_nobody_lived_through_cannot_be_told() -> None:
    found = compare(costing(1, 2, 3, 4), costing(1, 2, 3, 4))["proof_wait_mean_s"]
    assert (found.difference.value, found.verdict) == (None, "cannot tell")
    assert found.reason == "one of the two has no value"


def test_draws_of_weeks_in_which_nobody_came_are_left_out() -> None:
    found = interval(costing(1, 1, 1, 1, sessions=(60.0,)), "proof_wait_mean_s")
    assert (found.value, found.low, found.high) == (20, 20, 20)


def test_weeks_that_are_all_the_same_have_an_interval_of_no_width() -> None:
    found = interval(costing(3, 3, 3, 3), "cost_per_week")
    assert (found.value, found.low, found.high) == (3, 3, 3)


def test_an_interval_leaves_out_one_draw_in_forty_on_either_side_and_is_widened_as_students_t_is() -> None:
    # One week of four costs 4: how often it is drawn is binomial(4, 1/4): 0 to 3 times in 99.6 % of the draws, and
    # more than twice in 5.1 %. With 3 degrees of freedom t is 3.18, where the normal quantile is 1.96.
    found = interval(costing(0, 0, 0, 4), "cost_per_week")
    # (3.07 by the first terms of its expansion.)
    wider = 3.07 / 1.96 * (4 / 3) ** 0.5
    assert found.value == 1
    assert (found.low, found.high) == pytest.approx((1 - wider, 1 + 2 * wider), rel=0.01)


def test_differences_by_the_rounding_of_sums_are_none() -> None:
    mine = costing(1, 2, 3, 4, 5)
    cost = mine.shares["cost_per_week"]
    rounded = replace(mine, shares={**mine.shares, "cost_per_week": Share(cost.part * (1 + 1e-14), cost.whole)})
    assert compare(mine, rounded)["cost_per_week"].verdict == "cannot tell"


def test_runs_of_other_lengths_are_not_compared() -> None:
    with pytest.raises(ValueError, match="static and threshold did not run on the same workload"):
        compare(costing(1, 2, policy="static"), costing(1, 2, 3))


@unhurried
@given(runs())
def test_a_run_cannot_be_told_from_itself(run: Run) -> None:
    by_weeks = weekly(run, a_scenario())
    assert {found.verdict for found in compare(by_weeks, weekly(run, a_scenario())).values()} == {"cannot tell"}


@unhurried
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=12))
def test_exchanging_the_policies_exchanges_the_verdict_and_the_interval(pairs: list[tuple[float, float]]) -> None:
    mine, other = (costing(*costs) for costs in zip(*pairs, strict=True))
    there, back = compare(mine, other)["cost_per_week"], compare(other, mine)["cost_per_week"]
    assert there.verdict == OPPOSITE[back.verdict]
    assert there.difference.value == -(back.difference.value or 0)
    if there.difference.low is not None and back.difference.high is not None:
        assert there.difference.low == -back.difference.high


@unhurried
@given(runs())
def test_a_comparison_is_the_same_each_time(run: Run) -> None:
    reference = a_run(run.duration_s, policy="static")
    first, second = (compare(weekly(run, a_scenario()), weekly(reference, a_scenario())) for _ in range(2))
    assert first == second
