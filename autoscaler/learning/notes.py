"""What the learned policy remembers from cycle to cycle: numbers by name for the store, and what they mean.

Times are whole minutes since 1970. Whatever is not as it was written (another version's, damaged) counts as not
remembered.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

from autoscaler.model import Memory

# No facility has as many sessions, and no clock shows as many minutes; what is beyond is not a number that was written.
MOST = 1e9


class Doubt(IntEnum):
    """Why a forecast is not trusted. The numbers are stored: they keep their meaning."""

    NONE = 0
    NO_MODEL = 1
    SHORT_MEMORY = 2
    UNKNOWN_FEATURE = 3
    OUT_OF_RANGE = 4
    FAILED = 5
    TOO_OLD = 6
    WORSE = 7
    COVERAGE = 8
    SWAPPING = 9
    SLOW = 10

    @property
    def in_words(self) -> str:
        """As reasons say it."""
        return _WORDS[self]


_WORDS = {
    Doubt.NONE: "no doubt is left",
    Doubt.NO_MODEL: "there is no model",
    Doubt.SHORT_MEMORY: "too little of the last hours' load is known",
    Doubt.UNKNOWN_FEATURE: "a feature of the load was unknown",
    Doubt.OUT_OF_RANGE: "the load was unlike any in training",
    Doubt.FAILED: "the model gave no usable forecast",
    Doubt.TOO_OLD: "the model is too old",
    Doubt.WORSE: "its forecasts were worse than that nothing changes",
    Doubt.COVERAGE: "the share of arrivals that it served was off its target",
    Doubt.SWAPPING: "guests read from swap, so that workers for nobody cost too much",
    Doubt.SLOW: "the model took too long",
}


@dataclass(frozen=True, slots=True)
class Forecast:
    """The load that was forecast at a minute, between two quantiles; ``high`` is what workers are wanted for.

    ``alone`` is what the model says without the correction, at the quantile that the price asks for.
    """

    minute: int
    low: float
    high: float
    alone: float

    @property
    def in_words(self) -> str:
        """As reasons say it."""
        return f"{self.low:.1f} to {self.high:.1f} sessions"


@dataclass(frozen=True, slots=True)
class Judged:
    """The newest forecast of which the truth is known: the highest load of its time."""

    forecast: Forecast
    realised: float


@dataclass(frozen=True, slots=True)
class Aim:
    """The share of arrivals that may be missed, and what the forecast aims at so that it comes to that."""

    target: float
    alpha: float


@dataclass(frozen=True, slots=True)
class Losses:
    """Rolling means of the pinball loss, in sessions, of the model alone and of "nothing changes", over ``judged``.

    ``credit`` rises by what the model was better by, minute by minute, and falls by what it was worse by: 1 is the most
    that counts, and without any the model has no say.
    """

    judged: int = 0
    own: float = 0.0
    persistence: float = 0.0
    credit: float = 0.5


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How many arrivals the share of served ones is a rolling mean of."""

    seen: float = 0.0
    served: float = 1.0


@dataclass(frozen=True, slots=True)
class Who:
    """Whether the forecast has a say, since when; the last doubt about it, and since when there is none."""

    acts: bool
    since: int
    doubt: Doubt
    good_since: int | None


