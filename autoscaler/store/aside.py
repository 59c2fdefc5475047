"""A damaged store is moved aside, never repaired and never removed: somebody may still want to read from it."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from autoscaler.contracts import StoreError

# The journal and the shared memory belong to the file: beside a new one they would be taken for its own.
_PARTS = ("", "-wal", "-shm")


def damage(path: Path) -> str | None:
    """What SQLite finds wrong with the file, ``None`` when it is sound; raises ``StoreError``."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            found: list[str] = [row[0] for row in connection.execute("PRAGMA integrity_check(1)")]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return str(error)
        raise StoreError(f"store {path}: {error}") from None
    return None if found == ["ok"] else found[0]


def set_aside(path: Path, now: datetime) -> Path:
    """Move the file away under a name with the time; raises ``StoreError``."""
    aside = path.with_name(f"{path.name}.damaged-{now:%Y%m%dT%H%M%SZ}")
    try:
        for part in _PARTS:
            source = path.with_name(path.name + part)
            if source.exists():
                source.rename(aside.with_name(aside.name + part))
    except OSError as error:
        raise StoreError(f"store {path} cannot be moved aside: {error.strerror}") from None
    return aside
