"""Adds up what the whole facility uses while rates stay as they are, and hands the sums over cycle by cycle."""

from array import array
from dataclasses import dataclass, field

import numpy as np

from autoscaler.simulation.run import Cycles


@dataclass(slots=True)
class Meter:
    """CPU in cores, memory in MiB, and PROOF workers as they are now, and the sums over time since the last cycle.

    Machines add the difference whenever something of theirs changes; ``advance`` comes before.
    """

    interval_s: float
    at_s: float = 0.0
    wn_wanted_cores: float = 0.0
    wn_used_cores: float = 0.0
    proof_used_cores: float = 0.0
    proof_memory_mib: float = 0.0
    wn_memory_mib: float = 0.0
    swap_in_mib_per_s: float = 0.0
    workers: int = 0
    free_workers: int = 0
    _sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0, 0.0, 0.0])
    # What the cycle began with, ``None`` before the first one.
    _memory_mib: tuple[float, float] | None = None
    _rows: "array[float]" = field(default_factory=lambda: array("d"))

    def advance(self, at_s: float) -> None:
        """Let the present rates have held until ``at_s``."""
        passed_s = at_s - self.at_s
        if passed_s > 0:
            sums = self._sums
            sums[0] += self.wn_wanted_cores * passed_s
            sums[1] += self.wn_used_cores * passed_s
            sums[2] += self.proof_used_cores * passed_s
            sums[3] += self.free_workers * passed_s
            if self.swap_in_mib_per_s:
                sums[4] += self.swap_in_mib_per_s * passed_s
            self.at_s = at_s

    def read_back(self, mib: float) -> None:
        """So much comes out of swap at once."""
        self._sums[4] += mib

    def begin_cycle(self) -> None:
        """Close the cycle that ends now, and begin the next with the memory that there is."""
        if self._memory_mib is not None:
            self._close(self._memory_mib)
        self._memory_mib = self.proof_memory_mib, self.wn_memory_mib

    def cycles(self) -> Cycles:
        """Close the last cycle and return all of them."""
        if self._memory_mib is not None:
            self._close(self._memory_mib)
        columns = np.frombuffer(self._rows, dtype=np.float64).reshape(-1, 7).T.copy()
        return Cycles(self.interval_s, *columns)

    def _close(self, memory_mib: tuple[float, float]) -> None:
        self._rows.extend(self._sums)
        self._rows.extend(memory_mib)
        self._sums = [0.0, 0.0, 0.0, 0.0, 0.0]
