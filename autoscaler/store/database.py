"""What differs between the databases that can hold a store."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from autoscaler.contracts import StoreError


class LostTermError(StoreError):
    """Another controller leads by now: nothing is to be written or done any more for this term."""


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads: its name, since when, and in which term."""

    name: str
    since: datetime
    term: int


class Database(Protocol):
    """One database, by where it is. Everything but ``failure`` raises ``StoreError`` or what SQLAlchemy raises."""

    @property
    def name(self) -> str:
        """What messages call it: a path, or a URL without what is secret."""
        ...

    def engine(self, *, read_only: bool) -> Engine:
        """An engine whose commits are on disk when they return."""
        ...

    def begin_schema(self, connection: Connection) -> None:
        """Let no other program make or change the tables until this transaction ends."""
        ...

    def version(self, connection: Connection) -> int:
        """The version of the tables, 0 when there are none."""
        ...

    def set_version(self, connection: Connection, version: int) -> None:
        """Write the version, after the tables were made."""
        ...

    def check_there(self) -> None:
        """Raise unless what is written is still where it was opened."""
        ...

    def check_term(self, connection: Connection, term: int) -> None:
        """Raise ``LostTermError`` unless this is the newest term; it stays that until the transaction ends."""
        ...

    def leader(self, connection: Connection) -> Leader | None:
        """Who leads now, ``None`` when nobody does, or when there is only one controller."""
        ...

    def used_bytes(self, connection: Connection) -> int:
        """How much the decisions take, free space left out."""
        ...

    def failure(self, error: SQLAlchemyError) -> StoreError:
        """The same error in words that help, with ``name`` in front."""
        ...

    def not_opened(self, error: StoreError, *, read_only: bool) -> StoreError:
        """An error of the opening, in words that help more where there are any."""
        ...
