"""Policies over the windows of the past, beside each other and beside what was really done."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from autoscaler.core.guards import unknown_reason
from autoscaler.core.rules import Rules
from autoscaler.model import Decision, Facility, Orders, Window
from autoscaler.service.past import Past, beginning
from autoscaler.simulation.replay import Replay
from autoscaler.simulation.side_by_side import (
    Course,
    Held,
    Moment,
    Moments,
    Moved,
    Stretch,
    held_after,
    proof_moved_mib,
)


@dataclass(frozen=True, slots=True)
class Side:
    """One configuration: its hosts, and how it decides."""

    facility: Facility
    rules: Rules


@dataclass(slots=True)
class Review:
    """What each side came to, then what was really done, and the moments where the first two of these differ.

    ``unknown_cycles`` counts those in which a signal that a policy needs was unknown, by signal and problem,
    ``ordered_cycles`` those in which people or alerts had said something, which every side heeds.
    """

    sides: list[Course]
    done: Course = field(default_factory=Course)
    moments: list[Moment] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    unknown_cycles: Counter[tuple[str, str]] = field(default_factory=Counter)
    ordered_cycles: int = 0


def review(
    sides: Sequence[Side], windows: Iterable[Window], past: Past, start: datetime, interval: timedelta
) -> Review:
    """Replay every side over the same windows, one each ``interval`` from ``start``; the past has not moved beyond yet.

    Two sides are compared with each other, a single one with what was really done.
    """
    past.move_to(start)
    found = Review([Course() for _ in sides])
    runs = [_Run.begun(side, past, found.assumed) for side in sides]
    moments, at = Moments(), start
    for window in windows:
        at = window.now
        done = past.move_to(at)
        found.ordered_cycles += past.orders != Orders() or past.tunings != ()
        stretches = [run.step(window, past) for run in runs]
        for course, stretch in zip([*found.sides, found.done], [*stretches, done], strict=True):
            course.add(stretch, interval)
        one, two = [*stretches, done][:2]
        found.moments += moments.add(at, one, two)
        _count_unknown(found.unknown_cycles, window, sides)
    found.moments += moments.end(at + interval)
    found.moments.sort(key=lambda moment: (moment.begin, moment.host))
    return found


@dataclass(slots=True)
class _Run:
    """One side on its way through the past."""

    side: Side
    replay: Replay
    held: Mapping[str, Held] = field(default_factory=dict)

    @classmethod
    def begun(cls, side: Side, past: Past, assumed: list[str]) -> "_Run":
        begun = beginning(side.facility, past)
        assumed += [each for each in begun.assumed if each not in assumed]
        return cls(side, Replay(side.facility, side.rules, begun.hosts, begun.timers))

    def step(self, window: Window, past: Past) -> Stretch:
        rules = self.side.rules
        decision = self.replay.step(window, past.seen, past.orders, past.tunings)
        self.held = held_after(decision, self.held)
        unknown = unknown_reason(window, rules.policy.signals, rules.limits) is not None
        return Stretch(self.held, self._moved(decision), unknown)

    def _moved(self, decision: Decision) -> tuple[Moved, ...]:
        return tuple(
            Moved(transfer.host, proof_moved_mib(transfer, self.side.facility.host(transfer.host).proof.name))
            for transfer in decision.transfers
            if transfer.workers_from != transfer.workers_to
        )


def _count_unknown(counts: Counter[tuple[str, str]], window: Window, sides: Sequence[Side]) -> None:
    unknown = {
        name: None
        for side in sides
        for name in side.rules.policy.signals
        if unknown_reason(window, (name,), side.rules.limits) is not None
    }
    for name in unknown:
        counts[name, window.signal(name).problem or "older than guards.fresh_for"] += 1
