"""The store on SQLite, through SQLAlchemy: what a method wrote is durable when it returns."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Select,
    create_engine,
    event,
    func,
    inspect,
    select,
    tuple_,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from autoscaler.contracts import DamagedStoreError, StoreError
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
from autoscaler.store.tunings import Begun, announce_session, carry_out_plan, end_rules, standing_tunings
from autoscaler.store.turns import Turns
from autoscaler.store.upsert import upsert

T = TypeVar("T")

# Raised with every change of the tables; a file of another version is refused, not guessed at.
SCHEMA_VERSION = 4

# What SQLite says to a reader that may not make the shared memory of the file, which a writer keeps while it runs.
_NO_SHARED_MEMORY = ("unable to open database file", "attempt to write a readonly database")

# What Python says of a text whose bytes are garbage, while SQLite finds nothing wrong with its pages.
_NO_TEXT = "Could not decode to UTF-8"
# What SQLite calls a file that holds something else than it wrote.
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
DAMAGED_ADVICE = "the file is damaged; `autoscaler set-aside` moves it aside, and the controller begins a new one"

# The number of a row.
LARGEST = 2**63 - 1

# What is streamed is held in memory so many at a time; each is some kilobytes.
STREAMED_AT_ONCE = 200


class NoDecisionError(StoreError):
    """There is no decision of that number."""


class SqlStore:
    """Decisions, outcomes, timers, orders, tunings and the ledger of one facility in one SQLite file."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open ``path``, creating it unless ``read_only``; raises ``StoreError``."""
        self._path = path
        _check_path(path, read_only=read_only)
        self._engine = _engine(path, read_only=read_only)
        self._turns = Turns(self._engine.begin)
        try:
            with self._transaction() as connection:
                self._prepare(connection, read_only=read_only)
        except StoreError as error:
            self.close()
            if read_only and str(error).endswith(_NO_SHARED_MEMORY):
                raise StoreError(
                    f"store {path} cannot be read by this user while no controller runs: run this as the controller's "
                    "user, or while the controller runs"
                ) from None
            raise

    def _prepare(self, connection: Connection, *, read_only: bool) -> None:
        version = _version(connection)
        if not version and not tables.metadata.tables.keys() >= set(inspect(connection).get_table_names()):
            raise StoreError(f"store {self._path} is the database of another program")
        if version < SCHEMA_VERSION and not read_only:
            # So far, newer versions only add tables.
            tables.metadata.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif not version:
            raise StoreError(f"store {self._path} is empty: has `autoscaler run` run?")
        elif version != SCHEMA_VERSION:
            older = ": start the controller once, it brings it up to date" if version < SCHEMA_VERSION else ""
            raise StoreError(f"store {self._path} is of version {version}, this program of {SCHEMA_VERSION}{older}")

    def record_decision(self, decision: Decision) -> int:
        """Write a decision and start the timers of its transfers, return its number."""
        if not self._path.exists():
            # SQLite goes on writing into the removed file: nothing would fail, and a crash would lose everything.
            raise StoreError(f"store {self._path} was removed while in use: restart the controller to begin a new one")
        at_s, changes = decision.at.timestamp(), bool(decision.transfers)
        row = {"at_s": at_s, "changes": changes, "body": decision_to_json(decision)}

        def write(connection: Connection) -> int:
            number: int = connection.execute(tables.decisions.insert().values(row)).inserted_primary_key[0]  # type: ignore[index]
            _start_timers(connection, decision.transfers, at_s)
            return number

        return self._write(write)

    def record_outcome(self, decision: int, outcome: Outcome) -> None:
        """Write what became of one of the decision's transfers."""
        row = {"decision": decision, "host": outcome.host, "body": outcome_to_json(outcome)}
        self._write(lambda connection: connection.execute(tables.outcomes.insert().values(row)))

    def record_asked(self, host: str, domain: str, memory_mib: int) -> None:
        """Write which balloon size a domain is asked for."""
        row = {"host": host, "domain": domain, "memory_mib": memory_mib}
        self._write(lambda connection: upsert(connection, tables.asked, "memory_mib", [row]))

    def asked(self) -> Mapping[tuple[str, str], int]:
        """The balloon size last asked for, MiB by (host, domain)."""
        with self._transaction() as connection:
            return {(row.host, row.domain): row.memory_mib for row in connection.execute(select(tables.asked))}

    def record_strain(self, host: str, at: datetime) -> None:
        """Write that a donor of the host began to swap."""
        row = {"host": host, "at_s": at.timestamp()}
        self._write(lambda connection: upsert(connection, tables.strains, "at_s", [row]))

    def record_quarantine(self, host: str, quarantine: Quarantine | None) -> None:
        """Write the quarantine a host is in, ``None`` lifts it."""
        if quarantine is None:
            lift = tables.quarantines.delete().where(tables.quarantines.c.host == host)
            self._write(lambda connection: connection.execute(lift))
            return
        row = {"host": host, "body": quarantine_to_json(quarantine)}
        self._write(lambda connection: upsert(connection, tables.quarantines, "body", [row]))

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
            raise StoreError(f"store {self._path}: a pause or an override cannot be read: it is damaged") from None

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
            raise StoreError(f"store {self._path}: a tuning cannot be read: it is damaged") from None

    def record(self, number: int) -> Record:
        """The decision of that number; raises ``StoreError`` when there is none."""
        # A larger number is none that SQLite could be asked for.
        found = (
            self._records(select(tables.decisions).where(tables.decisions.c.number == number))
            if 0 < number <= LARGEST
            else []
        )
        if not found:
            raise NoDecisionError(f"store {self._path} holds no decision {number}")
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
        return self._write(lambda connection: prune(connection, tables.decisions, tables.outcomes, keep, now))

    def close(self) -> None:
        """Close the file."""
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
            raise StoreError(f"store {self._path}: decision {row.number} cannot be read: {reason}") from None

    def _write(self, do: Callable[[Connection], T]) -> T:
        with self._errors():
            return self._turns.write(do)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = error.__cause__ or error
            if str(cause).startswith(_NO_TEXT):
                # It goes on with all that it could not read.
                raise DamagedStoreError(f"store {self._path}: a text in it is none: {DAMAGED_ADVICE}") from None
            if getattr(cause, "sqlite_errorname", "").startswith(_DAMAGED):
                raise DamagedStoreError(f"store {self._path}: {cause}: {DAMAGED_ADVICE}") from None
            raise StoreError(f"store {self._path}: {cause}") from None


