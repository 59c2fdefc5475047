"""All that is to happen in a soak, made of its seed: load, use, faults, clock steps, restarts, kills, sessions, alerts.

Times are true seconds since the begin. What a restarted process needs to go on is the time alone.
"""

import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property

BEGIN = datetime(2026, 3, 28, tzinfo=UTC)  # the clocks of Europe change in the second night
HOUR_S, DAY_S = 3600.0, 86400.0

# Of each edge's time, and how long it is down at once.
DOWN_SHARE = 0.05
DOWN_S = 600.0
# A few stretches are so many times as long: hours, in which the controller goes to the safe split.
LONG_SHARE, LONG = 0.03, 20
RAISES_SHARE = 0.005
STUCK_SHARE = 0.02

RESTARTS_PER_DAY = 2.0
KILLS_PER_DAY = 24.0
STEPS_PER_DAY = 1.5
FIRINGS_PER_DAY = 24.0
# So much of the soak one process lives on, so that it can be seen whether it grows.
STEADY_SHARE = 0.3
# At the end nothing fails, nobody works, and everything is to come to rest.
REST_S = 2 * HOUR_S

# Of the sessions every second one is announced, so long before it is opened.
ANNOUNCED_S = 60.0

# So often Alertmanager says the same again, also after an alert is over.
REPEAT_S = 300
REPEATS_RESOLVED = 3


class Edge(StrEnum):
    """What can be down; hosts go by their names."""

    SOURCE = "source"
    SOURCE_RAISES = "source raises"
    STORE = "store"
    WEBHOOK = "webhook"


class Kill(StrEnum):
    """Where a process is killed."""

    TRANSFER = "between a transfer's calls and its entries into the ledger"
    RECORD = "between a statement to the store and its commit"
    ANYWHERE = "whatever it does"


