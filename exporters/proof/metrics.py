"""From PROOF sessions to metrics."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from exporters.proof.formats import Role
from exporters.proof.sessions import STATES, Session, demand_of, masters

DEFAULT_MAX_USERS = 100

# The user and the group under which those are counted who have no series of their own.
OTHERS = ("_other", "_other")

User = tuple[str, str]


def xproofd_up(*, up: bool) -> Metric:
    """Return whether the daemon lives."""
    return GaugeMetricFamily("proof_xproofd_up", "1 if the process of xproofd is alive, 0 if not.", up)


def session_metrics(
    sessions: Sequence[Session], now: float, *, max_users: int, waiting: int | None = None, queue_known: bool = True
) -> Iterator[Metric]:
    """Yield the metrics of live sessions at ``now`` (seconds since the epoch); ``waiting`` as in :func:`demand_of`.

    ``queue_known`` False: the source cannot tell who waits, and there is no queue depth rather than 0.
    """
    demand = demand_of(sessions, now, waiting)
    help_text = (
        "Users' PROOF sessions (on the master) by state; starting = not yet asked by xproofd what it does; it counts "
        "as demand."
    )
    yield _by_state("proof_sessions", help_text, masters(sessions), now)
    if queue_known:
        yield GaugeMetricFamily("proof_queue_depth", "PROOF sessions with a query in the queue.", demand.queue_depth)
    help_text = "PROOF sessions which need workers or may need them."
    yield GaugeMetricFamily("proof_demand_sessions", help_text, demand.demand_sessions)
    workers = [session for session in sessions if session.role is Role.WORKER]
    yield _by_state("proof_workers", "PROOF worker processes on this machine by state.", workers, now)
    if max_users:
        yield _by_user(masters(sessions), now, max_users)
    yield from status_age(sessions, now)


def status_age(sessions: Iterable[Session], now: float) -> Iterator[Metric]:
    """Yield the age of the oldest status file of a live session, nothing where there is none."""
    status_times = [session.status_at_s for session in sessions if session.status_at_s is not None]
    if status_times:
        help_text = "Age of the oldest status of a live session, in seconds."
        yield GaugeMetricFamily("proof_status_age_seconds", help_text, max(0.0, now - min(status_times)))


def _by_state(name: str, help_text: str, sessions: Iterable[Session], now: float) -> Metric:
    counts = Counter(session.state(now) for session in sessions)
    family = GaugeMetricFamily(name, help_text, labels=["state"])
    for state in STATES:
        family.add_metric([state], counts[state])
    return family


def _by_user(sessions: Sequence[Session], now: float, max_users: int) -> Metric:
    named = _most_active(Counter((session.user, session.group) for session in sessions), max_users)
    counts = Counter(
        (*(user if (user := (session.user, session.group)) in named else OTHERS), session.state(now))
        for session in sessions
    )
    family = GaugeMetricFamily(
        "proof_user_sessions",
        "A user's PROOF sessions (on the master) by group and state; no series = none. Beyond --max-users, those with "
        "the fewest sessions are counted together as _other.",
        labels=["user", "group", "state"],
    )
    for labels, count in sorted(counts.items()):
        family.add_metric(labels, count)
    return family


def _most_active(sessions_of: Counter[User], limit: int) -> set[User]:
    # Of equal ones those first in the alphabet, so that a user does not come and go from scrape to scrape.
    return set(heapq.nsmallest(limit, sessions_of, key=lambda user: (-sessions_of[user], user)))
