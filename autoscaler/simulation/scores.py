"""How well policies would have met the load that came: the acting one and its shadows, over decisions that were made.

A demand is held against the load that is there once it could be in effect, a ``reaction`` later. Nothing is played:
what a policy would have changed for the sessions themselves (fewer that wait) only the facility model tells.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from autoscaler.core.voices import ACTING
from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Decision, Demand


@dataclass(slots=True)
class Score:
    """One policy's account; sums over the time in which both the load and what it wanted are known.

    ``arrivals`` are sessions that came, ``missed`` those of them for which it had wanted too few workers a reaction
    before; ``spare_worker_s`` are worker seconds wanted beyond the load; ``holds`` are decisions to hold, which count
    as what it wanted before; ``errors`` those in which it raised.
    """

    name: str
    policy: str
    known_s: float = 0.0
    arrivals: float = 0.0
    missed: float = 0.0
    spare_worker_s: float = 0.0
    changes: int = 0
    holds: int = 0
    errors: int = 0
    _wanted: int | None = None
    _past: list[tuple[datetime, int]] = field(default_factory=list)

    @property
    def missed_ratio(self) -> float | None:
        """The share of the arrivals that it missed, ``None`` without any."""
        return self.missed / self.arrivals if self.arrivals else None

    @property
    def spare_workers_mean(self) -> float | None:
        """Workers wanted beyond the load, in the mean over time."""
        return self.spare_worker_s / self.known_s if self.known_s else None

    @property
    def changes_per_day(self) -> float | None:
        """How often what it wants changed."""
        return self.changes * timedelta(days=1).total_seconds() / self.known_s if self.known_s else None

    def want(self, at: datetime, demand: Demand, *, failed: bool) -> None:
        """Take a demand."""
        self.errors += failed
        if demand.workers is None:
            self.holds += not failed
            return
        wanted = demand.workers if demand.may_shrink else max(demand.workers, self._wanted or 0)
        self.changes += self._wanted is not None and wanted != self._wanted
        self._wanted = wanted
        self._past.append((at, wanted))

    def fall_silent(self) -> None:
        """It is not asked any more, or nobody knows what was: what it wanted does not count from here on."""
        self._past.clear()

    def wanted_at(self, at: datetime) -> int | None:
        """What it wanted then; older demands are forgotten."""
        while len(self._past) > 1 and self._past[1][0] <= at:
            self._past.pop(0)
        return self._past[0][1] if self._past and self._past[0][0] <= at else None


class Scores:
    """Adds decisions up, in the order of time; a session needs ``workers_per_session``."""

    def __init__(self, workers_per_session: int, reaction: timedelta, gap: timedelta) -> None:
        self._workers = workers_per_session
        self._reaction, self._gap = reaction, gap
        self._scores: dict[tuple[str, str], Score] = {}
        self._before: tuple[datetime, float | None] | None = None

    def __iter__(self) -> Iterator[Score]:
        """The scores; a policy with other parameters is another one, with another model it is the same."""
        return iter(self._scores.values())

    def add(self, decision: Decision) -> None:
        """One more decision. Over more than ``gap`` without any, nothing is known."""
        load = _load(decision)
        if self._before is not None and self._before[0] < decision.at <= self._before[0] + self._gap:
            self._judge(decision.at, load, *self._before)
        elif self._before is not None:
            self._silence(())
        failed = decision.policy_error is not None
        spoke = [self._heard(ACTING, decision.policy, decision.at, decision.demand, failed=failed)]
        for each in decision.opinions:
            failed = each.error is not None
            spoke.append(self._heard(each.name, each.policy, decision.at, each.demand, failed=failed))
        self._silence(spoke)
        self._before = decision.at, load

    def _heard(self, name: str, policy: str, at: datetime, demand: Demand, *, failed: bool) -> tuple[str, str]:
        key = name, policy
        self._scores.setdefault(key, Score(*key)).want(at, demand, failed=failed)
        return key

    def _silence(self, but: Collection[tuple[str, str]]) -> None:
        for key, score in self._scores.items():
            if key not in but:
                score.fall_silent()

    def _judge(self, at: datetime, load: float | None, before: datetime, load_before: float | None) -> None:
        if load is None or load_before is None:
            return
        came = max(0.0, load - load_before)
        for score in self._scores.values():
            wanted = score.wanted_at(at - self._reaction)
            if wanted is None:
                continue
            score.known_s += (at - before).total_seconds()
            score.spare_worker_s += max(0.0, wanted - load * self._workers) * (at - before).total_seconds()
            score.arrivals += came
            score.missed += min(came, max(0.0, load - wanted / self._workers))


def _load(decision: Decision) -> float | None:
    window = decision.situation.window
    queued, running = window.latest(PROOF_QUEUED_SESSIONS), window.latest(PROOF_RUNNING_SESSIONS)
    return None if queued is None or running is None else queued + running
