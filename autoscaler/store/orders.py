"""Orders: what a person has said of a host for a time, the newest of each kind for each host."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, select

from autoscaler.model import Direction, Orders, Override, Pause
from autoscaler.store.records import override_from_json, override_to_json, pause_from_json, pause_to_json
from autoscaler.store.tables import overrides, pauses
from autoscaler.store.upsert import upsert


def write_pauses(connection: Connection, given: Iterable[Pause]) -> None:
    """Write pauses, each instead of an earlier one of its host and direction."""
    rows = [{"host": each.host, "direction": each.direction, "body": pause_to_json(each)} for each in given]
    upsert(connection, pauses, "body", rows)


def write_override(connection: Connection, override: Override) -> None:
    """Write an override instead of an earlier one of its host."""
    upsert(connection, overrides, "body", [{"host": override.host, "body": override_to_json(override)}])


def forget_pauses(connection: Connection, hosts: Collection[str], directions: Collection[Direction]) -> None:
    """Remove the pauses of these hosts in these directions."""
    connection.execute(pauses.delete().where(pauses.c.host.in_(hosts), pauses.c.direction.in_(directions)))


def forget_overrides(connection: Connection, hosts: Collection[str]) -> None:
    """Remove the overrides of these hosts."""
    connection.execute(overrides.delete().where(overrides.c.host.in_(hosts)))


def standing_orders(connection: Connection) -> Orders:
    """All of them, also those that are over; raises ``ValueError`` for one that is damaged."""
    of_pauses = connection.execute(select(pauses).order_by(pauses.c.host, pauses.c.direction)).all()
    of_overrides = connection.execute(select(overrides).order_by(overrides.c.host)).all()
    return Orders(
        tuple(pause_from_json(row.body) for row in of_pauses),
        tuple(override_from_json(row.body) for row in of_overrides),
    )
