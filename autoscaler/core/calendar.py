"""What the calendar says: when there are at least or at most so many workers, and when hosts do not change.

Pure: the zones are values that the configuration has looked up. A time that the clocks leave out when summer begins is
taken by the offset before it, and of a time that they show twice when summer ends the first one, as in iCalendar
(RFC 5545, 3.3.5); so no window begins twice in one night.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from autoscaler.model import Demand, Direction

EVERY_DAY = frozenset(range(7))
MIDNIGHT = time(0)
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Hours:
    """From ``begin`` to ``end`` by the clocks of ``zone``, on these weekdays (Monday is 0) and dates.

    An end that is not after the begin is of the next day.
    """

    zone: tzinfo
    weekdays: frozenset[int] = EVERY_DAY
    first: date | None = None
    last: date | None = None
    begin: time = MIDNIGHT
    end: time = MIDNIGHT

    def hold(self, now: datetime) -> bool:
        """Whether it is within them."""
        today = now.astimezone(self.zone).date()
        return any(self._has(day) and self._covers(day, now.astimezone(UTC)) for day in (today - _A_DAY, today))

    def _has(self, day: date) -> bool:
        late_enough = self.first is None or day >= self.first
        return day.weekday() in self.weekdays and late_enough and (self.last is None or day <= self.last)

    def _covers(self, day: date, now: datetime) -> bool:
        last_day = day if self.end > self.begin else day + _A_DAY
        return self._instant(day, self.begin) <= now < self._instant(last_day, self.end)

    def _instant(self, day: date, at: time) -> datetime:
        # Two times of one zone would be compared by what their clocks show.
        return datetime.combine(day, at, self.zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """What holds in some hours, for ``hosts`` together or, with ``None``, for the whole facility.

    ``when`` and ``where`` are the hours and hosts as a person wrote them.
    """

    when: str
    hours: Hours
    hosts: frozenset[str] | None = None
    where: str = ""
    workers_min: int = 0
    workers_max: int | None = None
    frozen: frozenset[Direction] = frozenset()

    def limited(self, workers: int) -> int:
        """The nearest number of workers within the limits."""
        workers = max(workers, self.workers_min)
        return workers if self.workers_max is None else min(workers, self.workers_max)

    def in_words(self, workers: int) -> str:
        """How it limits so many workers."""
        bound = f"at least {self.workers_min}" if workers < self.workers_min else f"at most {self.workers_max}"
        where = f" on {self.where}" if self.where else ""
        return f"calendar: {bound} workers{where} ({self.when})"


@dataclass(frozen=True, slots=True)
class Freeze:
    """Which ways a host does not change now, each with the hours that say so."""

    growing: str | None = None
    shrinking: str | None = None

    def of(self, change: int) -> str | None:
        """The hours that forbid a change by so many workers."""
        if change == 0:
            return None
        return self.growing if change > 0 else self.shrinking

    def in_words(self) -> list[str]:
        """A sentence for each way."""
        ways = ("growing", self.growing), ("shrinking", self.shrinking)
        return [freeze_words(way, when) for way, when in ways if when is not None]


NO_FREEZE = Freeze()


def freeze_words(way: str, when: str) -> str:
    """One way in which a host does not change."""
    return f"{way} frozen ({when})"


def freezes_by_host(entries: Iterable[CalendarEntry], hosts: Iterable[str]) -> dict[str, Freeze]:
    """The freezes of these hosts, of every one that has some."""
    found: dict[str, Freeze] = {}
    freezing = [entry for entry in entries if entry.frozen]
    for host in hosts if freezing else ():
        for entry in (each for each in freezing if each.hosts is None or host in each.hosts):
            mine = found.get(host, NO_FREEZE)
            found[host] = Freeze(
                entry.when if Direction.GROW in entry.frozen else mine.growing,
                entry.when if Direction.SHRINK in entry.frozen else mine.shrinking,
            )
    return found


def limited_demand(demand: Demand, entries: Sequence[CalendarEntry]) -> Demand:
    """What a policy may want of the whole facility, with the reason; of contradicting entries the last one counts."""
    for entry in (each for each in entries if each.hosts is None):
        if demand.workers is not None and (workers := entry.limited(demand.workers)) != demand.workers:
            reason = f"{demand.reason}; {entry.in_words(demand.workers)}"
            demand = replace(demand, workers=workers, reason=reason)
    return demand
