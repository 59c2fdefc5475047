"""What a PROOF session is and what it does: values that do not depend on where they were read."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from exporters.proof.formats import Role

STATES = ("idle", "running", "queued", "starting", "terminating", "unknown")
STATES_IN_DEMAND = ("running", "queued", "starting", "unknown")

# XProofProtocol.h and TProofServ.cxx; 4 = idle for too long, right before it ends itself.
STATE_OF_STATUS = {0: "idle", 1: "running", 2: "terminating", 3: "queued", 4: "terminating"}

# The daemon asks its sessions for their status this often (xpd.proofservmgr checkfq, default 30 s), but may put it off
# up to five times as long. Until the first time, the file says "idle" for a session that may well run; a user who has
# just come must not wait for it.
STATUS_LAG_S = 30.0

# The status file is made together with the session's: one that is not younger than this was not written again.
MADE_WITHIN_S = 1.0

# A session that does not yet say what it is counts as a user's: growing for nothing costs less than a waiting user.
MASTER_ROLES = (Role.MASTER, Role.STARTING, Role.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Session:
    """One live session; times in seconds since the epoch.

    ``status`` is the last code that could be read, None = none so far. ``status_at_s`` is None without a status file.
    """

    user: str
    group: str
    role: Role
    begun_at_s: float
    status: int | None = None
    status_at_s: float | None = None

    def state(self, now: float) -> str:
        """Return one of :data:`STATES`."""
        if self.role is Role.STARTING:
            return "starting"
        if self.role is Role.UNKNOWN or self.status is None:
            return "unknown"
        state = STATE_OF_STATUS.get(self.status, "unknown")
        return "starting" if state == "idle" and (self._is_new(now) or not self._was_asked(now)) else state

    def settles_at_s(self, now: float) -> float | None:
        """Return when the state will change by time alone, None if only a file can change it."""
        by_time = self.status == 0 and self.role not in (Role.STARTING, Role.UNKNOWN)
        settles = by_time and self._is_new(now) and self._was_asked(now)
        return self.begun_at_s + STATUS_LAG_S if settles else None

    def _was_asked(self, now: float) -> bool:
        """Whether the daemon has asked for the status since the beginning; one in the future tells nothing of that."""
        in_the_future = self.begun_at_s - now >= STATUS_LAG_S
        return in_the_future or self.status_at_s is None or self.status_at_s > self.begun_at_s + MADE_WITHIN_S

    def _is_new(self, now: float) -> bool:
        return abs(now - self.begun_at_s) < STATUS_LAG_S


@dataclass(frozen=True, slots=True)
class Demand:
    """What the users' sessions ask for: how many need workers or may need them, wait in the queue, and run."""

    demand_sessions: int
    queue_depth: int
    running_sessions: int


def masters(sessions: Iterable[Session]) -> list[Session]:
    """Return the users' sessions, without workers and submasters, which are parts of one."""
    return [session for session in sessions if session.role in MASTER_ROLES]


def demand_of(sessions: Iterable[Session], now: float, waiting: int | None = None) -> Demand:
    """Return the demand of the users' sessions at ``now``.

    ``waiting`` is how many sessions wait by the daemon's log, which says so up to :data:`STATUS_LAG_S` before their
    status does; None = it does not say.
    """
    states = Counter(session.state(now) for session in masters(sessions))
    queued = max(states["queued"], waiting or 0)
    still_called_idle = min(queued - states["queued"], states["idle"])
    demand = sum(states[state] for state in STATES_IN_DEMAND) + still_called_idle
    return Demand(demand, queued, states["running"])
