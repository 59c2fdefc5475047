"""Old decisions are removed, a few at a time, so that no cycle waits for it and the disk is not filled."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from autoscaler.store.failures import forget_failures
from autoscaler.store.tables import decisions, outcomes

# So many at a time, or as many as this time is enough for: a decision of a thousand hosts has more than a megabyte.
AT_ONCE = 100
LONGEST_S = 0.05


@dataclass(frozen=True, slots=True)
class Keep:
    """How long decisions are kept, and in how much of the file."""

    age: timedelta
    size_mib: int


def prune(connection: Connection, keep: Keep, used_bytes: Callable[[Connection], int], now: datetime) -> int:
    """Remove some of the oldest decisions if they are too old or too many, never the newest; return how many.

    A file does not shrink; what is removed makes room in it for what comes.
    """
    until_s = (now - keep.age).timestamp()
    newest = select(func.max(decisions.c.number)).scalar_subquery()
    oldest = select(decisions.c.number).where(decisions.c.number < newest).order_by(decisions.c.number).limit(AT_ONCE)
    too_many = used_bytes(connection) > keep.size_mib * 1024**2
    query = oldest if too_many else oldest.where(decisions.c.at_s < until_s)
    began_s, removed = time.monotonic(), 0
    for number in connection.execute(query).scalars().all():
        connection.execute(outcomes.delete().where(outcomes.c.decision == number))
        connection.execute(decisions.delete().where(decisions.c.number == number))
        removed += 1
        if time.monotonic() - began_s > LONGEST_S:
            break
    forget_failures(connection, until_s)
    return removed
