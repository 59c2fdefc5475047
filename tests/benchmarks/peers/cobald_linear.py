"""COBalD's own LinearController, over a pool whose users are the PROOF sessions of the window."""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from cobald.controller.linear import LinearController
from cobald.decorator.limiter import Limiter
from cobald.interfaces import Pool

from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Demand, Window
from tests.benchmarks.peers.site import UNKNOWN, Site


class WorkerPool(Pool):
    """Workers as COBalD sees them: supplied as soon as demanded, and used by who wants them, waiting or running.

    A waiting session uses what is there, although PROOF's only begin with all of their workers: the controller would
    take the first workers away again before the last ones came. A pool of nothing is full when somebody wants it, and
    idle when nobody does; cobald's composites call it full, which brings workers that nobody wants.
    """

    demand = 0.0

    def __init__(self) -> None:
        self.wanted = 0.0

    @property
    def supply(self) -> float:
        """The workers that are there."""
        return self.demand

    @property
    def allocation(self) -> float:
        """The share of them that sessions have or wait for."""
        if self.wanted >= self.supply:
            return 1.0 if self.wanted else 0.0
        return self.wanted / self.supply

    @property
    def utilisation(self) -> float:
        """The same: a worker of a session is busy."""
        return self.allocation


@dataclass(slots=True)
class CobaldLinear:
    """If utilisation < low, demand falls by ``rate * interval``, else if allocation > high, it grows by as much.

    The controller is cobald's (0.14, controller/linear.py), with its defaults: 0.5, 0.5, 1 worker a second, each
    second. It runs all its steps of a cycle on the load that the cycle sees, and cobald's ``Limiter`` keeps it between
    0 and what the site has.
    """

    signals: ClassVar[tuple[str, ...]] = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS)
    history: ClassVar[timedelta] = timedelta(0)

    site: Site
    low_utilisation: float = 0.5
    high_allocation: float = 0.5
    rate: float = 1
    interval_s: float = 1
    _pool: WorkerPool = field(init=False, repr=False)
    _controller: LinearController = field(init=False, repr=False)
    _at: datetime | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._pool = WorkerPool()
        limited = Limiter(self._pool, minimum=0, maximum=self.site.workers_max)
        self._controller = LinearController(
            limited, self.low_utilisation, self.high_allocation, self.rate, self.interval_s
        )

    def __reduce__(self) -> tuple[type["CobaldLinear"], tuple[Any, ...]]:
        """Go to another process: one is made there and remembers nothing yet, as cobald's controller cannot go."""
        return CobaldLinear, (self.site, self.low_utilisation, self.high_allocation, self.rate, self.interval_s)

    def decide(self, window: Window) -> Demand:
        """Let the controller regulate as often as its interval has passed since the last cycle."""
        elapsed_s = (window.now - self._at).total_seconds() if self._at else self.interval_s
        self._at = window.now
        wanted = self.site.wanted(window)
        if wanted is None:
            return Demand(None, UNKNOWN)
        self._pool.wanted = wanted
        for _ in range(max(1, round(elapsed_s / self.interval_s))):
            before = self._pool.demand
            self._controller.regulate(self.interval_s)
            if self._pool.demand == before:
                break  # the load is the same until the next cycle, and so is every further step
        reason = f"{wanted:g} workers wanted, allocation {self._pool.allocation:.2f}"
        return Demand(math.ceil(self._pool.demand), reason)
