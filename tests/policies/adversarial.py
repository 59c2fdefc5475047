"""Episodes made to fool a forecast, played in the facility model beside the threshold rule; also for benchmarks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

import numpy as np

from autoscaler.contracts import Policy, Remembering
from autoscaler.learning.features import FEATURES, Floats
from autoscaler.model import Demand, Memory, Sample, Window
from autoscaler.simulation.figures import figures
from autoscaler.simulation.scenario import Scenario
from autoscaler.simulation.simulate import simulate
from autoscaler.simulation.workload import Job, Session, Workload
from policies.learned import Learned
from policies.threshold import Threshold
from tests.simulation.plant import a_scenario

# The last Sunday of October: at 01:00 UTC clocks go back in Europe.
START = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)
HOUR_S = 3600.0
WORKERS = 4
_BOUND = np.full(len(FEATURES), 1e6)


def _regular(hours: float, every_s: float = 1800.0, run_s: float = 900.0, begin_h: float = 0.0) -> list[Session]:
    """One session after the other, each away before the next comes."""
    return [Session(begin_h * HOUR_S + at_s, run_s, WORKERS) for at_s in np.arange(600.0, hours * HOUR_S, every_s)]


def _flood(hours: float) -> list[Session]:
    """A thousand short sessions at once, in the middle."""
    flood = [Session(hours / 2 * HOUR_S + each / 10, 60.0, WORKERS) for each in range(1000)]
    return sorted([*_regular(hours), *flood], key=lambda session: session.submit_s)


def _step(hours: float) -> list[Session]:
    """Three times as many from the middle on."""
    return [*_regular(hours / 2), *_regular(hours / 2, every_s=600.0, run_s=1500.0, begin_h=hours / 2)]


# What comes in so many hours.
EPISODES: Mapping[str, Callable[[float], list[Session]]] = {
    "regular": _regular,
    "step": _step,
    "flood": _flood,
    "holidays": lambda hours: _regular(hours / 4),
    "constant": lambda hours: [Session(60.0, hours * HOUR_S, WORKERS)],
    "zeros": lambda _hours: [],
}


@dataclass
class Fooling:
    """A forecaster that says at all levels what ``growth`` says of the load's features."""

    growth: Callable[[Mapping[str, float]], float]
    levels: tuple[float, ...] = (0.5, 0.95)
    horizon_min: int = 2
    features: tuple[str, ...] = FEATURES
    low: Floats = field(default_factory=lambda: -_BOUND)
    high: Floats = field(default_factory=lambda: _BOUND)

    def predict(self, row: Floats) -> Floats:
        """The same at both levels."""
        return np.full(2, self.growth(dict(zip(FEATURES, row.tolist(), strict=True))))


# Models that are bad, each in its way.
BAD: Mapping[str, Callable[[Mapping[str, float]], float]] = {
    "too many": lambda _features: 4.0,
    "a few too many": lambda _features: 0.5,
    "too few": lambda _features: -9.0,
    "the opposite": lambda features: -2.0 * features["change_5min"],
    "by the hour": lambda features: 6.0 * features["hour_sine"],
    # Worth it in the first ten hours, in which it earns its say.
    "turns bad": lambda features: 1.0 if 12 <= features["hour"] < 22 else 6.0,
    "not a number": lambda _features: float("nan"),
    "none": lambda _features: 1 / 0,
}


@dataclass(frozen=True)
class Altered:
    """A policy that sees each window otherwise than it is."""

    policy: Policy
    seen: Callable[[Window], Window]
    timeless: ClassVar[bool] = False

    @property
    def signals(self) -> tuple[str, ...]:
        """Those of the policy."""
        return self.policy.signals

    @property
    def heeds(self) -> tuple[str, ...]:
        """Those of the policy."""
        heeds: tuple[str, ...] = getattr(self.policy, "heeds", ())
        return heeds

    @property
    def history(self) -> timedelta:
        """That of the policy."""
        return self.policy.history

    def decide(self, window: Window) -> Demand:
        """Ask the policy with what can be seen."""
        return self.policy.decide(self.seen(window))

    def remember(self, window: Window, demand: Demand) -> Memory:
        """Ask the policy with what can be seen."""
        return self.policy.remember(self.seen(window), demand) if isinstance(self.policy, Remembering) else {}


def unread(begin: datetime, end: datetime) -> Callable[[Window], Window]:
    """Nothing is seen between two times, as when no exporter can be read."""

    def seen(window: Window) -> Window:
        return _with_samples(window, lambda at: replace(at, value=None) if begin <= at.at < end else at)

    return seen


def clock_set(at: datetime, by: timedelta) -> Callable[[Window], Window]:
    """The machine's clock is set at a time; what was read before keeps the time that it was read at."""

    def seen(window: Window) -> Window:
        if window.now < at:
            return window
        moved = _with_samples(window, lambda each: replace(each, at=each.at + by) if each.at >= at else each)
        return replace(moved, now=window.now + by)

    return seen


def _with_samples(window: Window, made: Callable[[Sample], Sample]) -> Window:
    series = tuple(replace(each, samples=tuple(map(made, each.samples))) for each in window.series)
    return replace(window, series=series)


def scenario() -> Scenario:
    """Three machines that are full of batch jobs."""
    return a_scenario(hosts=3)


def workload(episode: str, hours: float) -> Workload:
    """The sessions of an episode beside batch jobs for all cores."""
    jobs = tuple(Job(0.0, hours * HOUR_S, memory_mib=700) for _ in range(24))
    return Workload(START, hours * HOUR_S, tuple(EPISODES[episode](hours)), jobs)


def fooled(growth: Callable[[Mapping[str, float]], float]) -> Learned:
    """The learned policy with such a model; all else is as the threshold rule has it.

    Its price of idling is that of a full farm, which these machines are.
    """
    model = {"forecaster": Fooling(growth), "trained_until": START, "zone": ZoneInfo("Europe/Rome")}
    return Learned(WORKERS, idle_core_seconds=0.4, **model)


def rule() -> Threshold:
    """What it is compared with."""
    return Threshold(WORKERS)


def cost(policy: Policy, played: Workload) -> float:
    """Core hours that waiting and lost batch work came to."""
    found = figures(simulate(scenario(), played, policy, "policy"), scenario())["cost"]
    assert isinstance(found, float)
    return found
