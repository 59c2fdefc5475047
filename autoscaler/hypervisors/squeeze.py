"""How far a donor may be shrunk now: at once into memory it does not use, step by step into memory that it does."""

from dataclasses import dataclass, field

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from autoscaler.core.strain import quiet, thrashing
from autoscaler.model import DomainObservation as Domain
from autoscaler.model import Pressure

# Left unused before the careful steps begin: a guest's page cache and its own bookkeeping live there.
EASY_MARGIN_MIB = 64

# What is asked for at a time of a guest that swaps, of one that has not begun to, and of one that is silent.
CAREFUL_STEP_MIB, FIRST_STEP_MIB, BLIND_STEP_MIB = 64, 16, 256

# A guest shows that a step hurts when its job comes back to the pages that it lost: not in the first report after it.
REPORTS_AFTER_STEP = 2


@dataclass
class Squeeze:
    """One donor on its way to ``goal_mib``; ``stopped`` says why it keeps more, ``strained`` that it needs what it has.

    It keeps ``keep_usable_mib`` of memory that it does not use, whatever its use comes to on the way; with ``None`` it
    may be squeezed into its swap, down to ``swap_down_to_mib`` and until it thrashes.
    """

    name: str
    goal_mib: int
    keep_usable_mib: int | None
    swap_down_to_mib: int = 0
    stopped: str | None = None
    strained: bool = False
    _asked_mib: int | None = None
    _reports: list[Pressure] = field(default_factory=list)
    _swapped_out_mib: float = 0.0
    _stepped: bool = False
    _dared: bool = False
    _arrived_at_s: float | None = None

    def next_ask(self, donor: Domain) -> int | None:
        """The balloon size to ask for now, ``None`` to leave the donor to what it was asked for."""
        if self.stopped is not None:
            return None
        self._listen(donor.pressure)
        ask = self._next(donor, donor.allocation.memory_mib)
        if ask is not None:
            self._asked_mib, self._arrived_at_s = ask, None
        return ask

    def _next(self, donor: Domain, present: int) -> int | None:
        sign = thrashing(self._reports)
        if sign is not None:
            return self._strain(present, sign)
        asked, least = present if self._asked_mib is None else self._asked_mib, self._least(donor)
        if least is not None and least > asked + BALLOON_TOLERANCE_MIB:
            return self._stop_at(least, donor)
        on_its_way = asked < present - BALLOON_TOLERANCE_MIB
        if on_its_way or present <= self.goal_mib + BALLOON_TOLERANCE_MIB or least is None:
            return None
        return self._further(donor, max(self.goal_mib, least))

    def _further(self, donor: Domain, goal: int) -> int | None:
        present = donor.allocation.memory_mib
        if goal >= present - BALLOON_TOLERANCE_MIB:
            return self._stop_at(goal, donor)
        if donor.pressure is None:
            return goal  # this hypervisor's guests never tell: there is nothing to watch
        if donor.used_mib is None:
            # Its report is old: it may be in trouble already.
            return max(goal, present - BLIND_STEP_MIB)
        easy = max(goal, donor.used_mib + EASY_MARGIN_MIB) if self.keep_usable_mib is None else goal
        return easy if easy < present - BALLOON_TOLERANCE_MIB else self._careful(present, goal)

    def _careful(self, present: int, goal: int) -> int | None:
        """The next step into memory in use, when the guest has told twice that it has got over the last one."""
        newest = self._reports[-1]
        if self._arrived_at_s is None:
            self._arrived_at_s = newest.told_at_s
        later = [report for report in self._reports if report.told_at_s > self._arrived_at_s]
        if len(later) < REPORTS_AFTER_STEP or not quiet(self._reports):
            return None
        # At the first step all that it ever swapped counts, later what it did since the last one.
        swapped_mib, self._swapped_out_mib = newest.swap_out_mib - self._swapped_out_mib, newest.swap_out_mib
        if swapped_mib >= 1 and self._stepped:
            return max(goal, present - CAREFUL_STEP_MIB)
        if newest.usable_mib <= 0 and swapped_mib < 1 and self._dared:
            # Without swap, or with a full one, a balloon does not stop: more steps would cost a job its life.
            return self._strain(present, "it has nothing left, and no swap takes any of it")
        self._stepped, self._dared = True, newest.usable_mib <= 0
        return max(goal, present - max(FIRST_STEP_MIB, min(newest.usable_mib // 2, CAREFUL_STEP_MIB)))

    def _least(self, donor: Domain) -> int | None:
        """The least that it may be asked for now; ``None`` where it must not swap and does not say what it uses."""
        if self.keep_usable_mib is not None:
            return None if donor.used_mib is None else donor.used_mib + self.keep_usable_mib
        if donor.used_mib is None:
            return self.swap_down_to_mib
        return min(donor.used_mib + EASY_MARGIN_MIB, self.swap_down_to_mib)

    def _stop_at(self, least: int, donor: Domain) -> int:
        uses = "does not say what it uses" if donor.used_mib is None else f"uses {donor.used_mib} MiB now"
        return self._stop(min(donor.allocation.memory_mib, least), f"it {uses}")

    def _strain(self, memory_mib: int, reason: str) -> int:
        self.strained = True
        return self._stop(memory_mib, reason)

    def _stop(self, memory_mib: int, reason: str) -> int:
        self.stopped = f"{self.name} keeps {memory_mib} MiB: {reason}"
        self.goal_mib = memory_mib
        return memory_mib

    def _listen(self, pressure: Pressure | None) -> None:
        if pressure is None:
            return
        if not self._reports or pressure.told_at_s < self._reports[-1].told_at_s:
            # The first one, or the guest's clock or its boot is another.
            self._reports, self._swapped_out_mib = [pressure], 0.0
        elif pressure.told_at_s > self._reports[-1].told_at_s:
            self._reports = [*self._reports[-3:], pressure]