def _since(at: datetime | None) -> Select[Any]:
    query = select(tables.decisions)
    return query if at is None else query.where(tables.decisions.c.at_s >= at.timestamp())


def _start_timers(connection: Connection, transfers: Iterable[Transfer], at_s: float) -> None:
    """Start each host's timer of its direction; a change of no workers starts none."""
    grow = [each.host for each in transfers if each.workers_to > each.workers_from]
    shrink = [each.host for each in transfers if each.workers_to < each.workers_from]
    upsert(connection, tables.timers, "grew_at_s", [{"host": host, "grew_at_s": at_s} for host in grow])
    upsert(connection, tables.timers, "shrank_at_s", [{"host": host, "shrank_at_s": at_s} for host in shrink])


def _check_path(path: Path, *, read_only: bool) -> None:
    """Refuse what SQLite would refuse in words that do not help; raises ``StoreError``."""
    try:
        exists = path.exists()
    except OSError as error:
        raise StoreError(f"store {path} cannot be reached: {error.strerror}") from None
    if path.is_dir():
        raise StoreError(f"store {path} is a folder, not a file")
    if not exists and (read_only or not path.parent.is_dir()):
        raise StoreError(f"store {path} {_why_missing(path, read_only=read_only)}")
    if exists and not os.access(path, os.R_OK if read_only else os.R_OK | os.W_OK, effective_ids=True):
        raise StoreError(f"store {path} may not be {'read' if read_only else 'written'} by this user")


def _why_missing(path: Path, *, read_only: bool) -> str:
    if not read_only:
        return "cannot be made: no such folder"
    if not path.parent.is_dir():
        return "does not exist, nor does its folder: is controller.store the right one?"
    return "does not exist yet: has `autoscaler run` run?"


def _engine(path: Path, *, read_only: bool) -> Engine:
    database = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    engine = create_engine(URL.create("sqlite", database=database, query={"uri": "true"}))

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        if not read_only:
            # Readers (status, explain) never block the loop, and a commit is on disk when it returns.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def _version(connection: Connection) -> int:
    version: int = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    return version


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
