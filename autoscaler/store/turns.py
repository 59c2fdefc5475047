"""Writes of many threads, in few transactions: making one durable takes as long as making a thousand durable at once.

SQLite lets one writer in at a time and turns away who waits too long; a thousand hosts in a transfer would be that.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError

from autoscaler.store.database import LostTermError

T = TypeVar("T")

# What is wrong with one write alone; a full disk is everybody's.
_ITS_OWN = (IntegrityError, DataError, LostTermError)


@dataclass(frozen=True, slots=True)
class _Write:
    do: Callable[[Connection], Any]
    done: Future[Any] = field(default_factory=Future)


class Turns:
    """Who comes while another one commits is written with the next commit, together with all who wait.

    Between two commits lie ``pause_s`` seconds, in which another process finds the database free.
    """

    def __init__(self, transaction: Callable[[], AbstractContextManager[Connection]], pause_s: float = 0.0) -> None:
        self._transaction = transaction
        self._pause_s = pause_s
        self._next_s = float("-inf")
        self._waiting: deque[_Write] = deque()
        self._turn = threading.Lock()

    def write(self, do: Callable[[Connection], T]) -> T:
        """Return what ``do`` returned, when it is durable; raise what it or the commit raised."""
        mine = _Write(do)
        self._waiting.append(mine)
        with self._turn:
            if not mine.done.done():
                time.sleep(max(0.0, self._next_s - time.monotonic()))
                self._commit([self._waiting.popleft() for _ in range(len(self._waiting))])
                self._next_s = time.monotonic() + self._pause_s
        result: T = mine.done.result()
        return result

    def _commit(self, writes: list[_Write]) -> None:
        try:
            with self._transaction() as connection:
                results = [write.do(connection) for write in writes]
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            if isinstance(error, _ITS_OWN) and len(writes) > 1:
                # One that is refused must not take the others with it.
                for write in writes:
                    self._commit([write])
            else:
                for write in writes:
                    write.done.set_exception(error)
        else:
            for write, result in zip(writes, results, strict=True):
                write.done.set_result(result)
