"""Grow at once when sessions queue or run above a level, shrink only after an idle time: what an operator would do."""

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Demand, Window
from policies.load import minutes, recent_loads


@dataclass(frozen=True, slots=True)
class Threshold:
    """Two thresholds and an idle time, with memory of the recent peak.

    ``load = queued + running`` sessions; a session wants ``workers_per_session``.

    - queued above ``grow_queued`` or running above ``grow_running``: the workers of the highest load seen in the last
      ``idle``, so that a short dip takes nothing away; where that past is not fully known, at least as many;
    - load at or below ``shrink_load`` during all of the last ``idle``: the workers of that load;
    - anything between, or a gap in the last ``idle``: hold.

    Not for loads that repeat every few minutes with an idle time shorter than that: it would then pay every move twice.
    """

    signals: ClassVar[tuple[str, ...]] = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS)
    timeless: ClassVar[bool] = True

    workers_per_session: int = 8
    grow_queued: float = 0
    grow_running: float = 0
    shrink_load: float = 0
    idle: timedelta = timedelta(minutes=20)

    def __post_init__(self) -> None:
        """Refuse levels that contradict each other: raises ``ValueError``."""
        if self.workers_per_session < 1:
            raise ValueError("workers_per_session must be 1 or more")
        if not all(level >= 0 for level in (self.grow_queued, self.grow_running, self.shrink_load)):  # refuses NaN too
            raise ValueError("grow_queued, grow_running and shrink_load must be 0 or more")
        if self.shrink_load > self.grow_queued + self.grow_running:
            raise ValueError("shrink_load must not be above grow_queued + grow_running")
        if self.idle <= timedelta(0):
            raise ValueError("idle must be longer than 0s")

    @property
    def history(self) -> timedelta:
        """The idle time."""
        return self.idle

    def decide(self, window: Window) -> Demand:
        """Compare the newest values with the levels, then the recent past with the idle rule."""
        queued, running = window.latest(PROOF_QUEUED_SESSIONS), window.latest(PROOF_RUNNING_SESSIONS)
        if queued is None or running is None:
            return Demand(None, "PROOF load is unknown")
        load = f"{queued:g} queued and {running:g} running sessions"
        loads = recent_loads(window, self.idle)
        values = [value for _, value in loads or () if value is not None]
        peak = max([queued + running, *values])
        known = loads is not None and len(values) == len(loads)
        if queued > self.grow_queued or running > self.grow_running:
            reason = f"{load}, peak of the last {minutes(self.idle)} is {peak:g}"
            return Demand(self._workers(peak), reason, may_shrink=known)
        if not known:
            return Demand(None, f"{load}, but the last {minutes(self.idle)} are not fully known")
        if peak <= self.shrink_load:
            return Demand(self._workers(peak), f"{load}, idle for {minutes(self.idle)}")
        return Demand(None, f"{load}, not yet idle for {minutes(self.idle)}")

    def _workers(self, sessions: float) -> int:
        return math.ceil(sessions * self.workers_per_session)
