"""PROOF sessions that are announced before they are opened: demand until the signals show them, or their time is over.

An announced session is a tuning of its own rule: it is durable, begun once, listed, undone and part of the situation as
what alerts change is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from autoscaler.core.tuning import tuned_demand
from autoscaler.model import (
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    AlertIdentity,
    Decision,
    Tuning,
    TuningKind,
    Window,
)

SOURCE = "sessions"
# Who has ended one that the signals show.
SHOWN = "the signals"

_SIGNALS = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS)


@dataclass(frozen=True, slots=True)
class Readiness:
    """How many of a session's workers were granted, and how many of those are there, as far as it is known."""

    granted: int
    ready: int


def announced(name: str, user: str, workers: int, now: datetime, span: timedelta) -> Tuning:
    """The session of this name, which counts from now for ``span`` at most; ``user`` may be empty."""
    alert = AlertIdentity(SOURCE, user, name, now)
    return Tuning(alert, name, f"session {name}", TuningKind.SESSION, now, now + span, workers)


def shown_sessions(before: Decision | None, window: Window, tunings: Iterable[Tuning]) -> frozenset[str]:
    """The rules of the announced sessions that the signals show since the decision ``before``: the oldest first.

    A rise of the load by one is one of them. What is unknown shows none, and neither do values from before a session
    was announced.
    """
    then = None if before is None else _load(before.situation.window)
    now, fresh = _load(window), [window.signal(name).fresh_at for name in _SIGNALS]
    if then is None or now is None or now <= then:
        return frozenset()
    true_at = min((at for at in fresh if at is not None), default=window.now)
    mine = [each for each in tunings if each.kind is TuningKind.SESSION and each.begun_at < true_at]
    mine.sort(key=lambda each: (each.begun_at, each.rule))
    return frozenset(each.rule for each in mine[: int(now - then)])


def readiness(session: Tuning, decision: Decision, there: Mapping[str, int]) -> Readiness:
    """What a decision gave a session, where so many workers are ``there`` by host.

    First come those that the policy, boosts and earlier sessions want; a host that is not known counts with none.
    """
    earlier = [each for each in decision.situation.tunings if _comes_before(each, session)]
    heard = session in decision.situation.tunings
    wanted = tuned_demand(decision.demand, [*earlier, *([session] if heard else [])]).workers
    # One that is no longer announced is part of what the policy wants.
    others = max(0, (wanted or 0) - (session.workers or 0))
    moving = {seen.host: seen.moving_to_workers for seen in decision.situation.hosts}
    granted = {
        each.host: (moving.get(each.host) or 0) if each.granted is None else each.granted for each in decision.hosts
    }
    ready = sum(min(workers, there.get(host, 0)) for host, workers in granted.items())
    return Readiness(_of(session, sum(granted.values()) - others), _of(session, ready - others))


def _comes_before(other: Tuning, session: Tuning) -> bool:
    if other.kind is TuningKind.SESSION:
        return (other.begun_at, other.rule) < (session.begun_at, session.rule)
    return other.kind is TuningKind.BOOST


def _of(session: Tuning, workers: int) -> int:
    return max(0, min(session.workers or 0, workers))


def _load(window: Window) -> float | None:
    values = [window.latest(name) for name in _SIGNALS]
    return None if None in values else sum(value for value in values if value is not None)
