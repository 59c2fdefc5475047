"""Which of several controllers leads: the one whose session holds a lock of the database, for as long as it lives.

The server ends a session in which nothing happens for ``SESSION_S``, and with it the lock: of a leader that hangs, or
is cut off. Each time that the lock is taken a new *term* begins; what an earlier one still wants to write is refused
(``check_term``).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, LiteralString, TypeVar

import psycopg

from autoscaler.contracts import StoreError
from autoscaler.store.database import Leader
from autoscaler.store.postgresql import HELD, LEADER_LOCK, LEADS, BoundedConnection, PostgresDatabase, leader_of

T = TypeVar("T")

# A leader counts itself as deposed after this time without an answer (``LEASE_S`` of the service), which is less.
SESSION_S = 6

_MINE = f"{HELD} AND pid = pg_backend_pid()"


class _Session(BoundedConnection):
    answer_s = 3.0


@dataclass
class Election:
    """One controller's part in it, under its name; every method raises ``StoreError``. For one thread."""

    database: PostgresDatabase
    name: str
    _session: _Session | None = field(default=None, init=False)

    def campaign(self) -> int | None:
        """Try to lead; return the new term, ``None`` when somebody else leads."""
        return self._asking(self._campaign)

    def beat(self) -> None:
        """Show the server that this controller lives, and make sure that it still holds the lock."""
        self._asking(self._beat)

    def leader(self) -> Leader | None:
        """Who leads, ``None`` when nobody does."""
        return self._asking(self._leader)

    def resign(self) -> None:
        """Give up the session, and with it the lock."""
        if self._session is not None:
            self._session.close()
        self._session = None

    def _asking(self, ask: Callable[[_Session], T]) -> T:
        try:
            session = self._session or self._open()
            return ask(session)
        except psycopg.Error as error:
            self.resign()
            raise self.database.problem(error) from None
        except BaseException:
            # Whatever it was: a lock that nobody watches over would keep the others from leading.
            self.resign()
            raise

    def _open(self) -> _Session:
        session = self.database.connect(_Session, {"idle_session_timeout": f"{SESSION_S}s"})
        session.autocommit = True
        self._session = session
        return session

    def _campaign(self, session: _Session) -> int | None:
        if not _one(session, "SELECT pg_try_advisory_lock(%(key)s)"):
            return None
        # Waits for what the last leader has in writing; what it writes then is of an old term.
        begin = "UPDATE leadership SET term = term + 1, leader = %(name)s, since_s = %(now_s)s RETURNING term"
        term = _one(session, begin, name=self.name, now_s=time.time())
        if term is None:
            # One that is written anew would begin with a term that was used already.
            raise StoreError(f"store {self.database.name}: its table leadership has no row: restore the database")
        return int(term)

    def _beat(self, session: _Session) -> None:
        if _one(session, _MINE) is None:
            raise StoreError(
                f"store {self.database.name}: the session has lost its lock; is there a pooler in front of the server?"
            )

    def _leader(self, session: _Session) -> Leader | None:
        return leader_of(session.execute(LEADS, {"key": LEADER_LOCK}).fetchone())


def _one(session: _Session, query: LiteralString, **values: str | float) -> Any:
    """The first value of the first row, ``None`` when there is no row."""
    row = session.execute(query, {"key": LEADER_LOCK, **values}).fetchone()
    return None if row is None else row[0]
