"""When a balloon that does not move is left alone, and for how long."""

from dataclasses import replace
from datetime import timedelta

from autoscaler.model import Outcome, Quarantine, Result, StepKind, Transfer

# A guest that is booting, or whose kernel is starved for a moment, is soon well; one without a driver stays as it is.
FIRST_WAIT = timedelta(minutes=5)
LONGEST_WAIT = timedelta(hours=1)


def tried(transfer: Transfer) -> str | None:
    """The domain whose quarantine a transfer would lift: the one that it probes, or wakes."""
    woken = (step.domain for step in transfer.steps if step.kind is StepKind.WAKE)
    return transfer.probe or next(woken, None)


def after(outcome: Outcome, probed: str | None, before: Quarantine | None) -> Quarantine | None:
    """The quarantine that follows from a transfer's outcome; ``probed`` is the domain that it ``tried``.

    A domain that did not move at all, or could not be woken, is tried again after a time that doubles with each failure
    in a row. Only a transfer that moved or woke its domain lifts a quarantine; one that says nothing of it puts the
    next try off.
    """
    if outcome.stuck is None and before is not None and before.domain == probed:
        return None if outcome.result is Result.DONE else replace(before, probe_at=outcome.ended_at + FIRST_WAIT)
    if outcome.stuck is None:
        return before
    again = before is not None and before.domain == outcome.stuck
    failures = before.failures + 1 if before is not None and again else 1
    since = before.since if before is not None and again else outcome.ended_at
    wait = min(FIRST_WAIT * 2 ** min(failures - 1, 10), LONGEST_WAIT)
    return Quarantine(outcome.stuck, outcome.reason, since, failures, outcome.ended_at + wait)
