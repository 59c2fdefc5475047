"""How the learned policy stands, by what it remembers: for metrics, explanations and whoever doubts it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from autoscaler.learning.notes import Forecast, Judged, Notes, target_of, time_of
from autoscaler.model import Memory


@dataclass(frozen=True, slots=True)
class Standing:
    """How the learned policy stood when a decision was made: what metrics and explanations tell.

    Loads and losses are in sessions, shares between 0 and 1. ``doubt`` says why the threshold rule decides alone, and
    ``good_since`` since when it no longer applies.
    """

    acts: bool
    since: datetime
    doubt: str | None
    good_since: datetime | None
    forecast: Forecast | None
    judged: Judged | None
    coverage: float | None
    coverage_target: float
    arrivals: float
    alpha: float
    pinball_loss: float | None
    pinball_loss_persistence: float | None

    def values(self) -> dict[str, str | float | None]:
        """As JSON values, with units in their names."""
        judged = self.judged.forecast if self.judged else None
        return {
            "decides": "forecast" if self.acts else "threshold",
            "since": self.since.isoformat(),
            "doubt": self.doubt,
            "good_since": None if self.good_since is None else self.good_since.isoformat(),
            "forecast_low_sessions": self.forecast.low if self.forecast else None,
            "forecast_high_sessions": self.forecast.high if self.forecast else None,
            "judged_low_sessions": judged.low if judged else None,
            "judged_high_sessions": judged.high if judged else None,
            "realised_sessions": self.judged.realised if self.judged else None,
            "coverage_ratio": self.coverage,
            "coverage_target_ratio": self.coverage_target,
            "coverage_arrivals": self.arrivals,
            "alpha_ratio": self.alpha,
            "pinball_loss_sessions": self.pinball_loss,
            "pinball_loss_persistence_sessions": self.pinball_loss_persistence,
        }

    def in_words(self) -> Iterator[str]:
        """Line by line."""
        decides = "the forecast with the threshold rule" if self.acts else "the threshold rule alone"
        since = f"{self.since.astimezone():%Y-%m-%d %H:%M}"
        yield f"{decides} decides since {since}" + (f": {self.doubt}" if self.doubt else "")
        if self.good_since is not None:
            yield f"no doubt since {self.good_since.astimezone():%Y-%m-%d %H:%M}"
        if self.forecast is not None:
            yield f"forecast {self.forecast.in_words}"
        if self.judged is not None:
            made = time_of(self.judged.forecast.minute).astimezone()
            yield f"forecast of {made:%H:%M} {self.judged.forecast.in_words}, it came to {self.judged.realised:g}"
        if self.coverage is not None:
            yield (
                f"coverage {self.coverage:.1%} of the last {self.arrivals:.0f} arrivals, "
                f"target {self.coverage_target:.1%}, alpha {self.alpha:.3f}"
            )
        if self.pinball_loss is not None:
            yield f"pinball loss {self.pinball_loss:.3f} sessions, of persistence {self.pinball_loss_persistence:.3f}"


def standing(memory: Memory) -> Standing | None:
    """What a memory means, ``None`` where it is not the learned policy's."""
    target = target_of(memory)
    if target is None:
        return None
    notes = Notes.of(memory, target)
    if notes.minute is None or notes.who is None:
        return None
    who, judged, losses = notes.who, notes.judged, notes.losses
    now = notes.forecasts[-1] if notes.forecasts and notes.forecasts[-1].minute == notes.minute else None
    return Standing(
        who.acts,
        # The minutes are named by their ends, which may still be to come.
        time_of(who.since - 1),
        None if who.acts else who.doubt.in_words,
        None if who.acts or who.good_since is None else time_of(who.good_since - 1),
        now,
        judged,
        notes.arrivals.served if notes.arrivals.seen else None,
        1 - notes.aim.target,
        notes.arrivals.seen,
        notes.aim.alpha,
        losses.own if losses.judged else None,
        losses.persistence if losses.judged else None,
    )
