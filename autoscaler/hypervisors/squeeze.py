"""How far a donor may be shrunk now: at once into memory it does not use, step by step into memory that it does."""

from dataclasses import dataclass

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from autoscaler.core.strain import strain
from autoscaler.model import DomainObservation as Domain
from autoscaler.model import Pressure

# Left unused before the careful steps begin: a guest's page cache and its own bookkeeping live there.
EASY_MARGIN_MIB = 64

# What is asked for between two reports of a guest that is squeezed into its swap, and at once of one that is silent.
CAREFUL_STEP_MIB = 64
BLIND_STEP_MIB = 256


@dataclass
class Squeeze:
    """One donor on its way to ``goal_mib``; ``stopped`` says why it keeps more, ``strained`` that it began to swap.

    It keeps ``keep_usable_mib`` of memory that it does not use, whatever its use comes to on the way; with ``None`` it
    may be squeezed into its swap until it reads back from there.
    """

    name: str
    goal_mib: int
    keep_usable_mib: int | None
    stopped: str | None = None
    strained: bool = False
    _asked_mib: int | None = None
    _newest: Pressure | None = None
    _stepped_at_s: float = 0.0

    def next_ask(self, donor: Domain) -> int | None:
        """The balloon size to ask for now, ``None`` to leave the donor to what it was asked for."""
        if self.stopped is not None:
            return None
        ask = self._next(donor, donor.allocation.memory_mib)
        self._asked_mib = self._asked_mib if ask is None else ask
        return ask

    def _next(self, donor: Domain, present: int) -> int | None:
        reason = self._strain(donor.pressure)
        if reason is not None:
            self.strained = True
            return self._stop(present, reason)
        asked = present if self._asked_mib is None else self._asked_mib
        needs = self._needs(donor)
        if needs is not None and self.keep_usable_mib is not None and needs > asked + BALLOON_TOLERANCE_MIB:
            return self._stop(min(present, needs), f"it uses {donor.used_mib} MiB now")
        on_its_way = asked < present - BALLOON_TOLERANCE_MIB
        return None if on_its_way or present <= self.goal_mib + BALLOON_TOLERANCE_MIB else self._further(donor, needs)

    def _further(self, donor: Domain, needs: int | None) -> int | None:
        present = donor.allocation.memory_mib
        if donor.pressure is None:
            return self.goal_mib  # this hypervisor's guests never tell: there is nothing to watch
        if needs is None:
            # Its report is old: it may be in trouble already.
            return None if self.keep_usable_mib is not None else max(self.goal_mib, present - BLIND_STEP_MIB)
        easy = max(self.goal_mib, needs)
        if easy < present - BALLOON_TOLERANCE_MIB:
            return easy
        if self.keep_usable_mib is not None:
            return self._stop(present, f"it uses {donor.used_mib} MiB now")
        if donor.pressure.told_at_s <= self._stepped_at_s:
            return None
        self._stepped_at_s = donor.pressure.told_at_s
        return max(self.goal_mib, present - CAREFUL_STEP_MIB)

    def _needs(self, donor: Domain) -> int | None:
        margin = EASY_MARGIN_MIB if self.keep_usable_mib is None else self.keep_usable_mib
        return None if donor.used_mib is None else donor.used_mib + margin

    def _stop(self, memory_mib: int, reason: str) -> int:
        self.stopped = f"{self.name} keeps {memory_mib} MiB: {reason}"
        self.goal_mib = memory_mib
        return memory_mib

    def _strain(self, pressure: Pressure | None) -> str | None:
        before, self._newest = self._newest, pressure or self._newest
        return None if before is None or pressure is None else strain(before, pressure)
