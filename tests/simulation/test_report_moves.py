"""The moves of a comparison as the page has them."""

from datetime import datetime
from zoneinfo import ZoneInfo

from autoscaler.simulation.report.moves import moves
from tests.simulation.runs import START, a_move, a_report, a_run, an_empty_run

ROME = ZoneInfo("Europe/Rome")


def test_a_move_has_its_place_on_the_supply_and_all_that_is_known_of_it() -> None:
    (run,) = moves(a_report(a_run(moves=(a_move(750.0, swapped_mib=64, reason="idle for 10 min"),))))["runs"]
    assert run == {
        "policy": "threshold",
        "at_s": [750],
        "host": [0],
        "workers_from": [0],
        "workers_to": [4],
        "moved_mib": [3250],
        "swapped_mib": [64],
        "reason": [0],
        "supply": [4],
    }


def test_times_begin_with_the_report_on_its_clock() -> None:
    assert moves(a_report(a_run()))["begin_s"] == START.timestamp()
    rome = START.astimezone(ROME)
    assert moves(a_report(a_run(), start=rome))["begin_s"] == START.timestamp() + 3600


def test_a_change_of_the_clock_is_in_the_times() -> None:
    """On 29 March 2026 it is one hour later from 2:00 on."""
    start = datetime(2026, 3, 29, 1, 0, tzinfo=ROME)
    (run,) = moves(a_report(a_run(moves=(a_move(1800.0), a_move(3600.0))), start=start))["runs"]
    assert run["at_s"] == [1800, 2 * 3600]


def test_a_run_in_which_nothing_happened_has_no_moves() -> None:
    (run,) = moves(a_report(an_empty_run()))["runs"]
    assert (run["at_s"], run["supply"]) == ([], [])
