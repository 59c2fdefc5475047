"""Whether a controller still leads, for many hosts at once: who comes while it is asked shares the next answer."""

import threading
import time
from collections.abc import Callable

from autoscaler.contracts import StoreError

# So old may an answer be when a host is written to. A process that is stopped while it waits for one reads it when it
# goes on, and another controller may lead by then: after more than five seconds of silence (``SESSION_S``).
ANSWER_HOLDS_S = 3.0
ASKED_AGAIN = 3


class Confirmation:
    """Calls ``ask``, which raises ``StoreError`` when the answer is no."""

    def __init__(self, ask: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._turn = threading.Lock()
        self._asked_at_s = -float("inf")
        self._refused: StoreError | None = None

    def confirm(self) -> None:
        """Return when it was asked after this call began, and the answer was yes and is fresh; raise ``StoreError``."""
        for _ in range(ASKED_AGAIN):
            asked_at_s = self._answered_since(self._clock())
            if self._clock() - asked_at_s < ANSWER_HOLDS_S:
                return
        raise StoreError("the store answers too late to know whether this controller still leads")

    def _answered_since(self, came_at_s: float) -> float:
        """When it was asked, not before ``came_at_s``."""
        with self._turn:
            if self._asked_at_s < came_at_s:
                self._asked_at_s = self._clock()
                self._refused = self._answer()
            if self._refused is not None:
                raise self._refused
            return self._asked_at_s

    def _answer(self) -> StoreError | None:
        try:
            self._ask()
        except StoreError as error:
            return error
        return None
