"""Forecasts held against what came: loads minute by minute, arrivals, losses, and who decides."""

from dataclasses import replace
from datetime import timedelta

import pytest

from autoscaler.learning.conformal import Correction
from autoscaler.learning.judging import LOADS_KEPT, carried, caught_up, doubt_of_the_past, who_decides
from autoscaler.learning.notes import Aim, Arrivals, Doubt, Forecast, Losses, Notes, Who, minute_of
from autoscaler.testing import NOW

MINUTE = timedelta(minutes=1)
M = minute_of(NOW)
L = 2
LOWEST = Correction(0.05).lowest
START = Notes(Aim(0.05, 0.05))


def after(loads: list[float | None], *forecasts: Forecast, notes: Notes = START) -> Notes:
    """The notes two minutes after the last of these loads, which ended now; forecasts were known from the beginning."""
    begin = replace(notes, minute=M - len(loads), forecasts=forecasts)
    seen = [(NOW - (len(loads) - 1 - place) * MINUTE, load) for place, load in enumerate(loads)]
    return caught_up(caught_up(begin, seen, NOW, L), [(NOW + MINUTE, loads[-1])], NOW + MINUTE, L)


def forecast(minutes_ago: int, high: float) -> Forecast:
    return Forecast(M - minutes_ago, 0.0, high, high)


class TestLoads:
    """One for each minute."""

    def test_of_several_readings_in_a_minute_the_newest_counts(self) -> None:
        seen = [(NOW - timedelta(seconds=ago_s), load) for ago_s, load in ((45, 1.0), (30, 2.0), (15, 3.0))]
        assert caught_up(START, seen, NOW, L).loads == (3.0,)

    def test_a_missing_reading_does_not_hide_the_one_before_in_its_minute(self) -> None:
        seen = [(NOW - timedelta(seconds=ago_s), load) for ago_s, load in ((45, 1.0), (15, None))]
        assert caught_up(START, seen, NOW, L).loads == (1.0,)

    def test_a_minute_without_a_reading_is_a_gap(self) -> None:
        seen = [(NOW - 2 * MINUTE, 1.0), (NOW, 2.0)]
        assert caught_up(START, seen, NOW, L).loads == (1.0, None, 2.0)

    def test_what_was_remembered_moves_on(self) -> None:
        notes = replace(START, minute=M - 2, loads=(1.0, 2.0))
        assert caught_up(notes, [(NOW, 3.0)], NOW, L).loads == (1.0, 2.0, None, 3.0)

    def test_what_no_feature_looks_back_on_is_forgotten(self) -> None:
        notes = replace(START, minute=M - 1, loads=tuple(map(float, range(LOADS_KEPT))))
        assert caught_up(notes, [(NOW, 3.0)], NOW, L).loads == (*notes.loads[1:], 3.0)

    def test_a_gap_stays_one_when_it_comes_to_the_front(self) -> None:
        notes = replace(START, minute=M - 1, loads=(1.0, *[None] * 3, *[2.0] * (LOADS_KEPT - 4)))
        assert caught_up(notes, [(NOW, 3.0)], NOW, L).loads == (*notes.loads[1:], 3.0)

    @pytest.mark.parametrize("later", [LOADS_KEPT - 1, LOADS_KEPT, LOADS_KEPT + 1, 10 * LOADS_KEPT])
    def test_after_a_long_time_nothing_is_left(self, later: int) -> None:
        notes = replace(START, minute=M - later, loads=(1.0,) * LOADS_KEPT)
        kept = [1.0] if later == LOADS_KEPT - 1 else []
        assert [load for load in caught_up(notes, [], NOW, L).loads if load is not None] == kept

    @pytest.mark.parametrize("sooner", [1, 2, 3, 1000])
    def test_a_clock_that_was_set_back_forgets_what_is_still_to_come(self, sooner: int) -> None:
        notes = replace(START, minute=M + sooner, loads=(1.0, 2.0, 3.0))
        assert caught_up(notes, [], NOW, L).loads == (1.0, 2.0, 3.0)[: max(0, 3 - sooner)]

    def test_short_gaps_are_closed_and_long_ones_are_not(self) -> None:
        assert carried([None, 1.0, *[None] * 5, 2.0]) == [None, *[1.0] * 6, 2.0]
        assert carried([1.0, *[None] * 6]) == [*[1.0] * 6, None]