@dataclass(frozen=True, slots=True)
class PlannedKill:
    """A kill at the ``after``-th instant of its kind after this time."""

    at_s: float
    kind: Kill
    after: int


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that fires for a time."""

    number: int
    severity: str
    begin_s: float
    end_s: float

    @property
    def name(self) -> str:
        """What tells it from others."""
        return f"Soak{self.number}"


Stretches = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Plan:
    """What happens in so many days; ``hosts`` are their names."""

    days: float
    seed: int
    hosts: tuple[str, ...]

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.days * DAY_S

    @property
    def steady_s(self) -> float:
        """From when on one process lives."""
        return self.end_s * (1 - STEADY_SHARE)

    @property
    def rest_s(self) -> float:
        """From when on nothing happens any more."""
        return max(self.end_s - REST_S, self.steady_s)

    def down(self, edge: str, at_s: float) -> int | None:
        """The number of the stretch in which an edge is down, ``None`` while it is up."""
        return within(self._down[edge], at_s)

    def stuck(self, host: str, at_s: float) -> bool:
        """Whether the balloons of a host do not move."""
        return within(self._stuck[host], at_s) is not None

    def clock_offset_s(self, at_s: float) -> float:
        """By how much the controller's clock is wrong."""
        steps = self._steps
        number = bisect_right(steps, at_s, key=lambda step: step[0])
        return steps[number - 1][1] if number else 0.0

    def sessions(self, at_s: float) -> tuple[int, int]:
        """How many sessions wait, and how many run."""
        here = [(begin, wait, end) for begin, wait, end in self._sessions if begin <= at_s < end]
        queued = sum(at_s < wait for _, wait, _ in here)
        return queued, len(here) - queued

    def announced(self, at_s: float, step_s: float) -> list[int]:
        """The numbers of the sessions that are announced in the step up to this time."""
        due = enumerate(begin - ANNOUNCED_S for begin, _, _ in self._sessions)
        return [number for number, due_s in due if number % 2 == 0 and at_s - step_s < due_s <= at_s]

    def used_mib(self, domain: str, at_s: float) -> int | None:
        """What a Worker Node uses; sometimes it does not tell."""
        rng = self._random(f"{domain} uses {int(at_s // (HOUR_S / 2))}")
        return None if rng.random() < 0.03 and at_s < self.rest_s else rng.randint(300, 3500)

    @cached_property
    def restarts(self) -> list[float]:
        """When the controller is stopped and started again."""
        return list(self._moments("restarts", RESTARTS_PER_DAY, self.rest_s))

    @cached_property
    def kills(self) -> list[PlannedKill]:
        """When the controller is killed; no more in the steady part."""
        rng = self._random("kills")
        moments = self._moments("kill times", KILLS_PER_DAY, self.steady_s)
        return [PlannedKill(at_s, rng.choice((Kill.TRANSFER, *Kill)), rng.randint(1, 40)) for at_s in moments]

    @cached_property
    def firings(self) -> list[Firing]:
        """The alerts; some begin at the same time."""
        rng = self._random("firings")
        made: list[Firing] = []
        for at_s in self._moments("firing times", FIRINGS_PER_DAY / 2, self.rest_s - HOUR_S):
            for _ in range(rng.choice((1, 1, 1, 5))):
                severity = rng.choice(("boost", "boost", "cap", "freeze-grow", "freeze-shrink", "nothing"))
                made.append(Firing(len(made), severity, at_s, at_s + rng.expovariate(1 / 1800)))
        return made

    def told(self, at_s: float, step_s: float) -> list[tuple[Firing, bool]]:
        """What Alertmanager tells in the step up to this time, and whether that fires; old ones are told, too."""
        told = []
        for firing in self.firings:
            over_s = firing.end_s + REPEATS_RESOLVED * REPEAT_S
            if firing.begin_s <= at_s < over_s and (at_s - firing.begin_s) % REPEAT_S < step_s:
                told.append((firing, at_s < firing.end_s))
        rng = self._random(f"replay {int(at_s // step_s)}")
        past = [firing for firing in self.firings if firing.end_s < at_s]
        if past and rng.random() < 0.02:
            told.append((rng.choice(past), True))
        return told

    @cached_property
    def _down(self) -> Mapping[str, Stretches]:
        edges = (Edge.SOURCE, Edge.STORE, Edge.WEBHOOK, *self.hosts)
        down = {str(edge): self._stretches(edge, DOWN_SHARE, DOWN_S) for edge in edges}
        return {**down, Edge.SOURCE_RAISES: self._stretches(Edge.SOURCE_RAISES, RAISES_SHARE, 3 * DOWN_S)}

    @cached_property
    def _stuck(self) -> Mapping[str, Stretches]:
        return {host: self._stretches(f"{host} stuck", STUCK_SHARE, 1800.0) for host in self.hosts}

    @cached_property
    def _steps(self) -> list[tuple[float, float]]:
        """NTP's small corrections, and hours that somebody finds and puts right."""
        rng, steps = self._random("clock"), []
        for at_s in self._moments("clock times", STEPS_PER_DAY, self.rest_s - HOUR_S):
            if rng.random() < 0.5:
                steps.append((at_s, rng.uniform(-2, 2)))
            else:
                wrong_for_s = min(rng.expovariate(1 / 1200), HOUR_S)
                steps += [(at_s, rng.choice((-1, 1)) * rng.uniform(60, 5 * HOUR_S)), (at_s + wrong_for_s, 0.0)]
        return sorted(steps)

    @cached_property
    def _sessions(self) -> list[tuple[float, float, float]]:
        """Begin, end of the wait and end of each session; few at night, some at once."""
        rng, made = self._random("sessions"), []
        for at_s in self._moments("session times", 40, self.rest_s - HOUR_S):
            busy = 7 <= at_s % DAY_S / HOUR_S < 20
            if busy or rng.random() < 0.2:
                waits_s = rng.uniform(0, 300)
                made.append((at_s, at_s + waits_s, at_s + waits_s + min(rng.expovariate(1 / 1500), HOUR_S / 2)))
        return made

    def _stretches(self, name: str, share: float, mean_s: float) -> Stretches:
        rng, at_s, made = self._random(name), 0.0, []
        up_s = mean_s * (1 + LONG_SHARE * (LONG - 1)) * (1 - share) / share
        while True:
            at_s += rng.expovariate(1 / up_s)
            end_s = at_s + rng.expovariate(1 / mean_s) * (LONG if rng.random() < LONG_SHARE else 1)
            if end_s >= self.rest_s:
                return made
            made.append((at_s, end_s))
            at_s = end_s

    def _moments(self, name: str, per_day: float, until_s: float) -> Iterator[float]:
        rng, at_s = self._random(name), 0.0
        while (at_s := at_s + rng.expovariate(per_day / DAY_S)) < until_s:
            yield at_s

    def _random(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")


def within(stretches: Stretches, at_s: float) -> int | None:
    """The number of the stretch that holds a time."""
    number = bisect_right(stretches, at_s, key=lambda stretch: stretch[0]) - 1
    return number if number >= 0 and at_s < stretches[number][1] else None


def as_time(at_s: float) -> datetime:
    """A time by the right clock."""
    return BEGIN + timedelta(seconds=at_s)
