"""The store through SQLAlchemy, on SQLite or PostgreSQL: what a method wrote is durable when it returns."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import (
    Connection,
    Row,
    Select,
    func,
    inspect,
    select,
    tuple_,
)
from sqlalchemy.exc import SQLAlchemyError

from autoscaler.contracts import StoreError
from autoscaler.core.tuning import TuningPlan, in_force
from autoscaler.model import (
    Decision,
    Direction,
    HostTimers,
    Orders,
    Outcome,
    Override,
    Pause,
    Quarantine,
    Transfer,
    Tuning,
)
from autoscaler.store import tables
from autoscaler.store.confirmation import Confirmation
from autoscaler.store.database import Database, Leader
from autoscaler.store.failures import FailedCycle, failures_since, write_failure
from autoscaler.store.orders import forget_overrides, forget_pauses, standing_orders, write_override, write_pauses
from autoscaler.store.records import (
    Record,
    Unreadable,
    decision_from_json,
    decision_to_json,
    outcome_from_json,
    outcome_to_json,
    quarantine_from_json,
    quarantine_to_json,
)
from autoscaler.store.retention import Keep, prune
from autoscaler.store.sqlite import SqliteFile
from autoscaler.store.tunings import Begun, announce_session, carry_out_plan, end_rules, standing_tunings
from autoscaler.store.turns import Turns
from autoscaler.store.upsert import upsert

T = TypeVar("T")

# Raised with every change of the tables; a file of another version is refused, not guessed at.
SCHEMA_VERSION = 4

# The number of a row.
LARGEST = 2**63 - 1

# What is streamed is held in memory so many at a time; each is some kilobytes.
STREAMED_AT_ONCE = 200


class EmptyStoreError(StoreError):
    """Nothing was ever written: no controller has run."""


class NoDecisionError(StoreError):
    """There is no decision of that number."""


class SqlStore:
    """Decisions, outcomes, timers, orders, tunings and the ledger of one facility in one database.

    What a controller writes of what it does is refused with ``LostTermError`` when ``term`` is over: another one leads.
    """

    def __init__(self, where: Path | Database, *, read_only: bool = False, pause_s: float = 0.0) -> None:
        """Open a database, or an SQLite file by its path, creating that unless ``read_only``; raises ``StoreError``.

        Between two writes lie ``pause_s`` seconds, which are another process's.
        """
        self._database: Database = SqliteFile(where) if isinstance(where, Path) else where
        self.name = self._database.name
        self._read_only = read_only
        self.term: int | None = None
        self._confirmation = Confirmation(self._check_term)
        self._engine = self._database.engine(read_only=read_only)
        self._turns = Turns(self._engine.begin, pause_s)
        try:
            with self._transaction() as connection:
                self._prepare(connection)
        except StoreError as error:
            self.close()
            raise self._database.not_opened(error, read_only=read_only) from None

    def of_term(self, term: int) -> Self:
        """The same store, for what is done in this term only."""
        mine = copy(self)
        mine.term = term
        mine._confirmation = Confirmation(mine._check_term)  # noqa: SLF001 - its own
        return mine

    def _prepare(self, connection: Connection) -> None:
        self._database.begin_schema(connection)
        version = self._database.version(connection)
        if not version and not tables.metadata.tables.keys() >= set(inspect(connection).get_table_names()):
            raise StoreError(f"store {self.name} is the database of another program")
        if version < SCHEMA_VERSION and not self._read_only:
            # So far, newer versions only add tables.
            tables.metadata.create_all(connection)
            self._database.set_version(connection, SCHEMA_VERSION)
        elif not version:
            raise EmptyStoreError(f"store {self.name} is empty: has `autoscaler run` run?")
        elif version != SCHEMA_VERSION:
            older = ": start the controller once, it brings it up to date" if version < SCHEMA_VERSION else ""
            raise StoreError(f"store {self.name} is of version {version}, this program of {SCHEMA_VERSION}{older}")

    def confirm(self) -> None:
        """Raise ``StoreError`` unless the controller may write to hosts now; asked right before it does."""
        if self.term is not None:
            self._confirmation.confirm()

    def _check_term(self) -> None:
        with self._transaction() as connection:
            self._database.check_term(connection, self.term or 0)

    def leader(self) -> Leader | None:
        """Which of several controllers leads; ``None`` when none does, or the database is for one controller."""
        with self._transaction() as connection:
            return self._database.leader(connection)

    def record_decision(self, decision: Decision) -> int:
        """Write a decision and start the timers of its transfers, return its number."""
        self._database.check_there()
        at_s, changes = decision.at.timestamp(), bool(decision.transfers)
        row = {"at_s": at_s, "changes": changes, "body": decision_to_json(decision)}

        def write(connection: Connection) -> int:
            number: int = connection.execute(tables.decisions.insert().values(row)).inserted_primary_key[0]  # type: ignore[index]
            _start_timers(connection, decision.transfers, at_s)
            return number

        return self._write_in_term(write)

    def record_outcome(self, decision: int, outcome: Outcome) -> None:
        """Write what became of one of the decision's transfers."""
        row = {"decision": decision, "host": outcome.host, "body": outcome_to_json(outcome)}
        self._write(lambda connection: connection.execute(tables.outcomes.insert().values(row)))

    def record_asked(self, host: str, domain: str, memory_mib: int) -> None:
        """Write which balloon size a domain is asked for."""
        row = {"host": host, "domain": domain, "memory_mib": memory_mib}
        self._write_in_term(lambda connection: upsert(connection, tables.asked, "memory_mib", [row]))

    def asked(self) -> Mapping[tuple[str, str], int]:
        """The balloon size last asked for, MiB by (host, domain)."""
        with self._transaction() as connection:
            return {(row.host, row.domain): row.memory_mib for row in connection.execute(select(tables.asked))}

    def record_strain(self, host: str, at: datetime) -> None:
        """Write that a donor of the host began to swap."""
        row = {"host": host, "at_s": at.timestamp()}
        self._write_in_term(lambda connection: upsert(connection, tables.strains, "at_s", [row]))

    def record_quarantine(self, host: str, quarantine: Quarantine | None) -> None:
        """Write the quarantine a host is in, ``None`` lifts it."""
        if quarantine is None:
            lift = tables.quarantines.delete().where(tables.quarantines.c.host == host)
            self._write_in_term(lambda connection: connection.execute(lift))
            return
        row = {"host": host, "body": quarantine_to_json(quarantine)}
        self._write_in_term(lambda connection: upsert(connection, tables.quarantines, "body", [row]))

    def timers(self) -> Sequence[HostTimers]:
        """What is remembered of every host of which there is something."""
        with self._transaction() as connection:
            changes = {row.host: row for row in connection.execute(select(tables.timers))}
            strains = {row.host: row.at_s for row in connection.execute(select(tables.strains))}
            quarantines = {row.host: row.body for row in connection.execute(select(tables.quarantines))}
        return [
            HostTimers(
                host,
                _time(changes[host].grew_at_s) if host in changes else None,
                _time(changes[host].shrank_at_s) if host in changes else None,
                _time(strains.get(host)),
                quarantine_from_json(quarantines[host]) if host in quarantines else None,
            )
            for host in sorted(changes.keys() | strains.keys() | quarantines.keys())
        ]

    def record_pauses(self, pauses: Iterable[Pause]) -> None:
        """Write pauses, each instead of an earlier one of its host and direction."""
        given = tuple(pauses)
        self._write(lambda connection: write_pauses(connection, given))

    def record_override(self, override: Override) -> None:
        """Write an override instead of an earlier one of its host."""
        self._write(lambda connection: write_override(connection, override))

    def end_pauses(self, hosts: Collection[str], directions: Collection[Direction]) -> None:
        """Forget the pauses of these hosts in these directions."""
        self._write(lambda connection: forget_pauses(connection, hosts, directions))

    def end_overrides(self, hosts: Collection[str]) -> None:
        """Forget the overrides of these hosts."""
        self._write(lambda connection: forget_overrides(connection, hosts))

    def orders(self, now: datetime) -> Orders:
        """The pauses and overrides that are in force."""
        try:
            with self._transaction() as connection:
                return standing_orders(connection).in_force(now)
        except ValueError:
            raise StoreError(f"store {self.name}: a pause or an override cannot be read: it is damaged") from None

    def carry_out(self, plan: TuningPlan, now: datetime) -> Begun:
        """Begin and end what a plan of alerts says; what is known already stays as it is."""
        return self._write(lambda connection: carry_out_plan(connection, tables.tunings, plan, now))

    def announce(self, session: Tuning, now: datetime) -> Tuning:
        """Begin an announced session, unless there is one of its name, or was; return the one that counts."""
        return self._write(lambda connection: announce_session(connection, tables.tunings, session, now))

    def end_tunings(self, rules: Collection[str] | None, by: str, now: datetime) -> int:
        """End the tunings of these rules, or all with ``None``; their alerts do not begin them again."""
        return self._write(lambda connection: end_rules(connection, tables.tunings, rules, by, now))

    def tunings(self, now: datetime) -> tuple[Tuning, ...]:
        """The tunings that are in force, one for each rule."""
        try:
            with self._transaction() as connection:
                return in_force(standing_tunings(connection, tables.tunings, now), now)
        except ValueError:
            raise StoreError(f"store {self.name}: a tuning cannot be read: it is damaged") from None

    def record(self, number: int) -> Record:
        """The decision of that number; raises ``StoreError`` when there is none."""
        # A larger number is none that SQLite could be asked for.
        found = (
            self._records(select(tables.decisions).where(tables.decisions.c.number == number))
            if 0 < number <= LARGEST
            else []
        )
        if not found:
            raise NoDecisionError(f"store {self.name} holds no decision {number}")
        return found[0]

    def latest(self, *, at: datetime | None = None) -> Record | None:
        """The newest decision, or the newest one at or before ``at``."""
        query = select(tables.decisions).order_by(tables.decisions.c.number.desc()).limit(1)
        if at is not None:
            query = query.where(tables.decisions.c.at_s <= at.timestamp())
        found = self._records(query)
        return found[0] if found else None

    def newest(self) -> Decision | None:
        """The newest decision, ``None`` where there is none or it cannot be read."""
        rows = self._rows(select(tables.decisions).order_by(tables.decisions.c.number.desc()).limit(1))
        try:
            return self._record(*rows[0]).decision if rows else None
        except StoreError:
            # Another version's, or damaged; a policy that remembers nothing begins anew, and that is safe.
            return None

    def history(self, limit: int, *, changes_only: bool) -> list[Record]:
        """The newest decisions, oldest first; ``changes_only`` leaves out those that changed nothing."""
        query = select(tables.decisions).order_by(tables.decisions.c.number.desc()).limit(limit)
        if changes_only:
            query = query.where(tables.decisions.c.changes)
        return self._records(query)[::-1]

    def count(self, since: datetime | None = None) -> int:
        """How many decisions there are, or of them those at or after ``since``."""
        with self._transaction() as connection:
            number: int = connection.execute(select(func.count()).select_from(_since(since).subquery())).scalar_one()
        return number

    def stream(self, since: datetime | None = None) -> Iterator[Record | Unreadable]:
        """All decisions, or those at or after ``since``, in the order of time, a few at once in memory.

        No transaction lasts from one to the next, so that a controller may go on writing.
        """
        query = _since(since).order_by(tables.decisions.c.at_s, tables.decisions.c.number).limit(STREAMED_AT_ONCE)
        page = query
        while rows := self._rows(page):
            for row, outcomes in rows:
                try:
                    yield self._record(row, outcomes)
                except StoreError as error:
                    yield Unreadable(row.number, datetime.fromtimestamp(row.at_s, UTC), str(error))
            last = rows[-1][0]
            page = query.where(tuple_(tables.decisions.c.at_s, tables.decisions.c.number) > (last.at_s, last.number))

    def record_failure(self, at: datetime, error: str) -> None:
        """Write that a cycle failed."""
        self._write(lambda connection: write_failure(connection, at, error))

    def failures(self, since: datetime) -> Sequence[FailedCycle]:
        """The cycles that failed after ``since``, oldest first."""
        with self._transaction() as connection:
            return failures_since(connection, since)

    def prune(self, keep: Keep, now: datetime) -> int:
        """Remove some of the decisions that are not to be kept, return how many; 0 when there is none left."""
        return self._write(lambda connection: prune(connection, keep, self._database.used_bytes, now))

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def _records(self, query: Any) -> list[Record]:
        return [self._record(row, outcomes) for row, outcomes in self._rows(query)]

    def _rows(self, query: Any) -> list[tuple[Row[Any], list[Row[Any]]]]:
        """The rows of decisions, each with those of its outcomes."""
        with self._transaction() as connection:
            rows = connection.execute(query).all()
            numbers = select(query.subquery().c.number)
            found = connection.execute(select(tables.outcomes).where(tables.outcomes.c.decision.in_(numbers))).all()
        outcomes: dict[int, list[Row[Any]]] = {}
        for outcome in found:
            outcomes.setdefault(outcome.decision, []).append(outcome)
        return [(row, outcomes.get(row.number, [])) for row in rows]

    def _record(self, row: Row[Any], outcomes: Sequence[Row[Any]]) -> Record:
        try:
            mine = tuple(outcome_from_json(outcome.body) for outcome in outcomes)
            return Record(row.number, decision_from_json(row.body), mine)
        except ValueError:
            reason = "it is damaged, or another version of this program wrote it"
            raise StoreError(f"store {self.name}: decision {row.number} cannot be read: {reason}") from None

    def _write(self, do: Callable[[Connection], T]) -> T:
        with self._errors():
            return self._turns.write(do)

    def _write_in_term(self, do: Callable[[Connection], T]) -> T:
        """Write what only the controller that leads may write."""
        term = self.term
        if term is None:
            return self._write(do)

        def write(connection: Connection) -> T:
            self._database.check_term(connection, term)
            return do(connection)

        return self._write(write)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise self._database.failure(error) from None


def _since(at: datetime | None) -> Select[Any]:
    query = select(tables.decisions)
    return query if at is None else query.where(tables.decisions.c.at_s >= at.timestamp())


def _start_timers(connection: Connection, transfers: Iterable[Transfer], at_s: float) -> None:
    """Start each host's timer of its direction; a change of no workers starts none."""
    grow = [each.host for each in transfers if each.workers_to > each.workers_from]
    shrink = [each.host for each in transfers if each.workers_to < each.workers_from]
    upsert(connection, tables.timers, "grew_at_s", [{"host": host, "grew_at_s": at_s} for host in grow])
    upsert(connection, tables.timers, "shrank_at_s", [{"host": host, "shrank_at_s": at_s} for host in shrink])


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
