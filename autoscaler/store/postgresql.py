"""A store on a PostgreSQL server: for two controllers, of which one leads.

A store that does not answer must not hold a controller for ever, nor may a controller that does not go on hold up the
other one: either side gives up a session in which nothing comes from the other.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.waiting import Ready
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    create_engine,
    func,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool

from autoscaler.contracts import StoreError
from autoscaler.store.database import Leader, LostTermError
from autoscaler.store.tables import decisions

# The oldest server that ends sessions in which nothing happens.
LEAST_VERSION = 140000

# What is asked for is there in milliseconds; a query of history takes longer.
ANSWER_S = 10.0
CONNECT_S = 3
# How long what was sent may stay unconfirmed, and how soon a silent line is noticed.
SILENT_S = 4
# How long a controller that stopped within a transaction keeps what it has locked.
IDLE_IN_TRANSACTION_S = 4
WAIT_FOR_LOCK_S = 8
SETTINGS = {
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S}s",
    "lock_timeout": f"{WAIT_FOR_LOCK_S}s",
}

# Numbers that no other program uses in this database. The first keeps two apart that make the tables, the second one is
# held by who leads.
SCHEMA_LOCK, LEADER_LOCK = 0x7661660001, 0x7661660002

# Decisions are weighed by the newest ones: all of them would be gigabytes to look at.
WEIGHED = 1000

# The sessions of this database that hold the lock: its key is shown in two halves.
HELD = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND (classid::bigint << 32) | objid::bigint = %(key)s"
)
LEADS = f"SELECT leader, since_s, term FROM leadership WHERE leader IS NOT NULL AND EXISTS ({HELD})"  # noqa: S608 - constants

_metadata = MetaData()
_version = Table("store_version", _metadata, Column("version", Integer, nullable=False))
leadership = Table(
    "leadership",
    _metadata,
    Column("term", Integer, nullable=False),
    Column("leader", Text),
    Column("since_s", Float),
)


C = TypeVar("C", bound="BoundedConnection")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that breaks when the server does not answer in time."""

    answer_s = ANSWER_S

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """As the parent's, until the time is over."""
        return super().wait(self._until(gen, monotonic() + self.answer_s), *args, **options)

    def _until(self, gen: Generator[Any, Any, Any], give_up_at_s: float) -> Generator[Any, Any, Any]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready == Ready.NONE and monotonic() > give_up_at_s:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer within {self.answer_s:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """A database of a server, by its URL without a password, and the file of the password."""

    url: str
    password_file: Path | None = None

    @property
    def name(self) -> str:
        """The URL without its parameters."""
        return self.url.partition("?")[0]

    def connect(self, kind: type[C], settings: Mapping[str, str]) -> C:
        """Open a session with these settings of the server; raises ``StoreError`` and ``psycopg.Error``."""
        connection = kind.connect(self._conninfo({**SETTINGS, **settings}))
        if connection.info.server_version < LEAST_VERSION:
            connection.close()
            raise StoreError(f"store {self.name}: PostgreSQL 14 or newer is needed")
        return connection

    def _conninfo(self, settings: Mapping[str, str]) -> str:
        return make_conninfo(
            self.url,
            password=self._password(),
            connect_timeout=CONNECT_S,
            tcp_user_timeout=SILENT_S * 1000,
            keepalives_idle=SILENT_S // 2,
            keepalives_interval=1,
            keepalives_count=SILENT_S // 2,
            application_name="vaf-autoscaler",
            options=" ".join(f"-c {key}={value}" for key, value in settings.items()),
        )

    def _password(self) -> str | None:
        """Read anew for each session, so that it can be changed."""
        if self.password_file is None:
            return None
        try:
            return self.password_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            where = f"store.password_file {self.password_file}"
            raise StoreError(f"store {self.name}: {where} cannot be read: {reason}") from None

    def engine(self, *, read_only: bool) -> Engine:
        """An engine whose sessions are tried before they are used: the server may have been restarted."""
        settings = {"default_transaction_read_only": "on"} if read_only else {}
        # A command asks a few questions and goes.
        pool: dict[str, Any] = {"poolclass": NullPool} if read_only else {"poolclass": QueuePool, "pool_pre_ping": True}
        return create_engine("postgresql+psycopg://", creator=lambda: self.connect(BoundedConnection, settings), **pool)

    def begin_schema(self, connection: Connection) -> None:
        """Two controllers may start at the same time."""
        if not _read_only(connection):
            connection.execute(select(func.pg_advisory_xact_lock(SCHEMA_LOCK)))

    def version(self, connection: Connection) -> int:
        """The version, from a table of its own."""
        if connection.execute(select(func.to_regclass(_version.name))).scalar() is None:
            return 0
        return connection.execute(select(_version.c.version)).scalar() or 0

    def set_version(self, connection: Connection, version: int) -> None:
        """Write it, with the first version also that nobody has led yet."""
        _metadata.create_all(connection)
        connection.execute(_version.delete())
        connection.execute(_version.insert().values(version=version))
        if connection.execute(select(leadership.c.term)).first() is None:
            connection.execute(leadership.insert().values(term=0))

    def check_there(self) -> None:
        """Tables that are gone say so by themselves."""

    def check_term(self, connection: Connection, term: int) -> None:
        """Raise ``LostTermError`` for an old term; whoever takes over waits until the transaction ends."""
        row = connection.execute(select(leadership).with_for_update(read=True)).one()
        if row.term != term:
            raise LostTermError(f"store {self.name}: {row.leader} leads now, since term {row.term}; ours was {term}")

    def used_bytes(self, connection: Connection) -> int:
        """As many decisions as there are, each as large as the newest ones are on average.

        What the files of the tables take says nothing: removed rows stay in them as free space.
        """
        number = connection.execute(select(func.count()).select_from(decisions)).scalar_one()
        newest = text(
            "SELECT avg(pg_column_size(newest.*) + coalesce(outcome.bytes, 0)) FROM "
            "(SELECT * FROM decisions ORDER BY number DESC LIMIT :weighed) AS newest LEFT JOIN LATERAL "
            "(SELECT sum(pg_column_size(outcomes.*)) AS bytes FROM outcomes WHERE decision = newest.number) AS outcome "
            "ON true"
        )
        return int(number * (connection.execute(newest, {"weighed": WEIGHED}).scalar() or 0))

    def failure(self, error: SQLAlchemyError) -> StoreError:
        """What the server says, in one line."""
        return self.problem(error.__cause__ or error)

    def problem(self, cause: BaseException) -> StoreError:
        """An error of the driver, in one line."""
        return StoreError(f"store {self.name}: {' '.join(str(cause).split())}")

    def not_opened(self, error: StoreError, *, read_only: bool) -> StoreError:  # noqa: ARG002 - SQLite's concern
        """There is nothing to add."""
        return error

    def leader(self, connection: Connection) -> Leader | None:
        """Who leads now, ``None`` when nobody does."""
        return leader_of(connection.exec_driver_sql(LEADS, {"key": LEADER_LOCK}).first())


def leader_of(row: Row[Any] | Sequence[Any] | None) -> Leader | None:
    """Who leads, by the answer to ``LEADS``."""
    return None if row is None else Leader(row[0], datetime.fromtimestamp(row[1], UTC), row[2])


def _read_only(connection: Connection) -> bool:
    return bool(connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "on")
