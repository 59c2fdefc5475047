"""Tunings of alerts and sessions: each begins once, and what has ended is remembered, so that it begins no more."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Float, MetaData, String, Table, Text, and_, func, select

from autoscaler.core.tuning import REMEMBERED, SESSIONS_REMEMBERED, TuningPlan
from autoscaler.model import AlertIdentity, Tuning
from autoscaler.store.records import tuning_from_json, tuning_to_json
from autoscaler.store.upsert import insert_new

RESOLVED = "resolved"

# In characters; the body has the whole text.
LONGEST_KEY = 256


@dataclass(frozen=True, slots=True)
class Begun:
    """What a plan came to: the tunings that it began and those that it ended; the others were known already."""

    begun: tuple[Tuning, ...]
    ended: tuple[Tuning, ...]


def tunings_table(metadata: MetaData) -> Table:
    """The table, of these."""
    return Table(
        "tunings",
        metadata,
        Column("source", String, primary_key=True),
        Column("alert_group", String, primary_key=True),
        Column("fingerprint", String, primary_key=True),
        Column("starts_at_s", Float, primary_key=True),
        Column("rule", String, primary_key=True),
        Column("until_s", Float, nullable=False, index=True),
        Column("ended_at_s", Float),
        Column("ended_by", String),
        Column("body", Text, nullable=False),
    )


def carry_out_plan(connection: Connection, table: Table, plan: TuningPlan, now: datetime) -> Begun:
    """Write what a plan begins and ends, once, and forget what nobody can send again.

    An alert that has fired since is late: what it would begin counts as known, and as over.
    """
    _forget(connection, table, now)
    new = [each for each in plan.begin if not _has_fired_since(connection, table, each, now)]
    begun = tuple(each for each in new if insert_new(connection, table, _row(each)))
    ended = [each for alert in plan.end for each in _end(connection, table, alert, now)]
    for each in plan.over:
        insert_new(connection, table, {**_row(each), "ended_at_s": now.timestamp(), "ended_by": RESOLVED})
    return Begun(begun, tuple(ended))


def announce_session(connection: Connection, table: Table, session: Tuning, now: datetime) -> Tuning:
    """Write a session unless there is one of its name; return the one that there is now."""
    old = table.c.until_s < (now - SESSIONS_REMEMBERED).timestamp()
    connection.execute(table.delete().where(table.c.source == session.alert.source, old))
    mine = select(table.c.body).where(table.c.source == session.alert.source, table.c.rule == session.rule)
    body = connection.execute(mine).scalar()
    if body is not None:
        return tuning_from_json(body)
    insert_new(connection, table, _row(session))
    return session


def standing_tunings(connection: Connection, table: Table, now: datetime) -> list[Tuning]:
    """Of each rule the one that ends last, of those that have not; raises ``ValueError`` for one that is damaged."""
    # A flood of alerts must not be read in every cycle.
    place = func.row_number().over(partition_by=table.c.rule, order_by=table.c.until_s.desc()).label("place")
    stand = (
        select(table.c.body, place).where(table.c.ended_at_s.is_(None), table.c.until_s > now.timestamp()).subquery()
    )
    last = connection.execute(select(stand.c.body).where(stand.c.place == 1))
    return [tuning_from_json(body) for body in last.scalars()]


def end_rules(connection: Connection, table: Table, rules: Collection[str] | None, by: str, now: datetime) -> int:
    """End what stands of these rules, or of all with ``None``; return how many."""
    mine = [] if rules is None else [table.c.rule.in_(rules)]
    stands = table.c.ended_at_s.is_(None), table.c.until_s > now.timestamp()
    ended = table.update().where(*stands, *mine).values(ended_at_s=now.timestamp(), ended_by=by)
    return connection.execute(ended).rowcount


def _forget(connection: Connection, table: Table, now: datetime) -> None:
    old = table.c.starts_at_s < (now - REMEMBERED).timestamp()
    connection.execute(table.delete().where(old, table.c.until_s < now.timestamp()))


def _end(connection: Connection, table: Table, alert: AlertIdentity, now: datetime) -> Iterable[Tuning]:
    """End those of this firing and of earlier ones; a later one is another alert, which goes on."""
    mine = (
        _firings(table, alert),
        table.c.starts_at_s <= alert.starts_at.timestamp(),
        table.c.ended_at_s.is_(None),
    )
    bodies = connection.execute(select(table.c.body).where(*mine, table.c.until_s > now.timestamp())).scalars().all()
    connection.execute(table.update().where(*mine).values(ended_at_s=now.timestamp(), ended_by=RESOLVED))
    return [tuning_from_json(body) for body in bodies]


def _has_fired_since(connection: Connection, table: Table, tuning: Tuning, now: datetime) -> bool:
    # What is to begin in the future was resolved by a wrong clock: it keeps nothing from beginning meanwhile.
    after, until = tuning.alert.starts_at.timestamp(), now.timestamp()
    later = table.c.starts_at_s > after, table.c.starts_at_s <= until, table.c.rule == tuning.rule
    found = select(table.c.rule).where(_firings(table, tuning.alert), *later).limit(1)
    return connection.execute(found).first() is not None


def _firings(table: Table, alert: AlertIdentity) -> ColumnElement[bool]:
    """All firings of an alert."""
    return and_(
        table.c.source == alert.source,
        table.c.alert_group == _key(alert.group),
        table.c.fingerprint == _key(alert.fingerprint),
    )


def _key(text: str) -> str:
    """What others have made up, as a key: PostgreSQL refuses one of some kilobytes, and a NUL anywhere."""
    if len(text) <= LONGEST_KEY and "\0" not in text:
        return text
    return sha256(text.encode()).hexdigest()


def _row(tuning: Tuning) -> dict[str, Any]:
    return {
        "source": tuning.alert.source,
        "alert_group": _key(tuning.alert.group),
        "fingerprint": _key(tuning.alert.fingerprint),
        "starts_at_s": tuning.alert.starts_at.timestamp(),
        "rule": tuning.rule,
        "until_s": tuning.until.timestamp(),
        "body": tuning_to_json(tuning),
    }
