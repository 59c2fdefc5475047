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


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> set[tuple[Any, ...]]:
    """Write the rows of whose keys there are none, the first of each key; return the keys that were written."""
    if not rows:
        return set()
    statement = _insert(connection, table).on_conflict_do_nothing().returning(*table.primary_key)
    return {tuple(key) for key in connection.execute(statement, rows)}


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Both say it in the same words, SQL's own standard does not."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
