"""How a controller takes its store: alone, or as one of several of which one leads."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from autoscaler.service.leader import Leadership
from autoscaler.store.sqlite import alone

if TYPE_CHECKING:
    from autoscaler.store.postgresql import PostgresDatabase


def taken(place: "Path | PostgresDatabase") -> AbstractContextManager[None]:
    """Keep other controllers away from an SQLite file; raises ``StoreError`` when one is there."""
    return alone(place) if isinstance(place, Path) else nullcontext()


@contextmanager
def leadership_in(place: "Path | PostgresDatabase", changed: Callable[[], None]) -> Iterator[Leadership | None]:
    """Take part in who leads, until the ``with`` block ends; ``None`` for a file, which has one controller.

    The tables of the database have to be there.
    """
    if isinstance(place, Path):
        yield None
        return
    from autoscaler.store.election import Election  # noqa: PLC0415 - of an extra that few sites need

    leadership = Leadership(Election(place, f"{socket.gethostname()} (process {os.getpid()})"), changed)
    leadership.begin()
    try:
        yield leadership
    finally:
        leadership.end()
