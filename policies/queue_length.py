"""As many workers as queued and running sessions ask for, and a cooldown before the last ones go: KEDA's rule."""

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Demand, Window
from policies.load import minutes, recent_loads


@dataclass(frozen=True, slots=True)
class QueueLength:
    """KEDA's ``replicas = ceil(queue length / target)``; a replica is the workers of one session.

    ``load = queued + running`` sessions: a message counts in KEDA's queue until it is done.

    - load: ``ceil(load / sessions_per_replica)`` replicas at once, up and down;
    - no load, but some in the last ``cooldown``: one replica (KEDA's own least while a trigger was active recently);
    - no load during all of the last ``cooldown``: none.

    A gap in the last ``cooldown`` takes nothing away. From kedacore/keda 8b4f083ca, pkg/scaling/executor (cooldown of
    300 s, to zero only). Between one and many KEDA lets an HPA work with its own tolerance and stabilisation; they are
    left out here: ``target_tracking`` has them, with ``target_utilisation`` 1 it is the two together.

    Not for sessions that come and go every few minutes: each one that ends takes its workers with it.
    """

    signals: ClassVar[tuple[str, ...]] = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS)
    timeless: ClassVar[bool] = True

    workers_per_session: int = 8
    sessions_per_replica: float = 1
    cooldown: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        """Refuse what cannot be divided by: raises ``ValueError``."""
        if self.workers_per_session < 1:
            raise ValueError("workers_per_session must be 1 or more")
        if not 0 < self.sessions_per_replica < math.inf:  # refuses NaN too
            raise ValueError("sessions_per_replica must be more than 0")
        if self.cooldown <= timedelta(0):
            raise ValueError("cooldown must be longer than 0s")

    @property
    def history(self) -> timedelta:
        """The cooldown."""
        return self.cooldown

    def decide(self, window: Window) -> Demand:
        """Divide the newest load by the target; with none, look back for the last one."""
        queued, running = window.latest(PROOF_QUEUED_SESSIONS), window.latest(PROOF_RUNNING_SESSIONS)
        if queued is None or running is None:
            return Demand(None, "PROOF load is unknown")
        load = f"{queued:g} queued and {running:g} running sessions"
        past = recent_loads(window, self.cooldown)
        known = past is not None and all(load is not None for _, load in past)
        if queued + running > 0:
            replicas = math.ceil((queued + running) / self.sessions_per_replica)
            reason = f"{load}, a replica for {self.sessions_per_replica:g}"
            return Demand(replicas * self.workers_per_session, reason, may_shrink=known)
        if not known:
            return Demand(None, f"{load}, but the last {minutes(self.cooldown)} are not fully known")
        if any(load for _, load in past or ()):
            return Demand(self.workers_per_session, f"{load}, some in the last {minutes(self.cooldown)}")
        return Demand(0, f"{load}, none for {minutes(self.cooldown)}")
