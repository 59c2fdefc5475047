"""Rows that are written whether or not they are there already."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects.sqlite import insert


def upsert(connection: Connection, table: Table, value: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write whole rows, or only the column ``value`` of those that are there."""
    if rows:
        statement = insert(table)
        update = {value: statement.excluded[value]}
        connection.execute(statement.on_conflict_do_update(index_elements=table.primary_key, set_=update), rows)
