"""Carries out one host's transfer and verifies it.

The invariant, at every instant and after a crash at any line: the sum over all domains of max(observed, asked for)
stays within the host's memory for guests. Hence: donors are asked first; acceptors are asked only for what was read
back as free, in as many portions as it takes; weights and caps come last, because a domain without CPU cannot inflate
its balloon. The ledger (what each domain was asked for) is written *before* a domain is asked for more and *after* it
was asked for less, so that a crash between the two leaves the larger number.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from autoscaler.contracts import Hypervisor, HypervisorError, StoreError
from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from autoscaler.model import Allocation, Outcome, Result, Step, StepKind, Transfer
from autoscaler.model import DomainObservation as Domain

# A smaller portion is not worth a call of its own; a balloon moves more than this between two looks.
PORTION_MIB = 64

# However slowly it moves on, a transfer ends after so many stall times: a host in a transfer takes no new orders.
DEADLINE_STALLS = 10


@dataclass(frozen=True, slots=True)
class Edges:
    """What the engine needs of the world.

    ``wait`` sleeps for some seconds and returns True when the controller is stopping. ``record_asked`` writes the
    ledger durably. ``stall`` is how long nothing may move before the transfer ends as it is.
    """

    now: Callable[[], datetime]
    wait: Callable[[float], bool]
    record_asked: Callable[[str, int], None]
    stall: timedelta
    poll_s: float = 0.5


def carry_out(transfer: Transfer, hypervisor: Hypervisor, asked: Mapping[str, int], edges: Edges) -> Outcome:
    """Bring one host to its granted allocations; return what it came to, read back.

    A hypervisor or store that fails ends the transfer where it is; it never raises for them.
    """
    run = _Run(transfer, hypervisor, edges, dict(asked))
    began_at = edges.now()
    try:
        result, reason = run.move()
    except (HypervisorError, StoreError) as error:
        result, reason = Result.FAILED, str(error)
    return Outcome(transfer.host, result, reason, began_at, edges.now(), run.domains)


@dataclass
class _Run:
    """The state of one transfer on its way."""

    transfer: Transfer
    hypervisor: Hypervisor
    edges: Edges
    asked: dict[str, int]
    domains: tuple[Domain, ...] = ()
    unmanaged_mib: int = field(default=0)

    def move(self) -> tuple[Result, str]:
        """Memory first, read back; then CPU; return how it ended."""
        self._read()
        self._settle_unfinished()
        for step in self._steps(StepKind.SHRINK):
            # Below its target, a domain of which less is wanted than the ledger says grows there as acceptors do: what
            # the ledger claims may be of the domain's former life, and others hold that memory now.
            present = self._domain(step.domain).allocation.memory_mib
            self._ask(step.domain, min(step.after.memory_mib, present))
        stopped = self._pump()
        missing = self._missing()
        self._set_cpus(everything=not missing)
        self._read()
        if not missing:
            return Result.DONE, "reached and read back"
        if stopped:
            return Result.INTERRUPTED, f"the controller was stopped: {missing}"
        return Result.PARTIAL, f"stalled for {self.edges.stall.total_seconds():.0f} s, or far too slow: {missing}"

    def _settle_unfinished(self) -> None:
        """Repeat what the ledger says was asked for, a crash may have come before the call.

        Where the sum does not allow it (the domain was started anew with the ledger of its former life), take it back.
        """
        for step in self._steps(StepKind.GROW):
            domain = self._domain(step.domain)
            if domain.committed_mib <= domain.allocation.memory_mib:
                continue
            if self._free_mib() >= 0:
                self.hypervisor.set_memory(domain.name, domain.committed_mib)
            else:
                self._ask(domain.name, domain.allocation.memory_mib)

    def _pump(self) -> bool:
        """Hand over what is verified free until all is reached or nothing moves; return whether we were stopped."""
        stall_s = self.edges.stall.total_seconds()
        waited_s, still_s, closest = 0.0, 0.0, self._distance_mib()
        while still_s <= stall_s and waited_s <= DEADLINE_STALLS * stall_s:
            self._read()
            if self._give_free():
                self._read()
            if not self._missing():
                return False
            if self.edges.wait(self.edges.poll_s):
                return True
            waited_s, still_s = waited_s + self.edges.poll_s, still_s + self.edges.poll_s
            if closest - self._distance_mib() > BALLOON_TOLERANCE_MIB:
                still_s, closest = 0.0, self._distance_mib()
        return False

    def _give_free(self) -> bool:
        """Ask acceptors for what is free; return whether anything was asked.

        A last portion may be small, and short of what was wanted by what a donor's balloon settles above its target.
        """
        gave = False
        for step in self._memory_steps():
            domain = self._domain(step.domain)
            wanted = step.after.memory_mib - domain.committed_mib
            portion = min(wanted, self._free_mib())
            if portion > 0 and portion >= min(wanted - BALLOON_TOLERANCE_MIB, PORTION_MIB):
                self._ask(domain.name, domain.committed_mib + portion)
                gave = True
        return gave

    def _ask(self, domain: str, memory_mib: int) -> None:
        """Ask for a balloon size; the ledger holds the larger of the old and the new number meanwhile.

        It is the ledger that says which is the larger: a domain observed above ``memory_mib`` may be on its way below.
        """
        more = memory_mib > self.asked.get(domain, 0)
        if more:
            self._record(domain, memory_mib)
        self.hypervisor.set_memory(domain, memory_mib)
        if not more:
            self._record(domain, memory_mib)

    def _record(self, domain: str, memory_mib: int) -> None:
        self.edges.record_asked(domain, memory_mib)
        self.asked[domain] = memory_mib
        self._merge_asked(self.domains)

    def _set_cpus(self, *, everything: bool) -> None:
        """Set weights and caps; when memory is still missing, only raise them: who still gives memory needs its CPU."""
        for step in self._steps(StepKind.CPU):
            if everything or _raises(step.before, step.after):
                self.hypervisor.set_cpu(step.domain, step.after.cpu_weight, step.after.cpu_cap_cores)

    def _free_mib(self) -> int:
        committed = sum(domain.committed_mib for domain in self.domains)
        return self.transfer.memory_for_guests_mib - self.unmanaged_mib - committed

    def _missing(self) -> str:
        """Which domain has not reached its memory, in words; empty when all have."""
        found = ((step, self._domain(step.domain).allocation.memory_mib) for step in self._memory_steps())
        return "; ".join(
            f"{step.domain} has {memory} MiB, not {step.after.memory_mib} MiB"
            for step, memory in found
            if abs(memory - step.after.memory_mib) > BALLOON_TOLERANCE_MIB
        )

    def _read(self) -> None:
        domains, self.unmanaged_mib = self.hypervisor.read()
        self._merge_asked(domains)

    def _merge_asked(self, domains: tuple[Domain, ...]) -> None:
        self.domains = tuple(replace(domain, asked_mib=self.asked.get(domain.name)) for domain in domains)

    def _domain(self, name: str) -> Domain:
        return next(domain for domain in self.domains if domain.name == name)

    def _distance_mib(self) -> int:
        """How far all balloons together are from their goals."""
        return sum(
            abs(step.after.memory_mib - self._domain(step.domain).allocation.memory_mib)
            for step in self._memory_steps()
        )

    def _memory_steps(self) -> list[Step]:
        return [*self._steps(StepKind.SHRINK), *self._steps(StepKind.GROW)]

    def _steps(self, kind: StepKind) -> list[Step]:
        return [step for step in self.transfer.steps if step.kind is kind]


def _raises(before: Allocation, after: Allocation) -> bool:
    caps = [math.inf if cap is None else cap for cap in (before.cpu_cap_cores, after.cpu_cap_cores)]
    return after.cpu_weight >= before.cpu_weight and caps[1] >= caps[0]
