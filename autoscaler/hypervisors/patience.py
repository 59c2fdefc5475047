"""How long a step may take: a balloon that comes no closer is given up, and so is one that is far too slow."""

from dataclasses import dataclass

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB

# However slowly it moves on, a step ends after so many stall times: a host in a transfer takes no new orders.
DEADLINE_STALLS = 10


@dataclass
class Patience:
    """One domain's step towards its goal; trembling by less than the tolerance is no movement."""

    first_mib: int
    stall_s: float
    moved: bool = False
    _closest: float = float("inf")
    _still_s: float = 0.0
    _waited_s: float = 0.0

    def look(self, present_mib: int, goal_mib: int, passed_s: float) -> None:
        """Take note of where the domain is after so many more seconds."""
        distance = abs(goal_mib - present_mib)
        self._still_s, self._waited_s = self._still_s + passed_s, self._waited_s + passed_s
        # A few pages more or less say nothing of the balloon's driver.
        near = distance <= 2 * BALLOON_TOLERANCE_MIB
        self.moved = self.moved or near or abs(present_mib - self.first_mib) > BALLOON_TOLERANCE_MIB
        if self._closest - distance > BALLOON_TOLERANCE_MIB:
            self._still_s, self._closest = 0.0, distance

    @property
    def over(self) -> bool:
        """Whether nothing is to be waited for any more."""
        return self._still_s > self.stall_s or self._waited_s > DEADLINE_STALLS * self.stall_s
