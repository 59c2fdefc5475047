"""What happens when: a heap of calls.

Of two at the same time, the one that was planned first comes first, after those that are to come before all others.
"""

import heapq
from collections.abc import Callable

Call = Callable[[float], None]


class Agenda:
    """Plans and runs calls in the order of their time, in seconds; each is told its time."""

    def __init__(self) -> None:
        self._planned: list[tuple[float, int, Call]] = []
        self._count = 0

    def plan(self, at_s: float, call: Call) -> None:
        """Let a call be made at this time."""
        self._count += 1
        heapq.heappush(self._planned, (at_s, self._count, call))

    def plan_before_all(self, at_s: float, call: Call) -> None:
        """Let a call be made at this time, before whatever else is planned for it."""
        self._count += 1
        heapq.heappush(self._planned, (at_s, -self._count, call))

    def run_until(self, end_s: float) -> None:
        """Make all calls before ``end_s``, those too that are planned meanwhile."""
        planned = self._planned
        while planned and planned[0][0] < end_s:
            at_s, _, call = heapq.heappop(planned)
            call(at_s)
