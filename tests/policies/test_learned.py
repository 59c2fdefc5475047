"""The learned policy: what it adds to the threshold rule, and when it steps back. Windows have one sample a minute."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from autoscaler.config.policies import policy_text
from autoscaler.learning import scarcity
from autoscaler.learning.conformal import Correction
from autoscaler.learning.features import FEATURES, HISTORY_MIN, Floats
from autoscaler.learning.standing import Standing, standing
from autoscaler.model import (
    DOMAIN_SWAP_IN_BYTES_PER_SECOND,
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    Demand,
    Memory,
    Sample,
    Series,
    Window,
)
from autoscaler.testing import NOW, a_window, proof_window
from policies.learned import Learned
from policies.threshold import Threshold

LEVELS = (0.05, 0.5, 0.95)
MINUTE = timedelta(minutes=1)
WIDE = np.full(len(FEATURES), 1e6)
unhurried = settings(deadline=None, max_examples=60)


@dataclass
class Says:
    """A forecaster that says what it is told to, at its three levels."""

    growth: Sequence[float] | Callable[[Floats], Any] = (0.0, 1.0, 2.0)
    levels: Any = LEVELS
    horizon_min: Any = 5
    features: Any = FEATURES
    low: Any = field(default_factory=lambda: -WIDE)
    high: Any = field(default_factory=lambda: WIDE)

    def predict(self, row: Floats) -> Any:
        """The growth, whatever the row is, unless it is a function of it."""
        return self.growth(row) if callable(self.growth) else np.array(self.growth)


def takes_too_long(_row: Floats) -> Floats:
    """What a forecaster with a limit raises."""
    raise TimeoutError("0.70 s, the limit is 0.5 s")


def learned(forecaster: Any = None, **parameters: Any) -> Learned:
    """The policy with an idle time of five minutes, a target of 5 %, and a model that was trained yesterday."""
    of_the_model = {"forecaster": forecaster or Says(), "trained_until": NOW - timedelta(days=1)}
    at_once = {"idle": timedelta(minutes=5), "return_after": timedelta(0)}
    return Learned(**{"wait_core_seconds": 19, "idle_core_seconds": 1, **at_once, **of_the_model, **parameters})


class Played:
    """A policy that is asked each minute; it begins with hours of one load."""

    def __init__(self, policy: Learned, load: float = 0.0, *, minutes: int = HISTORY_MIN + 10) -> None:
        self.policy, self.now = policy, NOW
        self.memory: Memory = {}
        self.loads: list[float | None] = []
        self.queued = 0.0
        self.swap_in: float | None = None
        self.demand = Demand(None, "not asked yet")
        for _ in range(HISTORY_MIN):
            self.minute(load)
        self.trusted()
        for _ in range(minutes + 1 - HISTORY_MIN):
            self.minute(load)

    def minute(self, load: float | None) -> Demand:
        """The next minute has this load, all of it running."""
        self.now += MINUTE
        self.loads = [*self.loads[-10:], load]
        self.demand, self.memory = self.asked()
        return self.demand

    def trusted(self) -> None:
        """Its forecasts were good for a long time."""
        self.memory = {**self.memory, "losses": (0.0, 0.0, 0.0, 1.0, self.policy.target)}

    def says(self, growth: Sequence[float] | Callable[[Floats], Any]) -> None:
        """From the next minute on the model says something else."""
        self.policy = replace(self.policy, forecaster=Says(growth))

    def asked(self) -> tuple[Demand, Memory]:
        """What is wanted and remembered now; asking changes nothing."""
        signals: dict[str, list[float | None]] = {
            PROOF_QUEUED_SESSIONS: [self.queued] * len(self.loads),
            PROOF_RUNNING_SESSIONS: self.loads,
            DOMAIN_SWAP_IN_BYTES_PER_SECOND: [self.swap_in],
        }
        window = replace(a_window(signals, now=self.now), memory=self.memory)
        demand = self.policy.decide(window)
        return demand, self.policy.remember(window, demand)

    @property
    def stands(self) -> Standing:
        """What the memory means."""
        found = standing(self.memory)
        assert found is not None
        return found


def test_a_forecast_above_the_threshold_rule_grows_ahead() -> None:
    """One session runs; with two more there are three times eight workers."""
    played = Played(learned(Says((0.0, 1.0, 2.0))), 1.0)
    assert played.demand == Demand(
        24, "1.0 to 3.0 sessions are forecast; 0 queued and 1 running sessions, peak of the last 5 min is 1"
    )


def test_a_forecast_below_it_takes_nothing_away() -> None:
    played = Played(learned(Says((-4.0, -3.0, -2.0))), 4.0)
    assert played.demand == Demand(
        32, "0 queued and 4 running sessions, peak of the last 5 min is 4; 0.0 to 2.0 sessions are forecast"
    )


def test_where_the_threshold_rule_holds_a_forecast_only_adds() -> None:
    played = Played(learned(Says((0.0, 0.0, 1.0)), idle=timedelta(minutes=9), hold=timedelta(0)), 1.0)
    demand = played.minute(0.0)
    assert Threshold(idle=timedelta(minutes=9)).decide(proof_window([0.0] * 11, played.loads)).workers is None
    assert (demand.workers, demand.may_shrink) == (8, False)
    assert demand.reason.endswith("not yet idle for 9 min")


def test_it_shrinks_when_both_want_less() -> None:
    played = Played(learned(Says((0.0, 0.0, 1.0))), 3.0)
    for _ in range(12):
        played.minute(0.0)
    assert (played.demand.workers, played.demand.may_shrink) == (8, True)


def test_the_highest_forecast_of_the_hold_time_counts() -> None:
    """Four more are forecast in one minute only."""
    played = Played(learned(Says((0.0, 0.0, 0.0)), hold=timedelta(minutes=3)))
    played.says((0.0, 0.0, 4.0))
    wanted = [played.minute(0.0).workers]
    played.says((0.0, 0.0, 0.0))
    wanted += [played.minute(0.0).workers for _ in range(4)]
    assert wanted == [32, 32, 32, 32, 0]


class TestWhereGuestsReadFromSwap:
    """One session runs, and with two more that are forecast there would be three times eight workers."""

    MUCH = 2.0 * 2**20

    def played(self, **parameters: Any) -> Played:
        return Played(learned(Says((0.0, 1.0, 2.0)), **parameters), 1.0)

    def minutes(self, played: Played, count: int, swap_in: float | None, queued: float = 0.0) -> Demand:
        played.swap_in, played.queued = swap_in, queued
        for _ in range(count):
            played.trusted()
            played.minute(1.0)
        return played.demand

    def test_the_threshold_rule_decides_alone_and_the_reason_says_why(self) -> None:
        demand = self.minutes(self.played(), 1, self.MUCH)
        assert demand.workers == 8
        assert demand.reason.endswith("no forecast: guests read from swap, so that workers for nobody cost too much")

    @pytest.mark.parametrize("swap_in", [None, 0.0, 2.0**20])
    def test_a_forecast_has_its_say_where_they_read_little_or_it_is_not_known(self, swap_in: float | None) -> None:
        assert self.minutes(self.played(), 1, swap_in).workers == 24

    def test_a_forecast_has_its_say_again_when_they_have_read_little_for_the_stated_time(self) -> None:
        played = self.played(return_after=3 * MINUTE)
        self.minutes(played, 1, self.MUCH)
        assert [self.minutes(played, 1, 0.0).workers for _ in range(4)] == [8, 8, 8, 24]

    def test_workers_are_kept_where_somebody_has_waited_for_long(self) -> None:
        played = self.played(return_after=2 * MINUTE, hold=timedelta(0))
        assert self.minutes(played, 1, self.MUCH).workers == 8
        assert self.minutes(played, 1, self.MUCH, queued=1.0).workers == 32
        assert self.minutes(played, 1, self.MUCH).workers == 24

    def test_who_waited_is_forgotten_in_the_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Days of minutes would take a while.
        monkeypatch.setattr(scarcity, "REMEMBERED_MIN", 60)
        played = self.played()
        self.minutes(played, 1, self.MUCH, queued=1.0)
        assert self.minutes(played, 59, self.MUCH).workers == 24
        assert self.minutes(played, 1, self.MUCH).workers == 8


def test_the_quantile_follows_from_the_price() -> None:
    """A wait that costs as much as idle workers asks for the median; one that costs 19 times as much for 95 %."""
    assert Played(learned(wait_core_seconds=1, idle_core_seconds=1)).demand.workers == 1 * 8
    assert Played(learned(wait_core_seconds=1.9, idle_core_seconds=0.1)).demand.workers == 2 * 8


def test_part_of_a_worker_is_a_worker() -> None:
    assert Played(learned(Says((0.0, 0.1, 0.3)))).demand.workers == 3
    assert Played(learned(Says((0.0, 0.1, 0.3)), workers_per_session=10)).demand.workers == 3


def test_between_two_cycles_of_a_minute_it_says_the_same() -> None:
    played = Played(learned(Says((0.0, 1.0, 2.0))), 1.0)
    assert played.asked() == (played.demand, played.memory)


class TestCorrection:
    """Adaptive conformal inference: the share of arrivals that found too little goes to its target."""

    def test_a_missed_arrival_asks_for_a_higher_quantile(self) -> None:
        played = Played(learned(Says((0.0, 0.0, 0.0))))
        played.minute(1.0)
        played.minute(1.0)
        assert played.stands.alpha == pytest.approx(Correction(0.05).after(0.05, 1, 1))
        assert played.stands.alpha < 0.05

    def test_a_served_arrival_asks_for_a_lower_one(self) -> None:
        played = Played(learned(Says((0.0, 1.0, 2.0))))
        played.minute(2.0)
        played.minute(2.0)
        assert played.stands.alpha == pytest.approx(Correction(0.05).after(0.05, 2, 0))
        assert played.stands.alpha > 0.05

    def test_without_arrivals_nothing_is_learned(self) -> None:
        played = Played(learned(Says((0.0, 1.0, 2.0))), 3.0)
        assert (played.stands.alpha, played.stands.arrivals) == (pytest.approx(played.policy.target), 0)

    def test_what_counts_is_the_forecast_that_was_in_time(self) -> None:
        """The model takes five minutes to come true; one that says enough since three has missed it."""
        played = Played(learned(Says((0.0, 0.0, 0.0))))
        played.says((1.0, 1.0, 1.0))
        for load in (0.0, 0.0, 0.0, 1.0, 1.0):
            played.minute(load)
        assert played.stands.coverage == 0.0

    def test_another_price_begins_anew(self) -> None:
        played = Played(learned(Says((0.0, 0.0, 0.0))))
        played.minute(1.0)
        played.minute(1.0)
        played.policy = replace(played.policy, wait_core_seconds=1, idle_core_seconds=1)
        played.minute(1.0)
        assert (played.stands.alpha, played.stands.arrivals) == (0.5, 0)


class TestSteppingBack:
    """The threshold rule alone decides where a forecast cannot be trusted."""

    def test_at_the_beginning_there_is_no_past_to_forecast_from(self) -> None:
        played = Played(learned(), minutes=HISTORY_MIN - 1)
        assert played.demand == Demand(
            0,
            "0 queued and 0 running sessions, idle for 5 min; no forecast: too little of the last hours' load is known",
        )
        assert played.minute(0.0).workers == 16

    def test_at_the_beginning_all_must_be_well_for_the_return_time(self) -> None:
        played = Played(learned(return_after=timedelta(minutes=30)), minutes=HISTORY_MIN)
        assert played.demand.reason.endswith("load is known; all is well for 0 min of 30 min")
        assert [bool(played.minute(0.0).workers) for _ in range(31)] == [False] * 29 + [True] * 2

    @pytest.mark.parametrize(
        ("says", "why"),
        [
            (Says(lambda _row: 1 / 0), "the model gave no usable forecast: ZeroDivisionError: "),
            (Says(takes_too_long), "the model took too long: 0.70 s, the limit is 0.5 s"),
            (Says((0.0, 1.0, math.nan)), "the model gave no usable forecast: ValueError: it says [0.0, 1.0, nan] "),
            (Says((0.0, 1.0, math.inf)), "the model gave no usable forecast: "),
            (Says((0.0, 1.0)), "the model gave no usable forecast: "),
            (Says(lambda _row: None), "the model gave no usable forecast: "),
            (Says(levels=None), "the model gave no usable forecast: "),
            (Says(levels=[math.nan] * 3), "the model gave no usable forecast: "),
            (Says(horizon_min=0), "the model gave no usable forecast: ValueError: its horizon is not 1 to 120 minutes"),
            (Says(horizon_min="5"), "the model gave no usable forecast: ValueError: its horizon"),
            (Says(features=("load",)), "no usable forecast: ValueError: it was trained on other features"),
            (Says(low=-WIDE[1:]), "the model gave no usable forecast: "),
            (Says(high=WIDE * 0, low=WIDE * 0), "unlike any in training: minutes_since_arrival is 240, it was 0 to 0"),
        ],
    )
    def test_a_model_that_is_of_no_use_has_no_say(self, says: Says, why: str) -> None:
        played = Played(learned())
        played.policy = replace(played.policy, forecaster=says)
        demand = played.minute(0.0)
        assert demand.workers == 0
        assert why in demand.reason

    def test_a_load_far_beyond_training_is_not_forecast(self) -> None:
        high = np.where(np.arange(len(FEATURES)) == FEATURES.index("load"), 6.0, WIDE)
        low = np.where(np.arange(len(FEATURES)) == FEATURES.index("load"), 0.0, -WIDE)
        played = Played(learned(Says(high=high, low=low)), 9.0)
        assert played.demand.workers == 11 * 8
        assert played.minute(10.0).reason.endswith(
            "no forecast: the load was unlike any in training: load is 10, it was 0 to 6"
        )

    def test_a_model_that_is_too_old_is_not_asked(self) -> None:
        played = Played(learned(model_max_age=timedelta(days=1, hours=3)))
        assert played.demand.reason.endswith("the model is too old: it knows the load until 2026-11-22 12:00")

    def test_four_sessions_too_many_for_two_hours_end_it(self) -> None:
        played = Played(learned(Says((0.0, 0.0, 4.0))))
        wanted = [played.minute(0.0).workers for _ in range(130)]
        assert wanted == [32] * 120 + [0] * 10
        assert played.demand.reason.endswith("its forecasts were worse than that nothing changes")

    def test_a_forecast_that_is_right_about_nothing_goes_on(self) -> None:
        played = Played(learned(Says((0.0, 0.0, 0.0))))
        for _ in range(600):
            played.minute(0.0)
        assert played.stands.acts

    def test_arrivals_that_would_else_have_waited_pay_for_forecasts(self) -> None:
        """One more is forecast all the time, and one comes in each hour."""
        played = Played(learned(Says((0.0, 0.0, 1.0))))
        for minute in range(900):
            played.minute(float(minute % 60 > 30))
        assert played.stands.acts

    def test_a_model_that_ended_must_have_been_better_before_it_returns(self) -> None:
        played = Played(learned(Says((0.0, 0.0, 1.0))))
        played.memory = {**played.memory, "losses": (0.0, 0.0, 0.0, 0.0, played.policy.target)}
        assert played.minute(0.0).reason.endswith("its forecasts were worse than that nothing changes")
        for minute in range(300):
            played.minute(float(minute % 60 > 30))
        assert played.stands.acts

    def test_it_returns_when_all_was_well_for_the_return_time(self) -> None:
        played = Played(learned(), 1.0)
        played.policy = replace(played.policy, return_after=timedelta(minutes=10))
        good = played.policy.forecaster
        played.says(lambda _row: 1 / 0)
        played.minute(1.0)
        played.policy = replace(played.policy, forecaster=good)
        assert [played.minute(1.0).workers for _ in range(12)] == [8] * 10 + [24] * 2

    def test_a_forecast_that_was_doubted_has_no_say_when_it_returns(self) -> None:
        played = Played(learned(Says((0.0, 1.0, 2.0)), hold=timedelta(hours=1)), 1.0)
        good = played.policy.forecaster
        played.policy = replace(played.policy, forecaster=Says((0.0, 50.0, 60.0), high=-WIDE))
        played.minute(1.0)
        played.policy = replace(played.policy, forecaster=good)
        assert [played.minute(1.0).workers for _ in range(12)] == [24] * 12

    def test_a_short_gap_is_closed(self) -> None:
        played = Played(learned(), 1.0)
        for _ in range(5):
            assert played.minute(None).workers is None
        assert played.minute(1.0).workers == 24

    @pytest.mark.parametrize("gap_min", [1, 5, 30])
    def test_a_gap_that_leaves_the_memory_changes_nothing(self, gap_min: int) -> None:
        played = Played(learned(Says((0.0, 1.0, 2.0))), 1.0)
        for minute in range(2 * HISTORY_MIN):
            played.trusted()
            played.minute(None if minute < gap_min else 1.0)
            if minute > HISTORY_MIN - 10:
                assert played.stands.acts, minute

    def test_a_long_gap_lets_it_wait_for_its_features(self) -> None:
        played = Played(learned(), 1.0)
        for _ in range(50):
            played.minute(None)
        assert played.minute(1.0).reason.endswith("a feature of the load was unknown: change_1min is unknown")

    def test_after_a_week_without_data_it_begins_anew(self) -> None:
        played = Played(learned(), 1.0)
        played.now += timedelta(days=7)
        played.loads = []
        assert played.minute(1.0).reason.endswith("too little of the last hours' load is known")

    def test_after_a_clock_was_set_back_it_goes_on(self) -> None:
        played = Played(learned(), 1.0)
        played.now -= timedelta(minutes=30)
        assert "no forecast" in played.minute(1.0).reason
        for _ in range(40):
            played.minute(1.0)
        assert played.demand.workers == 24


class TestLaws:
    """Whatever the window, the memory and the model."""

    @unhurried
    @given(data=st.data())
    def test_it_never_wants_less_than_the_threshold_rule(self, data: st.DataObject) -> None:
        policy, window = data.draw(policies), data.draw(windows)
        demand, reactive = policy.decide(window), THRESHOLD.decide(window)
        if reactive.workers is not None:
            assert demand.workers is not None
            assert demand.workers >= reactive.workers

    @unhurried
    @given(data=st.data())
    def test_it_never_shrinks_what_the_threshold_rule_would_not(self, data: st.DataObject) -> None:
        policy, window = data.draw(policies), data.draw(windows)
        demand, reactive = policy.decide(window), THRESHOLD.decide(window)
        if reactive.workers is None or not reactive.may_shrink:
            assert demand.workers is None or not demand.may_shrink

    @unhurried
    @given(data=st.data())
    def test_without_a_model_it_is_the_threshold_rule(self, data: st.DataObject) -> None:
        window = data.draw(windows)
        assert replace(data.draw(policies), forecaster=None).decide(window) == THRESHOLD.decide(window)

    @unhurried
    @given(data=st.data())
    def test_it_is_a_function_of_the_window_and_survives_the_store(self, data: st.DataObject) -> None:
        """Memory that went through JSON is the same, and so is what follows from it."""
        policy, window = data.draw(policies), data.draw(windows)
        demand = policy.decide(window)
        memory = policy.remember(window, demand)
        assert (policy.decide(window), policy.remember(window, demand)) == (demand, memory)
        stored = STORED.validate_json(STORED.dump_json(memory))
        assert stored == memory
        later = replace(window, now=window.now + MINUTE, memory=memory)
        assert policy.remember(replace(later, memory=stored), demand) == policy.remember(later, demand)

    @unhurried
    @given(data=st.data())
    def test_what_it_remembers_can_be_told(self, data: st.DataObject) -> None:
        policy, window = data.draw(policies), data.draw(windows)
        found = standing(policy.remember(window, Demand(None, "")))
        assert found is not None
        assert all(found.in_words())

    @given(memory=st.deferred(lambda: memories))
    def test_any_memory_can_be_told_or_is_not_its_own(self, memory: Memory) -> None:
        found = standing(memory)
        assert found is None or all(found.in_words())

    def test_its_memory_stays_small(self) -> None:
        """A day of sessions that come and go; it is stored with every decision."""
        played = Played(learned(Says((-1.0, 0.0, 1.0))))
        sizes = []
        for minute in range(1440):
            played.minute(float(minute * 7 % 11 > 8))
            sizes.append(len(STORED.dump_json(played.memory)))
        assert max(sizes) < 2000


THRESHOLD = Threshold(idle=timedelta(minutes=5))
STORED: TypeAdapter[Memory] = TypeAdapter(Memory)

numbers = st.none() | st.floats() | st.sampled_from([0.0, 1.0, 5.0, -1.0, 1e9, 1e308])
NAMES = ("minute", "loads", "forecasts", "alpha", "losses", "arrivals", "judged", "who", "another")
# One that is whole, as after hours of sessions that come and go, so that a drawn part does not hide all others.
WHOLE = Played(learned(Says((-1.0, 0.0, 1.0))), 1.0)
for _minute in range(30):
    WHOLE.minute(float(_minute % 3))
memories = st.dictionaries(st.sampled_from(NAMES), st.lists(numbers, max_size=9).map(tuple), max_size=3).map(
    lambda garbage: {**WHOLE.memory, **garbage}
) | st.dictionaries(st.sampled_from(NAMES), st.lists(numbers, max_size=300).map(tuple))


def _proof_series(signal: str, drawn: list[tuple[int, float | None]]) -> Series:
    samples = [Sample(WHOLE.now - timedelta(seconds=ago_s), value) for ago_s, value in sorted(drawn, reverse=True)]
    return Series(signal, tuple(samples), WHOLE.now)


values = st.sampled_from([0.0, 1.0, 8.0]) | st.floats(0, 1e12)
gaps = st.lists(st.tuples(st.integers(-60, 900), st.none() | values), max_size=6, unique_by=lambda reading: reading[0])
whole = st.lists(values, min_size=7, max_size=7).map(lambda loads: [(60 * ago, load) for ago, load in enumerate(loads)])
windows = st.builds(
    lambda queued, running, memory, later: Window(
        WHOLE.now + later,
        (_proof_series(PROOF_QUEUED_SESSIONS, queued), _proof_series(PROOF_RUNNING_SESSIONS, running)),
        memory,
    ),
    whole | gaps,
    whole | gaps,
    st.just(WHOLE.memory) | memories,
    st.sampled_from([timedelta(0), MINUTE, 2 * MINUTE, 30 * MINUTE, timedelta(days=3), -timedelta(hours=1)]),
)
answers = st.lists(st.floats(), max_size=5) | st.just([0.0, 1.0, 2.0]) | st.just("no numbers") | st.none()


def _raises(_row: Floats) -> None:
    raise RuntimeError("the model is broken")


models = (
    st.just(Says((-1.0, 0.0, 3.0)))
    | st.just(Says((-1.0, 0.0, 3.0), low=-WIDE * 1e9, high=WIDE * 1e9))
    | st.builds(lambda answer: Says(lambda _row: answer), answers)
    | st.just(Says(_raises))
    | st.builds(Says, levels=st.lists(st.floats(), max_size=4) | st.none())
    | st.builds(Says, horizon_min=st.integers() | st.none() | st.floats())
    | st.builds(Says, features=st.none() | st.just(("load",)))
    | st.builds(
        Says,
        low=st.none() | st.just(WIDE) | st.just(-WIDE) | st.just(WIDE[1:] * math.nan),
        high=st.just(WIDE) | st.none(),
    )
)
policies = st.builds(
    lambda model, back: learned(model, return_after=back), models, st.sampled_from([timedelta(0), timedelta(hours=2)])
)


class TestParameters:
    """What a configuration says."""

    def test_the_model_is_none_of_them(self) -> None:
        text = policy_text("learned", learned())
        assert "return_after: 0s" in text
        assert "forecaster" not in text
        assert "trained_until" not in text

    @pytest.mark.parametrize(
        ("parameters", "reason"),
        [
            ({"workers_per_session": 0}, "workers_per_session must be 1 or more"),
            ({"wait_core_seconds": 0}, "^wait_core_seconds must be a number that is more than 0$"),
            ({"idle_core_seconds": math.nan}, "^idle_core_seconds must be a number that is more than 0$"),
            ({"hold": timedelta(hours=5)}, "hold must be 0s or more and at most 240 min"),
            ({"return_after": -MINUTE}, "return_after must be 0s or more, and model_max_age longer than 0s"),
            ({"model_max_age": timedelta(0)}, "return_after must be 0s or more, and model_max_age longer than 0s"),
            ({"trained_until": None}, "a forecaster needs trained_until"),
            ({"wait_core_seconds": 1e300, "idle_core_seconds": 1e-30}, "it must be 0.0001 to 0.5"),
            ({"wait_core_seconds": 1, "idle_core_seconds": 9}, "both prices is 0.9, the share .* it must be"),
        ],
    )
    def test_those_that_make_no_sense_are_refused(self, parameters: dict[str, Any], reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            learned(**parameters)
