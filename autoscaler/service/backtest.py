"""How policies do on days that a model has not seen: in the open loop, or on the facility model with its batch jobs.

The first of them is judged: against each of the others, by weeks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal, Protocol

import numpy as np

from autoscaler.config.schema import LEAST_PAST
from autoscaler.contracts import Policy
from autoscaler.learning.card import Score
from autoscaler.service.minutes import MINUTE, Minutes
from autoscaler.simulation import contest, open_loop
from autoscaler.simulation.align import make_workload
from autoscaler.simulation.compare import Weekly, compare, weekly
from autoscaler.simulation.figures import figures
from autoscaler.simulation.local_time import MINUTE_S
from autoscaler.simulation.open_loop import Loads, Tell, Terms
from autoscaler.simulation.report.values import number
from autoscaler.simulation.scenario import Scenario
from autoscaler.simulation.stays import stays
from autoscaler.simulation.traces.trace import Trace, TraceError
from autoscaler.simulation.workload import Job, Session, Workload

COST = "cost_per_week"
JUDGED_SHARE = 0.4

NOBODY = np.zeros(1)

Policies = Mapping[str, Policy]


def split_of(count: int) -> int:
    """Where the judged days begin: the last share of all, at least the least where as much is left to learn from."""
    judged, least = int(JUDGED_SHARE * count), LEAST_PAST // MINUTE
    return count - (max(judged, least) if count >= 2 * least else judged)


class Judge(Protocol):
    """Plays policies on the minutes from ``split`` on, and tells how each did; ``notes`` say on what, in sentences."""

    loop: ClassVar[Literal["open", "closed"]]

    @property
    def notes(self) -> tuple[str, ...]:
        """What it is played on, and what of that is assumed."""
        ...

    def scores(self, policies: Policies, minutes: Minutes, split: int, tell: Tell) -> tuple[Score, ...]:
        """One score for each policy; ``tell`` is told the share that is done."""
        ...


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """What a policy wants is there a stated time later; it costs what the terms say."""

    loop: ClassVar[Literal["open", "closed"]] = "open"
    terms: Terms
    notes: tuple[str, ...] = ()

    def scores(self, policies: Policies, minutes: Minutes, split: int, tell: Tell) -> tuple[Score, ...]:
        """One score for each policy."""
        load = Loads(minutes.start, minutes.loads, split)
        played = [
            open_loop.play(label, policy, load, self.terms, partial(_tell_part, tell, place, len(policies)))
            for place, (label, policy) in enumerate(policies.items())
        ]
        return tuple(
            Score(
                each.policy,
                each.missed_arrivals_ratio,
                each.spare_workers_mean,
                each.changes_per_day,
                _cost(each.weeks),
                *verdict,
            )
            for each, verdict in zip(played, _verdicts([each.weeks for each in played]), strict=True)
        )


class Came(Protocol):
    """What came to the site: PROOF sessions and batch jobs."""

    def workload(self, minutes: Minutes, split: int) -> Workload:
        """What came from the minute ``split`` on; raises ``TraceError``."""
        ...


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """A facility with guards and transfers, whose batch jobs lose what PROOF takes.

    The learned policy begins as after a start: it has no say for the first hours.
    """

    loop: ClassVar[Literal["open", "closed"]] = "closed"
    scenario: Scenario
    came: Came
    notes: tuple[str, ...] = ()

    def scores(self, policies: Policies, minutes: Minutes, split: int, tell: Tell) -> tuple[Score, ...]:
        """One score for each policy; raises ``TraceError``, ``PolicyFailedError``."""
        workload = self.came.workload(minutes, split)
        tasks = [contest.Task(self.scenario, workload, policy, label) for label, policy in policies.items()]
        runs = contest.play(tasks, 1, tell)
        weeks = [weekly(run, self.scenario) for run in runs]
        rows = [figures(run, self.scenario) for run in runs]
        return tuple(
            Score(
                run.policy,
                number(row["missed_arrivals_ratio"]),
                number(row["spare_workers_mean"]) or 0.0,
                number(row["changes_per_day"]) or 0.0,
                _cost(own),
                *verdict,
            )
            for run, row, own, verdict in zip(runs, rows, weeks, _verdicts(weeks), strict=True)
        )


@dataclass(frozen=True, slots=True)
class OfTraces:
    """What was recorded, one by one. The minutes must be those of the ``sessions``.

    Who came in a minute that is not known, or excluded, does not come.
    """

    sessions: Trace[tuple[Session, ...]]
    jobs: Trace[tuple[Job, ...]]

    def workload(self, minutes: Minutes, split: int) -> Workload:
        """What came from the minute ``split`` on; raises ``TraceError``."""
        sessions = self._of_known_time(minutes)
        if not sessions:
            raise TraceError(f"{self.sessions.path}: has no session in the time that is known and not excluded")
        first_s = sessions[0].submit_s
        last_s = max(session.submit_s + session.run_s for session in sessions)
        from_s = (minutes.at(split) - self.sessions.start).total_seconds()
        share = min(max(0.0, (from_s - first_s) / max(last_s - first_s, 1.0)), 1.0)
        return make_workload(replace(self.sessions, content=sessions), self.jobs, piece=(share, 1.0)).workload

    def _of_known_time(self, minutes: Minutes) -> tuple[Session, ...]:
        begin_s = (minutes.start - self.sessions.start).total_seconds()
        places = [int((session.submit_s - begin_s) // MINUTE_S) for session in self.sessions.content]
        return tuple(
            session
            for session, place in zip(self.sessions.content, places, strict=True)
            if 0 <= place < len(minutes.loads) and not np.isnan(minutes.loads[place])
        )


@dataclass(frozen=True, slots=True)
class OfCounts:
    """What the minutes count: sessions of so many workers each, and batch jobs of so much memory each.

    What is not known lies between what was known before and after it.
    """

    workers_per_session: int
    job_memory_mib: int

    def workload(self, minutes: Minutes, split: int) -> Workload:
        """What came from the minute ``split`` on, and the batch jobs that ran then; without counts of these, none."""
        begin_s = split * MINUTE_S
        came, ran = stays(minutes.loads, minutes.queued), stays(minutes.jobs if minutes.jobs is not None else NOBODY)
        sessions = [
            Session(at_s - begin_s, run_s, self.workers_per_session)
            for at_s, run_s in zip(came.came_s.tolist(), came.run_s.tolist(), strict=True)
            if at_s >= begin_s
        ]
        jobs = [
            Job(max(at_s - begin_s, 0.0), run_s - max(begin_s - at_s, 0.0), memory_mib=self.job_memory_mib)
            for at_s, run_s in zip(ran.came_s.tolist(), ran.run_s.tolist(), strict=True)
            if at_s + run_s > begin_s
        ]
        duration_s = (len(minutes.loads) - split) * MINUTE_S
        return Workload(minutes.at(split), duration_s, tuple(sessions), tuple(jobs))


def _cost(weeks: Weekly) -> float:
    cost = weeks.shares[COST]
    return float(cost.part.sum() / max(cost.whole.sum(), 1e-9))


def _verdicts(weeks: Sequence[Weekly]) -> Iterator[tuple[Literal["better", "worse", "cannot tell"] | None, str]]:
    """The first one's verdict against each; none against itself."""
    own, *others = weeks
    yield None, ""
    for other in others:
        found = compare(own, other)[COST]
        yield found.verdict, found.reason


def _tell_part(tell: Tell, number: int, of: int, share: float) -> None:
    tell((number + share) / of)