class TestArrivals:
    """Who came, and whether the forecast in effect was enough for all that were there then."""

    def test_one_is_served_by_a_forecast_that_was_in_time(self) -> None:
        assert after([0.0, 0.0, 0.0, 1.0], forecast(2, 1.0)).arrivals == Arrivals(1.0, 1.0)

    def test_one_is_missed_when_that_was_lower(self) -> None:
        notes = after([0.0, 0.0, 0.0, 1.0], forecast(2, 0.5))
        assert (notes.arrivals, notes.aim.alpha) == (Arrivals(1.0, 0.0), Correction(0.05).after(0.05, 1, 1))

    def test_a_forecast_that_came_too_late_serves_nobody(self) -> None:
        assert after([0.0, 0.0, 0.0, 1.0], forecast(2, 0.0), forecast(1, 9.0)).arrivals.served == 0.0

    def test_without_a_forecast_in_time_nobody_is_counted(self) -> None:
        notes = after([0.0, 0.0, 0.0, 1.0], forecast(1, 9.0))
        assert (notes.arrivals, notes.aim) == (Arrivals(), START.aim)

    def test_of_several_at_once_each_counts(self) -> None:
        assert after([0.0, 0.0, 1.0, 5.0], forecast(2, 3.0)).arrivals == Arrivals(4.0, 0.5)

    def test_a_flood_of_one_minute_counts_as_ten(self) -> None:
        notes = after([0.0, 0.0, 0.0, 1000.0], forecast(2, 100.0))
        assert notes.arrivals == Arrivals(10.0, pytest.approx(0.1))
        assert notes.aim.alpha == pytest.approx(Correction(0.05).after(0.05, 10, 9))

    def test_those_who_come_while_the_load_is_unlike_any_in_training_do_not_count(self) -> None:
        unlike = Who(acts=False, since=M - 9, doubt=Doubt.OUT_OF_RANGE, good_since=None)
        for who, counted in ((unlike, 0.0), (replace(unlike, good_since=M - 1), 1.0)):
            notes = after([0.0, 0.0, 0.0, 1.0], forecast(2, 1.0), notes=replace(START, who=who))
            assert notes.arrivals.seen == counted

    def test_those_who_leave_are_no_arrivals(self) -> None:
        assert after([9.0, 9.0, 9.0, 5.0], forecast(2, 3.0)).arrivals == Arrivals()

    def test_only_the_last_hundred_count(self) -> None:
        notes = replace(START, arrivals=Arrivals(100.0, 1.0))
        found = after([0.0, 0.0, 0.0, 1.0], forecast(2, 0.0), notes=notes).arrivals
        assert found == Arrivals(100.0, pytest.approx(0.99))


