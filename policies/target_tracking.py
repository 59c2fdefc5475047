"""Keep the share of workers that sessions use at a target, and shrink only to the recent most: Kubernetes' HPA."""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import ClassVar

from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Demand, Window
from policies.load import Load, minutes, recent_loads

# 7 / 0.7 is a little more than 10 to a computer, and would be 11 workers; 1.1 - 1 is a little more than 0.1.
_ROUNDING = 1e-9

_DESIRED = itemgetter(1)


@dataclass(frozen=True, slots=True)
class TargetTracking:
    """The HPA's ``desired = ceil(current * metric / target)`` for the workers that sessions want.

    ``use = workers wanted by queued and running sessions / current workers`` is the metric, so that
    ``desired = ceil(wanted / target_utilisation)``: how the HPA counts an external metric with a target per replica.

    - use within ``tolerance`` of the target: the recommendation is the current workers;
    - recommendation above the current workers: grow to it at once;
    - below: shrink to the highest recommendation of the last ``stabilisation``.

    What the current workers are is not in the window, so the rule is played anew over the last two stabilisation times.
    It begins with the highest ``ceil(wanted / target_utilisation)`` of the first of them: what an HPA without tolerance
    would have then. A difference to an HPA that ran for longer is at most its tolerance. A gap in the last
    ``stabilisation`` takes nothing away, as an HPA with a missing metric does not shrink.

    From kubernetes/kubernetes, pkg/controller/podautoscaler (tolerance 10 %, stabilisation down 300 s, up 0 s, target
    80 %). Left out: its limit on growth, +100 % or +4 in 15 s, which would only make it later.

    Not for queries that wait for one worker more: what is within the tolerance is never added.
    """

    signals: ClassVar[tuple[str, ...]] = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS)
    timeless: ClassVar[bool] = True

    workers_per_session: int = 8
    target_utilisation: float = 0.8
    tolerance: float = 0.1
    stabilisation: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        """Refuse targets that no facility can have: raises ``ValueError``."""
        if self.workers_per_session < 1:
            raise ValueError("workers_per_session must be 1 or more")
        if not 0 < self.target_utilisation <= 1:  # refuses NaN too
            raise ValueError("target_utilisation must be more than 0 and at most 1")
        if not 0 <= self.tolerance < 1:
            raise ValueError("tolerance must be 0 or more and less than 1")
        if self.stabilisation <= timedelta(0):
            raise ValueError("stabilisation must be longer than 0s")

    @property
    def history(self) -> timedelta:
        """The stabilisation time, and once more as much for the workers there were at its beginning."""
        return 2 * self.stabilisation

    def decide(self, window: Window) -> Demand:
        """Play the rule over the recent past; where that is not known, the newest values say the least."""
        queued, running = window.latest(PROOF_QUEUED_SESSIONS), window.latest(PROOF_RUNNING_SESSIONS)
        if queued is None or running is None:
            return Demand(None, "PROOF load is unknown")
        least = self._desired(queued + running)
        load = f"{queued:g} queued and {running:g} running sessions want {least} workers"
        at_target = f"{load} at a use of {self.target_utilisation:.0%}"
        start = window.now - self.stabilisation
        past = recent_loads(window, self.history) or recent_loads(window, self.stabilisation) or []
        recent = [load for at, load in past if at >= start]
        if not recent or None in recent:
            reason = f"{at_target}, but the last {minutes(self.stabilisation)} are not fully known"
            return Demand(least, reason, may_shrink=False)
        workers = self._play(past, start)
        if workers == least:
            return Demand(workers, at_target)
        return Demand(workers, f"{at_target}; {workers} by the last {minutes(self.stabilisation)} and the tolerance")

    def _play(self, past: Iterable[Load], start: datetime) -> int:
        """The workers that the rule has at the end, when it has its first ones at ``start``."""
        loads = [(at, load) for at, load in past if load is not None]
        # Of many readings few are different.
        desired = {load: self._desired(load) for load in {load for _, load in loads}}
        advice = deque([(at, desired[load]) for at, load in loads if at < start])
        current = max(map(_DESIRED, advice), default=desired[loads[0][1]])
        for at, load in loads[len(advice) :]:
            advised = desired[load]
            if advised != current and self._tolerated(load, current):
                advised = current
            advice.append((at, advised))
            if advised < current:
                since = at - self.stabilisation
                while advice[0][0] <= since:
                    advice.popleft()
                current = min(current, max(map(_DESIRED, advice)))
            else:
                current = advised
        return current

    def _desired(self, sessions: float) -> int:
        return math.ceil(sessions * self.workers_per_session / self.target_utilisation - _ROUNDING)

    def _tolerated(self, sessions: float, current: int) -> bool:
        wanted = sessions * self.workers_per_session
        return current > 0 and abs(wanted / (self.target_utilisation * current) - 1) <= self.tolerance + _ROUNDING
