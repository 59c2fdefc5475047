"""What the plots of a comparison show."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from autoscaler.simulation.report.plots import Plot, plots
from autoscaler.simulation.report.values import Report
from autoscaler.simulation.run import Course, Cycles, Served
from tests.simulation.runs import a_move, a_report, a_row, a_run, an_empty_run

NAMES = ("workers", "memory", "efficiency", "waits", "costs")


def plot(report: Report, name: str) -> Plot:
    (found,) = (plot for plot in plots(report) if plot.name == name)
    return found


def lines(report: Report, name: str) -> list[list[Any]]:
    return [trace["y"] for trace in plot(report, name).data]


def test_the_plots_are_in_the_order_of_the_page() -> None:
    assert tuple(plot.name for plot in plots(a_report(a_run()))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_plotly_takes_every_plot_and_knows_all_its_words(name: str) -> None:
    found = plot(a_report(a_run(), a_run("hold", moves=())), name)
    assert len(go.Figure(found.data, found.layout).data) == len(found.data) > 0


@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_run_in_which_nothing_happened_draws_nothing(name: str) -> None:
    assert plot(a_report(an_empty_run()), name).data == []


def test_no_runs_and_no_rows_draw_nothing() -> None:
    assert [plot.data for plot in plots(a_report())] == [[]] * len(NAMES)


def test_supply_and_demand_are_steps_to_the_end_of_the_run() -> None:
    supply, demand, _ = plot(a_report(a_run()), "workers").data
    assert supply["line"]["shape"] == demand["line"]["shape"] == "hv"
    assert supply["y"] == [0.0, 4.0, 8.0, 8.0]
    assert demand["y"] == [0.0, 4.0, 0.0, 40.0, 40.0]
    assert (supply["x"][1], supply["x"][-1]) == ("2026-03-02 08:02:30", "2026-03-02 09:00:00")


def test_circles_are_left_to_the_script_of_the_page_which_knows_them_by_the_policy() -> None:
    _, _, moves = plot(a_report(a_run()), "workers").data
    assert (moves["mode"], moves["legendgroup"], moves["x"], moves["y"], moves["text"]) == (
        *("markers", "threshold"),
        *([], [], []),
    )


def test_a_policy_is_switched_with_all_that_belongs_to_it_by_one_entry_of_the_legend() -> None:
    data = plot(a_report(a_run("a"), a_run("b")), "workers").data
    assert [trace["legendgroup"] for trace in data] == ["a"] * 3 + ["b"] * 3
    assert [trace["showlegend"] for trace in data] == [True, False, False] * 2


def test_the_cheapest_policies_are_shown_and_the_others_are_a_click_away() -> None:
    labels = ("a", "b", "c", "d", "e")
    rows = tuple(a_row(label, cost=cost) for label, cost in zip(labels, (5.0, 1.0, None, 3.0, 2.0), strict=True))
    data = plot(a_report(*map(a_run, labels), rows=rows), "efficiency").data
    assert [trace["visible"] for trace in data] == ["legendonly", True, "legendonly", True, True]


def test_a_year_of_changes_stays_within_five_thousand_points_a_line() -> None:
    seconds = np.arange(0.0, 365 * 86400.0, 60.0)
    demand = seconds % 7
    course = Course(seconds, demand, demand + 1)
    supply, wanted, _ = lines(a_report(a_run(duration_s=365 * 86400.0, course=course)), "workers")
    assert 4000 < len(supply) <= 5000
    assert 4000 < len(wanted) <= 5000


def test_memory_is_stacked_in_gib_with_a_row_for_each_policy() -> None:
    found = plot(a_report(a_run("a"), a_run("b")), "memory")
    assert [(trace["name"], trace["yaxis"], trace["stackgroup"]) for trace in found.data] == [
        ("PROOF", "y", "all"),
        ("WN", "y", "all"),
        ("PROOF", "y2", "all"),
        ("WN", "y2", "all"),
    ]
    assert [set(trace["y"]) for trace in found.data[:2]] == [{1.0}, {4.0}]
    assert [heading["text"] for heading in found.layout["annotations"]] == ["a", "b"]


def test_efficiency_has_a_gap_where_no_job_wanted_any() -> None:
    zero = np.zeros(3)
    cycles = Cycles(60.0, np.array([60.0, 0.0, 60.0]), np.array([30.0, 0.0, 60.0]), zero, zero, zero, zero, zero)
    assert lines(a_report(a_run(cycles=cycles)), "efficiency") == [[0.5, None, 1.0]]


def test_waits_are_the_share_of_sessions_that_waited_at_most_so_long() -> None:
    (trace,) = plot(a_report(a_run()), "waits").data
    # 90 s, and from 3000 s to the end of the hour for the one that never had its workers.
    assert (trace["x"], trace["y"]) == ([90.0, 600.0], [0.5, 1.0])


def test_a_session_that_waited_for_nothing_has_its_place_on_an_axis_without_zero() -> None:
    session = Served(60.0, 600.0, 4, 60.0, 660.0, hit=True)
    (trace,) = plot(a_report(a_run(sessions=(session,) * 3)), "waits").data
    assert (trace["x"], trace["y"]) == ([1.0], [1.0])


def test_the_cost_is_what_waiting_and_lost_work_come_to() -> None:
    rows = (a_row("a", cost=3.0, wn_core_hours_lost=1.0), a_row("b", cost=math.nan))
    waiting, lost = plot(a_report(a_run("a"), rows=rows), "costs").data
    assert (waiting["x"], waiting["y"], lost["y"]) == (["a"], [2.0], [1.0])


def test_a_policy_whose_label_is_a_number_is_no_place_on_an_axis_of_numbers() -> None:
    assert plot(a_report(a_run("2024")), "costs").layout["xaxis"]["type"] == "category"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_never_plotlys_markup(name: str) -> None:
    label = "<b>bold</b> & %{x}"
    found = plot(a_report(a_run(label, moves=(a_move(host=label, reason=label),))), name)
    written = {key: value for trace in found.data for key, value in trace.items() if key != "legendgroup"}
    assert "<b>" not in str([written, [trace.get("text") for trace in found.data], found.layout])
    assert "%{x} & " not in str([trace.get("hovertemplate") for trace in found.data])


def test_what_a_value_stands_for_is_said_as_people_write_durations() -> None:
    cycles = np.ones(60)
    quick = Cycles(20.0, cycles * 8, cycles * 6, cycles, cycles, cycles, cycles, cycles)
    assert "A value for each 20s;" in plot(a_report(a_run(cycles=quick)), "efficiency").note