class TestLosses:
    """The model alone against "nothing changes", when the time of the forecast is over."""

    def test_the_highest_load_of_the_forecasts_time_is_what_counts(self) -> None:
        notes = after([1.0, 1.0, 3.0, 2.0, 2.0], forecast(4, 2.0))
        assert notes.judged is not None
        assert notes.judged.realised == 3.0
        assert notes.losses.own == pytest.approx(0.95 * 1)
        assert notes.losses.persistence == pytest.approx(0.95 * 2)

    def test_too_much_costs_what_idle_workers_cost(self) -> None:
        assert after([1.0] * 5, forecast(4, 3.0)).losses.own == pytest.approx(0.05 * 2)

    def test_what_it_is_worse_by_is_taken_from_its_credit(self) -> None:
        """One session too many for a minute, of 480."""
        assert after([1.0] * 5, forecast(4, 2.0)).losses.credit == pytest.approx(0.5 - 1 / 480)

    def test_a_forecast_of_an_unknown_time_is_not_judged(self) -> None:
        notes = replace(START, minute=M - 9, loads=(1.0,), forecasts=(forecast(5, 2.0),))
        found = caught_up(notes, [(NOW, 1.0)], NOW, L)
        assert (found.losses, found.judged) == (Losses(), None)

    def test_without_a_horizon_nothing_is_judged(self) -> None:
        notes = replace(START, minute=M - 5, loads=(1.0,) * 9, forecasts=(forecast(5, 2.0),))
        assert caught_up(notes, [(NOW, 1.0)], NOW, None).judged is None


class TestDoubt:
    """What speaks against the forecasts until now."""

    ACTING = Who(acts=True, since=M, doubt=Doubt.NONE, good_since=None)

    @pytest.mark.parametrize(("credit", "doubt"), [(0.0, Doubt.WORSE), (0.01, Doubt.NONE)])
    def test_one_that_has_a_say_keeps_it_until_its_credit_is_used_up(self, credit: float, doubt: Doubt) -> None:
        assert doubt_of_the_past(replace(START, who=self.ACTING, losses=Losses(credit=credit))) is doubt

    @pytest.mark.parametrize(("credit", "doubt"), [(0.49, Doubt.WORSE), (0.5, Doubt.NONE)])
    def test_one_that_has_none_must_earn_half_of_it(self, credit: float, doubt: Doubt) -> None:
        assert doubt_of_the_past(replace(START, losses=Losses(credit=credit))) is doubt

    @pytest.mark.parametrize(
        ("arrivals", "alpha", "doubt"),
        [
            (Arrivals(100.0, 0.8), LOWEST, Doubt.COVERAGE),
            (Arrivals(100.0, 0.9), LOWEST, Doubt.NONE),
            (Arrivals(49.0, 0.0), LOWEST, Doubt.NONE),
            (Arrivals(100.0, 0.8), 0.01, Doubt.NONE),
        ],
        ids=["far off", "a little off", "too few", "still corrected"],
    )
    def test_a_coverage_off_its_target_counts_when_no_correction_is_left(
        self, arrivals: Arrivals, alpha: float, doubt: Doubt
    ) -> None:
        assert doubt_of_the_past(replace(START, aim=Aim(0.05, alpha), arrivals=arrivals)) is doubt


class TestWhoDecides:
    """The forecast loses its say at once, and gets it back after a time in which all was well."""

    def test_a_doubt_ends_it_at_once(self) -> None:
        found = who_decides(TestDoubt.ACTING, Doubt.TOO_OLD, M + 5, 120)
        assert found == Who(acts=False, since=M + 5, doubt=Doubt.TOO_OLD, good_since=None)

    def test_it_returns_after_the_whole_time(self) -> None:
        who = Who(acts=False, since=M, doubt=Doubt.TOO_OLD, good_since=M + 10)
        assert who_decides(who, Doubt.NONE, M + 129, 120) == who
        assert who_decides(who, Doubt.NONE, M + 130, 120) == Who(
            acts=True, since=M + 130, doubt=Doubt.NONE, good_since=None
        )

    def test_a_doubt_meanwhile_begins_that_time_anew(self) -> None:
        who = Who(acts=False, since=M, doubt=Doubt.TOO_OLD, good_since=M + 10)
        assert who_decides(who, Doubt.WORSE, M + 50, 120).good_since is None

    def test_times_that_are_still_to_come_are_now(self) -> None:
        who = Who(acts=False, since=M + 60, doubt=Doubt.TOO_OLD, good_since=M + 60)
        assert who_decides(who, Doubt.NONE, M, 120) == replace(who, since=M, good_since=M)
