"""Rows that are written whether or not they are there already."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(connection: Connection, table: Table, value: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write whole rows, or only the column ``value`` of those that are there."""
    if rows:
        statement = _insert(connection, table)
        update = {value: statement.excluded[value]}
        connection.execute(statement.on_conflict_do_update(index_elements=table.primary_key, set_=update), rows)


def insert_new(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Write a row unless one of its key is there; return whether there was none."""
    statement = _insert(connection, table).values(row).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(statement).first() is not None


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Both say it in the same words, SQL's own standard does not."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
