"""A replay as tables, and as JSON with everything."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rich.table import Table

from autoscaler.cli.common import local
from autoscaler.cli.dry_run_asked import Configured, only_in_one
from autoscaler.cli.tables import WAITING, console
from autoscaler.config.units import duration_text, seconds_text
from autoscaler.service.past import Past
from autoscaler.service.review import Review
from autoscaler.simulation.side_by_side import Course, Held, Moment, Tally

DONE = "really done"

MIB_PER_GIB = 1024
HOUR_S = 3600

# JSON names the sides by what they are, whatever their files are called.
SIDES = ("this", "against")


@dataclass(frozen=True, slots=True)
class Shown:
    """A replay of some configurations over so many cycles, with what was really done."""

    configured: Sequence[Configured]
    start: datetime
    interval: timedelta
    cycles: int
    past: Past
    found: Review

    @property
    def _names(self) -> list[str]:
        return [*(one.name for one in self.configured), DONE]

    @property
    def _courses(self) -> list[Course]:
        return [*self.found.sides, self.found.done]

    @property
    def _hosts(self) -> list[str]:
        return list(dict.fromkeys(host for one in self.configured for host in one.hosts))

    def print(self, limit: int) -> None:
        """Print the totals, then the newest moments."""
        out = console()
        end = self.start + self.cycles * self.interval
        every = f"{self.cycles} cycles, one every {duration_text(self.interval)}"
        out.print(f"replayed {local(self.start)} to {local(end)}: {every}")
        for each in self.configured:
            out.print(f"{each.file}: {each.policy}")
        out.print(self._totals())
        for sentence in self._sentences():
            out.print(sentence)
        moments = self.found.moments
        one, two = self._names[:2]
        if moments:
            out.print(self._moments(moments[-limit:], one, two))
        if len(moments) > limit:
            out.print(f"earlier moments that are not shown (--limit, --format json): {len(moments) - limit}")
        out.print(f"moments in which {one} and {two} differ: {len(moments) or 'none'}")
        brief = sum(each.end - each.begin <= self.interval for each in moments)
        if two == DONE and brief:
            out.print(
                f"{brief} of them last one cycle: the controller decided between two replayed cycles, and may have "
                "seen the same a moment earlier or later"
            )
        out.print("nothing was changed")

    def _totals(self) -> Table:
        table = Table("Host", "By", "Changes", "GiB moved", "Worker-hours granted", "Awake")
        for host in self._hosts:
            self._add(table, host, [course.hosts.get(host) for course in self._courses])
        if len(self._hosts) > 1:
            self._add(table, "all", [course.total for course in self._courses])
        return table

    def _add(self, table: Table, host: str, tallies: Sequence[Tally | None]) -> None:
        for number, (name, tally) in enumerate(zip(self._names, tallies, strict=True)):
            cells = [WAITING] * 4
            if tally is not None:
                worker_h, moved_gib = tally.granted_worker_s / HOUR_S, tally.moved_mib / MIB_PER_GIB
                cells = [str(tally.changes), f"{moved_gib:.1f}", f"{worker_h:.1f}", seconds_text(tally.awake_s)]
            table.add_row(host if number == 0 else "", name, *cells)

    def _sentences(self) -> Iterator[str]:
        """What a reader of the totals must know besides."""
        yield from only_in_one(self.configured)
        for host in sorted(self.past.strangers):
            yield f"{host} is in the store and not configured: left out"
        whole_s = self.cycles * self.interval.total_seconds()
        done = self.found.done
        if done.known_s < whole_s:
            missing = seconds_text(whole_s - done.known_s)
            yield (
                f"{DONE}: the store has no cycles of {missing}, which are not counted there; nor does it know of "
                "pauses, overrides and alerts then"
            )
        if self.found.ordered_cycles:
            heeded = seconds_text(self.found.ordered_cycles * self.interval.total_seconds())
            yield f"what people ordered and alerts changed is heeded as it was: something was in force for {heeded}"
        for name, course in zip(self._names, self._courses, strict=True):
            if course.unknown_signals_s:
                yield f"{name}: a needed signal was unknown for {seconds_text(course.unknown_signals_s)}"
        for (signal, problem), cycles in self.found.unknown_cycles.items():
            yield f"  {signal}, {seconds_text(cycles * self.interval.total_seconds())}: {problem}"
        yield from (f"assumed: {each}" for each in self.found.assumed)
        yield from (each.problem for each in self.past.unreadable)
        if self.past.unreadable:
            yield f"decisions that cannot be read: {len(self.past.unreadable)}"

    def _moments(self, moments: Sequence[Moment], one: str, two: str) -> Table:
        table = Table("Host", "From", "To", one, two, f"Why {one}", f"Why {two}")
        for each in moments:
            workers = str(each.one.workers), str(each.two.workers)
            table.add_row(each.host, local(each.begin), local(each.end), *workers, each.one.reason, each.two.reason)
        return table

    def values(self) -> dict[str, Any]:
        """Everything, with the units in the keys."""
        labels = [*SIDES[: len(self.configured)], "done"]
        one, two = labels[:2]
        return {
            "from": self.start.isoformat(),
            "to": (self.start + self.cycles * self.interval).isoformat(),
            "interval_s": self.interval.total_seconds(),
            "cycles": self.cycles,
            "configs": [
                {"side": side, "config": str(each.file), "policy": each.policy}
                for side, each in zip(labels, self.configured, strict=False)
            ],
            "totals": {side: self._course(course) for side, course in zip(labels, self._courses, strict=True)},
            "moments": [
                {
                    "host": each.host,
                    "from": each.begin.isoformat(),
                    "to": each.end.isoformat(),
                    one: _held(each.one),
                    two: _held(each.two),
                }
                for each in self.found.moments
            ],
            "unknown_signals": [
                {"signal": signal, "problem": problem, "unknown_s": cycles * self.interval.total_seconds()}
                for (signal, problem), cycles in self.found.unknown_cycles.items()
            ],
            "ordered_s": self.found.ordered_cycles * self.interval.total_seconds(),
            "only_in_one": list(only_in_one(self.configured)),
            "not_configured": sorted(self.past.strangers),
            "assumed": self.found.assumed,
            "unreadable": [each.problem for each in self.past.unreadable],
        }

    def _course(self, course: Course) -> dict[str, Any]:
        hosts = {host: _tally(course.hosts[host]) for host in self._hosts if host in course.hosts}
        spans = {"known_s": course.known_s, "unknown_signals_s": course.unknown_signals_s}
        return {**_tally(course.total), **spans, "hosts": hosts}


def _tally(tally: Tally) -> dict[str, float]:
    return {
        "changes": tally.changes,
        "moved_mib": tally.moved_mib,
        "granted_worker_s": tally.granted_worker_s,
        "awake_s": tally.awake_s,
    }


def _held(held: Held) -> dict[str, Any]:
    return {"workers": held.workers, "reason": held.reason}
