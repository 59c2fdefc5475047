"""Grow before sessions come, by a model of the site's own past; the threshold rule is the least, and the way back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import ClassVar

import numpy as np

from autoscaler.contracts import Forecaster
from autoscaler.learning import features
from autoscaler.learning.conformal import quantile
from autoscaler.learning.features import Floats
from autoscaler.learning.judging import ROUNDING, carried, caught_up, doubt_of_the_past, who_decides
from autoscaler.learning.notes import MOST, Doubt, Forecast, Notes, Who, minute_of
from autoscaler.learning.scarcity import doubt_of_memory, last_waited, scarce
from autoscaler.model import (
    DOMAIN_SWAP_IN_BYTES_PER_SECOND,
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    Demand,
    Memory,
    Window,
)
from policies.load import all_loads, minutes
from policies.threshold import Threshold

# A feature may be beyond its range in training by this share of it, and by one session in any case.
_RANGE_MARGIN = 0.5
# Of what features look back on, so much must be known.
_KNOWN_LEAST = 0.5
# Forecasts are corrected between these shares.
_LEAST_TARGET, _MOST_TARGET = 0.0001, 0.5
_LONGEST_HORIZON_MIN = features.HISTORY_MIN // 2
_LONGEST_HOLD = timedelta(hours=4)
_LONGEST_DETAIL = 200
# What comes with the model, and is no parameter of a configuration.
_OF_THE_MODEL = {"parameter": False}


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the model says now, and what speaks against it, in words of this cycle."""

    forecast: Forecast | None
    doubt: Doubt = Doubt.NONE
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Look:
    """What a cycle knows: its notes, with who decides and this minute's forecast, and what the model answered."""

    notes: Notes
    minute: int
    who: Who
    answer: _Answer


