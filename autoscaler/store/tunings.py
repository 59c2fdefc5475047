"""Tunings of alerts and sessions: each begins once, and what has ended is remembered, so that it begins no more."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from math import inf
from typing import Any

from sqlalchemy import Column, Connection, Float, MetaData, Row, Select, String, Table, Text, bindparam, func, select

from autoscaler.core.tuning import REMEMBERED, SESSIONS_REMEMBERED, TuningPlan
from autoscaler.model import AlertIdentity, Tuning
from autoscaler.store.records import tuning_from_json, tuning_to_json
from autoscaler.store.upsert import insert_new

RESOLVED = "resolved"

# In characters; the body has the whole text.
LONGEST_KEY = 256
# So many alerts are asked for in one statement.
AT_ONCE = 500

# Of an alert: its source, group and fingerprint.
_Name = tuple[str, str, str]


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

    An alert that has fired since is late: what it would begin counts as known, and as over. Thousands of alerts may
    come at once, and others wait for the store meanwhile: all of them take few statements.
    """
    _forget(connection, table, now)
    began = _last_begins(connection, table, plan.begin, now)
    new = [each for each in plan.begin if began.get(_of_rule(each), -inf) <= each.alert.starts_at.timestamp()]
    by_key: dict[tuple[Any, ...], Tuning] = {}
    for each in new:
        by_key.setdefault(_key(each), each)
    written = insert_new(connection, table, [_row(each) for each in by_key.values()])
    ended = _end(connection, table, plan.end, now)
    over = {"ended_at_s": now.timestamp(), "ended_by": RESOLVED}
    insert_new(connection, table, [{**_row(each), **over} for each in plan.over])
    return Begun(tuple(each for key, each in by_key.items() if key in written), tuple(ended))


def announce_session(connection: Connection, table: Table, session: Tuning, now: datetime) -> Tuning:
    """Write a session unless there is one of its name; return the one that there is now."""
    old = table.c.until_s < (now - SESSIONS_REMEMBERED).timestamp()
    connection.execute(table.delete().where(table.c.source == session.alert.source, old))
    mine = select(table.c.body).where(table.c.source == session.alert.source, table.c.rule == session.rule)
    body = connection.execute(mine).scalar()
    if body is not None:
        return tuning_from_json(body)
    insert_new(connection, table, [_row(session)])
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


def _end(connection: Connection, table: Table, alerts: Sequence[AlertIdentity], now: datetime) -> list[Tuning]:
    """End those of these firings and of earlier ones; a later one is another alert, which goes on."""
    last: dict[_Name, float] = {}
    for alert in alerts:
        last[_name(alert)] = max(alert.starts_at.timestamp(), last.get(_name(alert), -inf))
    found = select(*table.primary_key, table.c.until_s, table.c.body).where(table.c.ended_at_s.is_(None))
    mine = [row for row in _of(connection, table, found, alerts) if row.starts_at_s <= last.get(tuple(row[:3]), -inf)]
    if mine:
        names = {column: f"of_{column.name}" for column in table.primary_key}
        ended = table.update().where(*(column == bindparam(name) for column, name in names.items()))
        rows = [dict(zip(names.values(), row, strict=False)) for row in mine]
        connection.execute(ended.values(ended_at_s=now.timestamp(), ended_by=RESOLVED), rows)
    return [tuning_from_json(row.body) for row in mine if row.until_s > now.timestamp()]


def _last_begins(
    connection: Connection, table: Table, tunings: Sequence[Tuning], now: datetime
) -> dict[tuple[_Name, str], float]:
    """When the alerts of these have last begun to fire, by the rules that heard of it."""
    # What is to begin in the future was resolved by a wrong clock: it keeps nothing from beginning meanwhile.
    past = table.c.starts_at_s <= now.timestamp()
    found = select(table.c.source, table.c.alert_group, table.c.fingerprint, table.c.rule, table.c.starts_at_s).where(
        past
    )
    began: dict[tuple[_Name, str], float] = {}
    for row in _of(connection, table, found, [each.alert for each in tunings]):
        name = (tuple(row[:3]), row.rule)
        began[name] = max(row.starts_at_s, began.get(name, -inf))
    return began


def _of(
    connection: Connection, table: Table, found: Select[Any], alerts: Sequence[AlertIdentity]
) -> Iterator[Row[Any]]:
    """What is found of these alerts, and maybe of others."""
    names = sorted({_name(each) for each in alerts})
    for first in range(0, len(names), AT_ONCE):
        sources, groups, fingerprints = map(set, zip(*names[first : first + AT_ONCE], strict=True))
        places = (table.c.source, sources), (table.c.alert_group, groups), (table.c.fingerprint, fingerprints)
        yield from connection.execute(found.where(*(column.in_(parts) for column, parts in places)))


def _name(alert: AlertIdentity) -> _Name:
    """What all firings of an alert have in common."""
    return alert.source, _kept(alert.group), _kept(alert.fingerprint)


def _of_rule(tuning: Tuning) -> tuple[_Name, str]:
    return _name(tuning.alert), tuning.rule


def _key(tuning: Tuning) -> tuple[Any, ...]:
    return (*_name(tuning.alert), tuning.alert.starts_at.timestamp(), tuning.rule)


def _kept(text: str) -> str:
    """What others have made up, as a key: PostgreSQL refuses one of some kilobytes, and a NUL anywhere."""
    if len(text) <= LONGEST_KEY and "\0" not in text:
        return text
    return sha256(text.encode()).hexdigest()


def _row(tuning: Tuning) -> dict[str, Any]:
    source, group, fingerprint = _name(tuning.alert)
    return {
        "source": source,
        "alert_group": group,
        "fingerprint": fingerprint,
        "starts_at_s": tuning.alert.starts_at.timestamp(),
        "rule": tuning.rule,
        "until_s": tuning.until.timestamp(),
        "body": tuning_to_json(tuning),
    }