@dataclass(frozen=True, slots=True)
class Notes:
    """All of it. ``loads`` are of the minutes up to ``minute``, oldest first; ``None`` where they are not known.

    ``waited`` is the last minute in which somebody had waited for long.
    """

    aim: Aim
    minute: int | None = None
    loads: tuple[float | None, ...] = ()
    forecasts: tuple[Forecast, ...] = ()
    losses: Losses = Losses()
    arrivals: Arrivals = Arrivals()
    judged: Judged | None = None
    who: Who | None = None
    waited: int | None = None

    @classmethod
    def of(cls, memory: Memory, target: float) -> "Notes":
        """Read the memory; what was scored for another target begins anew."""
        alone = _numbers(memory, "minute")
        minute = None if len(alone) != 1 or alone[0] is None else int(alone[0])
        if minute is None:
            return cls(Aim(target, target))
        return cls(
            _aim(memory, target),
            minute,
            tuple([load if load is not None and 0 <= load <= MOST else None for load in memory.get("loads", ())]),
            tuple(_forecasts(memory)),
            _losses(memory, target),
            _arrivals(memory, target),
            _judged(memory),
            _who(memory),
            _waited(memory),
        )

    def memory(self) -> Memory:
        """As numbers by name."""
        named: dict[str, tuple[float | None, ...]] = {
            "loads": self.loads,
            "forecasts": tuple(number for one in self.forecasts for number in _row(one)),
            "alpha": (self.aim.alpha, self.aim.target),
            "losses": (
                float(self.losses.judged),
                self.losses.own,
                self.losses.persistence,
                self.losses.credit,
                self.aim.target,
            ),
            "arrivals": (self.arrivals.seen, self.arrivals.served, self.aim.target),
        }
        if self.minute is not None:
            named["minute"] = (float(self.minute),)
        if self.waited is not None:
            named["waited"] = (float(self.waited),)
        if self.judged is not None:
            named["judged"] = (*_row(self.judged.forecast), self.judged.realised)
        if self.who is not None:
            good_since = None if self.who.good_since is None else float(self.who.good_since)
            named["who"] = (float(self.who.acts), float(self.who.since), float(self.who.doubt), good_since)
        return named


def target_of(memory: Memory) -> float | None:
    """The share of arrivals that may be missed by what was scored, ``None`` where it is not the learned policy's."""
    aimed = _record(memory, "alpha", 2)
    return aimed[1] if aimed else None


def minute_of(at: datetime) -> int:
    """The minute a time belongs to: the one that ends then, or next."""
    return math.ceil(at.timestamp() / 60)


def time_of(minute: int) -> datetime:
    """When a minute ends."""
    return datetime.fromtimestamp(minute * 60.0, UTC)


def _row(forecast: Forecast) -> tuple[float, ...]:
    return float(forecast.minute), forecast.low, forecast.high, forecast.alone


def _numbers(memory: Memory, name: str) -> tuple[float | None, ...]:
    # Refuses NaN too.
    return tuple([number if number is not None and abs(number) <= MOST else None for number in memory.get(name, ())])


def _record(memory: Memory, name: str, width: int) -> tuple[float, ...]:
    """So many numbers, or none at all."""
    numbers = tuple(number for number in _numbers(memory, name) if number is not None)
    return numbers if len(numbers) == width == len(memory.get(name, ())) else ()


def _forecasts(memory: Memory) -> Iterator[Forecast]:
    numbers = _numbers(memory, "forecasts")
    for row in zip(numbers[::4], numbers[1::4], numbers[2::4], numbers[3::4], strict=False):
        minute, *sessions = [number for number in row if number is not None] or (0.0,)
        if len(sessions) == 3:  # noqa: PLR2004 - low, high and alone
            yield Forecast(int(minute), *sessions)


def _aim(memory: Memory, target: float) -> Aim:
    aimed = _record(memory, "alpha", 2)
    return Aim(target, aimed[0] if aimed and aimed[1] == target and 0 < aimed[0] < 1 else target)


def _losses(memory: Memory, target: float) -> Losses:
    numbers = _record(memory, "losses", 5)
    if not numbers or numbers[4] != target or min(numbers) < 0:
        return Losses()
    return Losses(int(numbers[0]), numbers[1], numbers[2], min(1.0, numbers[3]))


def _arrivals(memory: Memory, target: float) -> Arrivals:
    numbers = _record(memory, "arrivals", 3)
    if not numbers or numbers[2] != target or not (numbers[0] >= 0 and 0 <= numbers[1] <= 1):
        return Arrivals()
    return Arrivals(numbers[0], numbers[1])


def _judged(memory: Memory) -> Judged | None:
    numbers = _record(memory, "judged", 5)
    return Judged(Forecast(int(numbers[0]), *numbers[1:4]), numbers[4]) if numbers else None


def _waited(memory: Memory) -> int | None:
    waited = _record(memory, "waited", 1)
    return int(waited[0]) if waited else None


def _who(memory: Memory) -> Who | None:
    numbers = _numbers(memory, "who")
    if len(numbers) != 4:  # noqa: PLR2004 - as written above
        return None
    acts, since, doubt, good_since = numbers
    if acts is None or since is None or doubt is None or doubt not in set(Doubt):
        return None
    return Who(bool(acts), int(since), Doubt(int(doubt)), None if good_since is None else int(good_since))
