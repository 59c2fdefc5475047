"""Cycles that failed, beside the decisions that were made."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, Float, Integer, MetaData, Table, Text, inspect, select

_metadata = MetaData()
_failures = Table(
    "failures",
    _metadata,
    Column("number", Integer, primary_key=True),
    Column("at_s", Float, nullable=False, index=True),
    Column("error", Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class FailedCycle:
    """When a cycle raised, and what."""

    at: datetime
    error: str


def write_failure(connection: Connection, at: datetime, error: str) -> None:
    """Write one; the table comes with the first, so that stores without any stay as they are."""
    _metadata.create_all(connection)
    connection.execute(_failures.insert().values(at_s=at.timestamp(), error=error))


def failures_since(connection: Connection, at: datetime) -> Sequence[FailedCycle]:
    """Those after ``at``, oldest first."""
    if not inspect(connection).has_table(_failures.name):
        return ()
    query = select(_failures).where(_failures.c.at_s > at.timestamp()).order_by(_failures.c.number)
    return [FailedCycle(datetime.fromtimestamp(row.at_s, UTC), row.error) for row in connection.execute(query)]


def forget_failures(connection: Connection, until_s: float) -> None:
    """Remove those before."""
    if inspect(connection).has_table(_failures.name):
        connection.execute(_failures.delete().where(_failures.c.at_s < until_s))
