"""When a balloon that does not move is left alone, and for how long."""

from datetime import timedelta

from autoscaler.model import Outcome, Quarantine, Result

# A guest that is booting, or whose kernel is starved for a moment, is soon well; one without a driver stays as it is.
FIRST_WAIT = timedelta(minutes=5)
LONGEST_WAIT = timedelta(hours=1)


def after(outcome: Outcome, probed: str | None, before: Quarantine | None) -> Quarantine | None:
    """The quarantine that follows from a transfer's outcome; ``probed`` is the domain it only tried to move.

    A domain that did not move at all is tried again after a time that doubles with each failure in a row. Only a probe
    that moved its domain lifts a quarantine: whatever else ends a transfer says nothing of the balloon.
    """
    if outcome.stuck is None:
        return None if probed is not None and outcome.result is Result.DONE else before
    again = before is not None and before.domain == outcome.stuck
    failures = before.failures + 1 if before is not None and again else 1
    since = before.since if before is not None and again else outcome.ended_at
    wait = min(FIRST_WAIT * 2 ** min(failures - 1, 10), LONGEST_WAIT)
    return Quarantine(outcome.stuck, outcome.reason, since, failures, outcome.ended_at + wait)
