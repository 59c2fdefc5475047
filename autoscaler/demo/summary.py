"""What the demonstrated day came to: changes, memory moved, the host sum, and the time of one cycle."""

from collections import Counter
from dataclasses import dataclass, field
from statistics import fmean

from autoscaler.core.allocation import memory_for_guests_mib
from autoscaler.model import Facility, HostObservation, StepKind
from autoscaler.store.records import Record


@dataclass
class Summary:
    """Sums over the cycles; ``closest_mib`` is the least memory ever left of any host's memory for guests."""

    cycles: int = 0
    changed_hosts: int = 0
    moved_mib: int = 0
    results: Counter[str] = field(default_factory=Counter)
    closest_mib: int | None = None
    read_s: list[float] = field(default_factory=list)
    decide_s: list[float] = field(default_factory=list)
    act_s: list[float] = field(default_factory=list)

    def add(self, record: Record, facility: Facility, hosts: tuple[HostObservation, ...]) -> None:
        """Add one cycle with the hosts as they are after it."""
        self.cycles += 1
        for transfer in record.decision.transfers:
            self.changed_hosts += 1
            growth = (step.after.memory_mib - step.before.memory_mib for step in transfer.steps)
            kinds = (step.kind for step in transfer.steps)
            self.moved_mib += sum(mib for mib, kind in zip(growth, kinds, strict=True) if kind is StepKind.GROW)
        self.results.update(outcome.result.value for outcome in record.outcomes)
        left = [memory_for_guests_mib(facility.host(seen.host), seen) - seen.committed_mib for seen in hosts]
        self.closest_mib = min(left if self.closest_mib is None else [*left, self.closest_mib])

    def lines(self) -> list[str]:
        """The summary in words."""
        results = ", ".join(f"{count} {result}" for result, count in sorted(self.results.items())) or "none"
        return [
            f"{self.cycles} cycles, {self.changed_hosts} transfers ({results}), {self.moved_mib / 1024:.1f} GiB moved",
            self._sum_in_words(),
            "time of one cycle: " + ", ".join(f"{name} {value:.1f} ms" for name, value in self.mean_ms().items()),
        ]

    def _sum_in_words(self) -> str:
        left = self.closest_mib or 0
        if left < 0:
            return f"THE HOST SUM WAS EXCEEDED by {-left} MiB"
        return f"the host sum held: at the closest, {left} MiB of a host's memory for guests were left"

    def mean_ms(self) -> dict[str, float]:
        """Mean time of reading, deciding, and acting (over the cycles that changed something), in milliseconds."""
        parts = {"read": self.read_s, "decide": self.decide_s, "act": self.act_s}
        return {name: 1000 * fmean(times) if times else 0.0 for name, times in parts.items()}
