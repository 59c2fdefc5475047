"""Waiting for conditions, and calls that hang until they are let go."""

import threading
import time
from collections.abc import Callable

# Long enough for a machine that does many other things; nothing ever waits so long when all is well.
DEADLINE_S = 30


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Poll until the condition is true."""
    give_up = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < give_up, f"still waiting for {what}"
        threading.Event().wait(0.005)


class Gate:
    """A place where a call hangs until the gate is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.reached = threading.Event()

    def pass_through(self) -> None:
        """Hang here."""
        self.reached.set()
        assert self._open.wait(DEADLINE_S), "the gate was never opened"

    def open(self) -> None:
        """Let go whoever hangs, and all who come."""
        self._open.set()