@dataclass(frozen=True, slots=True)
class Learned:
    """The larger of the threshold rule and a forecast; it shrinks only where both want less.

    The forecast is of the highest load between one and two of the model's horizons from now, at the quantile that the
    site's price asks for (the newsvendor's): ``wait_core_seconds`` is what a second is worth that a session waits for
    its workers, ``idle_core_seconds`` what a second costs in which the workers of a session stand there for nobody,
    both in core seconds of batch work. ``idle / (wait + idle)`` of the arrivals may then find too little; adaptive
    conformal inference moves the quantile until it comes to that, whatever the load does; only a flood, of which one
    minute's arrivals count as ten at most, and what comes while the load is unlike any in training do not move it. So
    that moves are not made for minutes, the highest forecast of the last ``hold`` counts.

    Where the forecast cannot be trusted the threshold rule, whose parameters are here too, decides alone at once: no
    model, or one that fails, takes too long, gives no number, or is older than ``model_max_age``; a load unlike any in
    training; too much of the last hours unknown; a model with a pinball loss above that of "nothing changes", by four
    sessions too many for two hours or by one for eight, beyond what it was below before; of the last hundred arrivals
    10 % more or fewer served than aimed at, and no correction left; guests that read from swap, if that is known,
    unless sessions waited for many minutes in the last hours. The forecast is made and judged on, and has a say again
    when nothing spoke against it for ``return_after``; so it is at the beginning, too.

    With the model come the end of the past it was trained on, and the ``zone`` of its hours.

    It has no clock: a forecaster that keeps a limit on how long it takes raises ``TimeoutError`` where it took longer.
    """

    signals: ClassVar[tuple[str, ...]] = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS)
    heeds: ClassVar[tuple[str, ...]] = (DOMAIN_SWAP_IN_BYTES_PER_SECOND,)
    prices: ClassVar[tuple[str, ...]] = ("wait_core_seconds", "idle_core_seconds")

    workers_per_session: int = 8
    grow_queued: float = 0
    grow_running: float = 0
    shrink_load: float = 0
    idle: timedelta = timedelta(minutes=20)
    wait_core_seconds: float = 8
    # On the weeks before those that are reported 0.1 costs as much, and 0.4 twice as much, nearly all of it in one
    # week's waiting; on those that are, 0.1 costs as much, too (tests/benchmarks/learned_closed.py).
    idle_core_seconds: float = 0.2
    hold: timedelta = timedelta(minutes=5)
    return_after: timedelta = timedelta(hours=2)
    model_max_age: timedelta = timedelta(days=30)
    forecaster: Forecaster | None = field(default=None, repr=False, compare=False, metadata=_OF_THE_MODEL)
    trained_until: datetime | None = field(default=None, repr=False, metadata=_OF_THE_MODEL)
    zone: tzinfo = field(default=UTC, repr=False, metadata=_OF_THE_MODEL)
    # The newest window with what follows from it: no state, since it only spares finding the same again.
    _newest: list[tuple[Window, _Look]] = field(init=False, default_factory=list, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what contradicts itself: raises ``ValueError``."""
        self._threshold()
        prices = {"wait_core_seconds": self.wait_core_seconds, "idle_core_seconds": self.idle_core_seconds}
        for name, price in prices.items():
            if not 0 < price < math.inf:  # refuses NaN too
                raise ValueError(f"{name} must be a number that is more than 0")
        if not _LEAST_TARGET <= self.target <= _MOST_TARGET:
            raise ValueError(
                f"idle_core_seconds over both prices is {self.target:.3g}, the share of arrivals that may find too "
                f"little; it must be {_LEAST_TARGET:g} to {_MOST_TARGET:g}"
            )
        if not timedelta(0) <= self.hold <= _LONGEST_HOLD:
            raise ValueError(f"hold must be 0s or more and at most {minutes(_LONGEST_HOLD)}")
        if self.return_after < timedelta(0) or self.model_max_age <= timedelta(0):
            raise ValueError("return_after must be 0s or more, and model_max_age longer than 0s")
        if self.forecaster is not None and self.trained_until is None:
            raise ValueError("a forecaster needs trained_until, the end of the past it was trained on")

    @property
    def history(self) -> timedelta:
        """The idle time; what the model looks back on is remembered."""
        return self._threshold().history

    @property
    def target(self) -> float:
        """The share of arrivals that may find too little."""
        return self.idle_core_seconds / (self.wait_core_seconds + self.idle_core_seconds)

    def decide(self, window: Window) -> Demand:
        """Ask the threshold rule, then the forecast whether it wants more."""
        reactive = self._threshold().decide(window)
        if self.forecaster is None or any(window.latest(signal) is None for signal in self.signals):
            return reactive
        look = self._look(window)
        if not look.who.acts:
            return replace(reactive, reason=f"{reactive.reason}; no forecast: {self._why_not(look)}")
        return self._larger(reactive, look.notes)

    def remember(self, window: Window, demand: Demand) -> Memory:  # noqa: ARG002 - it follows from the window
        """Return the loads, the forecasts that wait for their truth, what came of earlier ones, and who decides."""
        return self._look(window).notes.memory()

    def _larger(self, reactive: Demand, notes: Notes) -> Demand:
        now = notes.forecasts[-1]
        since = now.minute - _in_minutes(self.hold)
        if notes.who is not None:
            # What was doubted when it was made has no say later.
            since = max(since, notes.who.since)
        peak = max([now.high, *(each.high for each in notes.forecasts if each.minute >= since)])
        workers = self._workers(peak)
        told = f"{now.in_words} are forecast"
        if peak > now.high:
            told = f"{told}, {peak:.1f} in the last {minutes(self.hold)}"
        if workers <= (reactive.workers or 0):
            return replace(reactive, reason=f"{reactive.reason}; {told}")
        may_shrink = reactive.workers is not None and reactive.may_shrink
        return Demand(workers, f"{told}; {reactive.reason}", may_shrink=may_shrink)

    def _look(self, window: Window) -> _Look:
        """All that follows from the window and what was remembered; of one window it is asked twice."""
        if not self._newest or self._newest[0][0] is not window:
            self._newest[:] = [(window, self._looked(window))]
        return self._newest[0][1]

    def _looked(self, window: Window) -> _Look:
        horizon_min = _horizon_min(self.forecaster)
        notes = caught_up(Notes.of(window.memory, self.target), all_loads(window), window.now, horizon_min)
        notes = replace(notes, waited=last_waited(notes, window))
        minute = minute_of(window.now)
        answer = self._ask(notes, window.now)
        oldest = minute - max(2 * (horizon_min or 0), _in_minutes(self.hold))
        forecasts = [each for each in notes.forecasts if oldest <= each.minute < minute]
        if answer.forecast is not None:
            forecasts.append(answer.forecast)
        doubt = answer.doubt or doubt_of_the_past(notes) or doubt_of_memory(window, notes)
        who = who_decides(notes.who, doubt, minute, self._return_after_min(notes))
        return _Look(replace(notes, forecasts=tuple(forecasts), who=who), minute, who, answer)

    def _return_after_min(self, notes: Notes) -> float:
        """Where somebody waits for long, what is here is kept at once, though jobs miss memory."""
        for_memory = notes.who is not None and notes.who.doubt is Doubt.SWAPPING
        return 0.0 if for_memory and scarce(notes) else _in_minutes(self.return_after)

    def _ask(self, notes: Notes, now: datetime) -> _Answer:
        if self.forecaster is None:
            return _Answer(None, Doubt.NO_MODEL)
        loads = carried(notes.loads)[-features.HISTORY_MIN - 1 :]
        known = sum(load is not None for load in loads)
        if len(loads) <= features.HISTORY_MIN or known < _KNOWN_LEAST * len(loads) or loads[-1] is None:
            return _Answer(None, Doubt.SHORT_MEMORY)
        try:
            row = _row(self.forecaster, loads, now, self.zone)
            doubt, detail = _doubt_of_features(self.forecaster, row)
            if doubt is Doubt.UNKNOWN_FEATURE:
                return _Answer(None, doubt, detail)
            forecast = self._forecast(self.forecaster, row, minute_of(now), loads[-1], notes.aim.alpha)
        except TimeoutError as problem:
            return _Answer(None, Doubt.SLOW, str(problem)[:_LONGEST_DETAIL])
        except Exception as problem:  # noqa: BLE001 - no exception of a model ever reaches the loop
            return _Answer(None, Doubt.FAILED, f"{type(problem).__name__}: {problem}"[:_LONGEST_DETAIL])
        if not doubt and (self.trained_until is None or now - self.trained_until > self.model_max_age):
            doubt, detail = Doubt.TOO_OLD, f"it knows the load until {self.trained_until:%Y-%m-%d %H:%M}"
        return _Answer(forecast, doubt, detail)

    def _forecast(self, model: Forecaster, row: Floats, minute: int, load: float, alpha: float) -> Forecast:
        """Return the forecast of this minute; raises whatever the model does, and ``ValueError`` for no numbers."""
        growth, levels = np.asarray(model.predict(row), dtype=np.float64), tuple(model.levels)
        asked = (1 - alpha, alpha, self.target)
        lowest, highest, alone = found = [load + quantile(levels, growth, rest) for rest in asked]
        if growth.shape != (len(levels),) or not all(abs(each) <= MOST for each in found):  # refuses NaN too
            raise ValueError(f"it says {growth.tolist()} sessions at the levels {levels}")
        # What counts is what whole workers can serve.
        highest = self._workers(highest) / self.workers_per_session
        return Forecast(minute, round(min(max(0.0, lowest), highest), 3), highest, round(max(0.0, alone), 3))

    def _why_not(self, look: _Look) -> str:
        """Why the forecast has no say now."""
        who, detail = look.who, look.answer.detail
        if who.good_since is None:
            return f"{who.doubt.in_words}: {detail}" if detail else who.doubt.in_words
        good = timedelta(minutes=look.minute - who.good_since)
        return f"{who.doubt.in_words}; all is well for {minutes(good)} of {minutes(self.return_after)}"

    def _threshold(self) -> Threshold:
        return Threshold(self.workers_per_session, self.grow_queued, self.grow_running, self.shrink_load, self.idle)

    def _workers(self, sessions: float) -> int:
        return max(0, math.ceil(sessions * self.workers_per_session - ROUNDING))


def _row(model: Forecaster, loads: Sequence[float | None], now: datetime, zone: tzinfo) -> Floats:
    """What the model is asked with; raises ``ValueError`` where it is not made for that."""
    if tuple(model.features) != features.FEATURES:
        raise ValueError("it was trained on other features")
    if _horizon_min(model) is None:
        raise ValueError(f"its horizon is not 1 to {_LONGEST_HORIZON_MIN} minutes")
    return features.row([math.nan if load is None else load for load in loads], now, zone)


def _doubt_of_features(model: Forecaster, row: Floats) -> tuple[Doubt, str]:
    """A feature that is not known now and was in training, or is further from what it was then than the margin."""
    unknown = np.isnan(row) & ~np.isnan(model.low)
    if unknown.any():
        return Doubt.UNKNOWN_FEATURE, f"{model.features[int(unknown.argmax())]} is unknown"
    margin = np.maximum(1.0, _RANGE_MARGIN * (model.high - model.low))
    odd = (row < model.low - margin) | (row > model.high + margin)
    if not odd.any():
        return Doubt.NONE, ""
    place = int(odd.argmax())
    name, value, low, high = model.features[place], row[place], model.low[place], model.high[place]
    return Doubt.OUT_OF_RANGE, f"{name} is {value:g}, it was {low:g} to {high:g}"


def _horizon_min(model: Forecaster | None) -> int | None:
    """The model's horizon, where it is one that can be judged."""
    try:
        horizon_min = None if model is None else model.horizon_min
    except Exception:  # noqa: BLE001 - no exception of a model ever reaches the loop
        return None
    return horizon_min if isinstance(horizon_min, int) and 1 <= horizon_min <= _LONGEST_HORIZON_MIN else None


def _in_minutes(span: timedelta) -> float:
    return span.total_seconds() / 60
