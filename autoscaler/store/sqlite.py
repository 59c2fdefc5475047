"""A store in one SQLite file: for one controller."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from autoscaler.contracts import DamagedStoreError, StoreError

# What SQLite says to a reader that may not make the shared memory of the file, which a writer keeps while it runs.
_NO_SHARED_MEMORY = ("unable to open database file", "attempt to write a readonly database")

# What Python says of a text whose bytes are garbage, while SQLite finds nothing wrong with its pages.
_NO_TEXT = "Could not decode to UTF-8"
# What SQLite calls a file that holds something else than it wrote.
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
DAMAGED_ADVICE = "the file is damaged; `autoscaler set-aside` moves it aside, and the controller begins a new one"


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A file, by its path."""

    path: Path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def engine(self, *, read_only: bool) -> Engine:
        """An engine for the file, which is made unless ``read_only``; raises ``StoreError``."""
        _check_path(self.path, read_only=read_only)
        database = f"{self.path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        engine = create_engine(URL.create("sqlite", database=database, query={"uri": "true"}))

        @event.listens_for(engine, "connect")
        def _pragmas(connection: Any, _record: Any) -> None:
            if not read_only:
                # Readers (status, explain) never block the loop, and a commit is on disk when it returns.
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")

        return engine

    def begin_schema(self, _connection: Connection) -> None:
        """SQLite lets one writer in at a time."""

    def version(self, connection: Connection) -> int:
        """The version that the file itself carries."""
        version: int = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        return version

    def set_version(self, connection: Connection, version: int) -> None:
        """Write it into the file's header."""
        connection.exec_driver_sql(f"PRAGMA user_version = {version}")

    def check_there(self) -> None:
        """Raise ``StoreError`` when the file was removed."""
        if not self.path.exists():
            # SQLite goes on writing into the removed file: nothing would fail, and a crash would lose everything.
            raise StoreError(f"store {self.path} was removed while in use: restart the controller to begin a new one")

    def check_term(self, _connection: Connection, _term: int) -> None:
        """There is one controller, by ``alone``."""

    def leader(self, _connection: Connection) -> None:
        """Whoever runs it."""

    def used_bytes(self, connection: Connection) -> int:
        """The pages of the file that are not free."""
        names = ("page_count", "freelist_count", "page_size")
        pages, free, size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names)
        return int((pages - free) * size)

    def failure(self, error: SQLAlchemyError) -> StoreError:
        """What is wrong with the file, and what to do."""
        cause = error.__cause__ or error
        if str(cause).startswith(_NO_TEXT):
            # It goes on with all that it could not read.
            return DamagedStoreError(f"store {self.path}: a text in it is none: {DAMAGED_ADVICE}")
        if getattr(cause, "sqlite_errorname", "").startswith(_DAMAGED):
            return DamagedStoreError(f"store {self.path}: {cause}: {DAMAGED_ADVICE}")
        return StoreError(f"store {self.path}: {cause}")

    def not_opened(self, error: StoreError, *, read_only: bool) -> StoreError:
        """Who may read the file, but not make what SQLite keeps beside it, is told."""
        if read_only and str(error).endswith(_NO_SHARED_MEMORY):
            return StoreError(
                f"store {self.path} cannot be read by this user while no controller runs: run this as the controller's "
                "user, or while the controller runs"
            )
        return error


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Be the only controller of this file while the ``with`` block runs; raises ``StoreError`` when one is there.

    The lock is on a file beside it: closing any handle of the database's own file would end SQLite's locks on it.
    Whoever comes by another name, a symbolic link, finds the same one.
    """
    _check_path(path, read_only=False)
    beside = _lock_of(path)
    try:
        lock = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"store {path}: {beside.name} cannot be made beside it: {error.strerror}") from None
    try:
        _take(lock, path, "an SQLite file is for one controller, two need PostgreSQL (store.url)")
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(lock)  # the kernel lets go of the lock, also when the process is killed


@contextmanager
def without_controller(path: Path) -> Iterator[None]:
    """Keep controllers away from this file while the ``with`` block runs; raises ``StoreError`` when one is there.

    Nothing is made beside it: root's lock file would keep out the controller's user. Where there is none, no controller
    has used the store.
    """
    beside = _lock_of(path)
    try:
        lock = os.open(beside, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    except OSError as error:
        raise StoreError(f"store {path}: {beside.name} beside it cannot be opened: {error.strerror}") from None
    try:
        _take(lock, path, "stop the controller before")
        yield
    finally:
        os.close(lock)


def _lock_of(path: Path) -> Path:
    file = Path(os.path.realpath(path))
    return file.with_name(f"{file.name}.lock")


def _take(lock: int, path: Path, advice: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(lock, 32).decode(errors="replace").strip()
        who = f"process {pid}" if pid else "another controller"
        raise StoreError(f"store {path} is in use by {who}: {advice}") from None
    except OSError as error:
        raise StoreError(f"store {path}: {path.name}.lock cannot be locked: {error.strerror}") from None


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
