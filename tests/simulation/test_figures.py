"""The row of a run: by hand, and what holds for any run."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from autoscaler.simulation.figures import FIGURES, figures, with_regret
from autoscaler.simulation.run import Run, Served
from tests.simulation.made_runs import a_course, a_move, a_run, a_scenario, cycles, runs, served, unserved

DAY_S = 86400.0
unhurried = settings(deadline=None, max_examples=100)


def test_waits_are_from_arrival_to_start_and_last_to_the_end_for_who_was_never_served() -> None:
    sessions = (served(0), served(100, wait_s=20), served(200, wait_s=10), unserved(900))
    row = figures(a_run(1000, sessions=sessions), a_scenario())
    assert row["sessions"] == 4
    assert row["sessions_unserved"] == 1
    assert row["proof_wait_mean_s"] == (0 + 20 + 10 + 100) / 4
    assert row["proof_wait_p50_s"] == (10 + 20) / 2
    assert row["proof_wait_p95_s"] == pytest.approx(20 + 0.85 * (100 - 20))  # between the third and the fourth
    assert row["proof_wait_p99_s"] == pytest.approx(20 + 0.97 * (100 - 20))
    assert row["waiting_over_10s_ratio"] == 2 / 4  # 10 s are not over 10 s
    assert row["waiting_over_60s_ratio"] == 1 / 4
    assert row["missed_arrivals_ratio"] == 3 / 4


def test_the_slowdown_takes_short_sessions_for_ten_seconds_long_and_is_at_least_one() -> None:
    sessions = (
        served(0, wait_s=0, run_s=5),  # 5 / 10, so 1
        served(0, wait_s=15, run_s=5),  # 20 / 10
        served(0, wait_s=50, run_s=100),  # 150 / 100
        Served(0, 100, 1, 0, 400, hit=True),  # no wait, but slow: 400 / 100
        Served(600, 100, 1, 700, None, hit=False),  # still runs at the end: 400 / 100
        unserved(900, run_s=2),  # 100 / 10
    )
    row = figures(a_run(1000, sessions=sessions), a_scenario())
    assert row["bounded_slowdown_mean"] == pytest.approx((1 + 2 + 1.5 + 4 + 4 + 10) / 6)
    assert row["bounded_slowdown_p95"] == pytest.approx(4 + 0.75 * (10 - 4))


def test_a_missed_arrival_is_one_that_did_not_hit_however_soon_it_was_served() -> None:
    late = Served(0, 100, 1, 0, 100, hit=False)
    assert figures(a_run(1000, sessions=(late, served(5))), a_scenario())["missed_arrivals_ratio"] == 0.5


def test_spare_workers_are_those_that_no_session_held_over_the_whole_run() -> None:
    row = figures(a_run(240, spent=cycles([0, 0, 0], [0, 0, 0])), a_scenario())
    assert row["spare_workers_mean"] == 3 * 120 / 240


def test_the_worker_nodes_lose_what_they_wanted_and_did_not_get() -> None:
    row = figures(a_run(180, spent=cycles([480, 480, 240], [480, 240, 180])), a_scenario())
    assert row["wn_core_hours_lost"] == (0 + 240 + 60) / 3600
    assert row["wn_core_hours_used"] == (480 + 240 + 180) / 3600
    assert row["wn_cpu_efficiency_ratio"] == 900 / 1200
    assert row["proof_core_hours_used"] == 3 * 36 / 3600
    assert (row["jobs_submitted"], row["jobs_finished"]) == (7, 5)


def test_moves_count_in_both_directions_per_day() -> None:
    moves = (a_move(0, moved_mib=2048, swapped_mib=512), a_move(60, moved_mib=-1024))
    row = figures(a_run(DAY_S / 2, moves=moves, spent=cycles([0, 0], [0, 0])), a_scenario())
    assert row["changes_per_day"] == 4
    assert row["moved_gib_per_day"] == (2 + 1) * 2
    assert row["swapped_gib_per_day"] == 0.5 * 2
    assert row["swap_in_gib_per_day"] == 0.5 * 2


def test_the_elasticity_metrics_sample_changes_each_cycle() -> None:
    course = a_course([0, 60, 120], [1, 1, 2], [1, 2, 1])
    row = figures(a_run(240, course=course, spent=cycles([1] * 4, [1] * 4)), a_scenario())
    assert row["theta_under_percent"] == 100 * (2 - 1) / 2 * 120 / 240
    assert row["theta_over_percent"] == 100 * (2 - 1) / 1 * 60 / 240
    assert row["tau_under_percent"] == 50
    assert row["tau_over_percent"] == 25
    assert row["instability_percent"] == pytest.approx(100 / 3)
    assert row["instability_other_percent"] == pytest.approx(100 / 3)


def test_the_cost_is_the_waiting_at_its_price_and_the_work_lost() -> None:
    run = a_run(1000, sessions=(served(0, wait_s=30), unserved(940)), spent=cycles([480], [300]))
    assert figures(run, a_scenario(wait_core_s=4))["cost"] == (4 * (30 + 60) + 180) / 3600


def test_a_run_that_nobody_came_to_has_no_waits_and_no_efficiency() -> None:
    row = figures(a_run(1000), a_scenario())
    without = {key for key, value in row.items() if value is None}
    per_session = {key for key in FIGURES if key.startswith(("proof_wait", "waiting", "bounded", "missed"))}
    assert without == per_session | {"wn_cpu_efficiency_ratio", "regret_ratio"}
    assert row["cost"] == 0


def test_a_run_without_time_has_no_figures_per_time() -> None:
    row = figures(a_run(0, course=a_course([], [], [])), a_scenario())
    assert row["changes_per_day"] is None
    assert row["spare_workers_mean"] is None
    assert row["theta_over_percent"] is None


def test_regret_is_the_cost_beyond_the_oracles_in_terms_of_the_oracles() -> None:
    oracle = figures(a_run(1000, spent=cycles([400], [0])), a_scenario())
    dear = figures(a_run(1000, spent=cycles([1000], [0])), a_scenario())
    assert [row["regret_ratio"] for row in with_regret([dear, oracle], oracle)] == [pytest.approx(1.5), 0]
    assert dear["regret_ratio"] is None


@pytest.mark.parametrize("lost_core_s", [0, 1, 359])
def test_there_is_no_regret_to_an_oracle_that_costs_hardly_anything(lost_core_s: float) -> None:
    oracle = figures(a_run(1000, spent=cycles([lost_core_s], [0])), a_scenario())
    dear = figures(a_run(1000, spent=cycles([36_000], [0])), a_scenario())
    assert [row["regret_ratio"] for row in with_regret([dear, oracle], oracle)] == [None, None]


def test_there_is_no_regret_of_who_costs_more_than_a_hundred_times_as_much() -> None:
    costs = [figures(a_run(1000, spent=cycles([core_s], [0])), a_scenario()) for core_s in (101_000, 99_000, 1000)]
    assert [row["regret_ratio"] for row in with_regret(costs, costs[-1])] == [None, pytest.approx(98), 0]


def test_a_row_without_a_cost_is_refused_as_an_oracle() -> None:
    with pytest.raises(ValueError, match="the row of oracle has no cost"):
        with_regret([], {"policy": "oracle", "cost": None})


@unhurried
@given(runs())
def test_a_row_has_the_keys_that_are_documented_in_their_order_and_is_json(run: Run) -> None:
    row = figures(run, a_scenario())
    assert list(row) == list(FIGURES)
    assert json.loads(json.dumps(row, allow_nan=False)) == row


@unhurried
@given(runs())
def test_two_rows_of_one_run_are_the_same_to_the_last_digit(run: Run) -> None:
    course = run.course
    copied = replace(
        run, course=replace(course, at_s=course.at_s.copy(), demand=course.demand.copy(), supply=course.supply.copy())
    )
    assert json.dumps(figures(run, a_scenario())) == json.dumps(figures(copied, a_scenario()))


@unhurried
@given(runs())
def test_a_dearer_wait_never_makes_a_run_cheaper(run: Run) -> None:
    cheap, dear = (figures(run, a_scenario(price))["cost"] for price in (1.0, 2.0))
    assert isinstance(cheap, float)
    assert isinstance(dear, float)
    assert dear >= cheap >= 0


@unhurried
@given(runs())
def test_shares_are_between_none_and_all(run: Run) -> None:
    row = figures(run, a_scenario())
    shares = [row[key] for key, figure in FIGURES.items() if figure.unit == "ratio, 1 = all" and row[key] is not None]
    assert np.all((np.array(shares, float) >= 0) & (np.array(shares, float) <= 1))
