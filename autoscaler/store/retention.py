"""Old decisions are removed, a few at a time, so that no cycle waits for it and the disk is not filled."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Table, func, select

from autoscaler.store.failures import forget_failures

# So many at a time, or as many as this time is enough for: a decision of a thousand hosts has more than a megabyte.
AT_ONCE = 100
LONGEST_S = 0.05


@dataclass(frozen=True, slots=True)
class Keep:
    """How long decisions are kept, and in how much of the file."""

    age: timedelta
    size_mib: int


def prune(connection: Connection, decisions: Table, outcomes: Table, keep: Keep, now: datetime) -> int:
    """Remove some of the oldest decisions if they are too old or too many, never the newest; return how many.

    A file of SQLite does not shrink; what is removed makes room in it for what comes.
    """
    until_s = (now - keep.age).timestamp()
    newest = select(func.max(decisions.c.number)).scalar_subquery()
    oldest = select(decisions.c.number).where(decisions.c.number < newest).order_by(decisions.c.number).limit(AT_ONCE)
    too_many = _used_bytes(connection) > keep.size_mib * 1024**2
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


def _used_bytes(connection: Connection) -> int:
    names = ("page_count", "freelist_count", "page_size")
    pages, free, size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names)
    return int((pages - free) * size)
