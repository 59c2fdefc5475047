"""Removes old decisions beside the cycles, in a thread that is not theirs."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from autoscaler.contracts import StoreError
from autoscaler.store.retention import Keep

_log = logging.getLogger("autoscaler")

EVERY_S = 600
# Between two batches others write; a cycle then waits for one batch at most.
PAUSE_S = 0.1


class Retention:
    """Calls ``prune`` until there is nothing left to remove; told once when that cannot be done."""

    def __init__(self, prune: Callable[[Keep, datetime], int], keep: Keep, clock: Callable[[], datetime]) -> None:
        self.keep = keep
        self._prune = prune
        self._clock = clock
        self._ending = threading.Event()
        self._told: str | None = None

    def run(self) -> None:
        """Remove what is too old or too much; never raises ``StoreError``."""
        removed = 0
        try:
            while not self._ending.is_set() and (batch := self._prune(self.keep, self._clock())):
                removed += batch
                self._ending.wait(PAUSE_S)
        except StoreError as error:
            if str(error) != self._told:
                _log.error("old decisions cannot be removed: %s", error)
            self._told = str(error)
            return
        self._told = None
        if removed:
            _log.info("%d old decisions were removed from the store", removed)

    def end(self) -> None:
        """Let the batch that runs be the last."""
        self._ending.set()
