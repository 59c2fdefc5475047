"""Carries out one host's transfer and verifies it.

The invariant, at every instant and after a crash at any line: the sum over all domains of max(observed, asked for)
stays within the host's memory for guests (``books.py``). Hence: donors are asked first; acceptors are asked only for
what was read back as free, in as many portions as it takes; weights and caps come when the donors are done, because a
domain without CPU cannot inflate its balloon, nor soon empty it. A step that ends early takes back what it asked for:
nothing moves when nobody looks.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from autoscaler.contracts import Hypervisor, HypervisorError, StoreError
from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB, cap_cores
from autoscaler.hypervisors.books import Books
from autoscaler.hypervisors.patience import Patience
from autoscaler.hypervisors.squeeze import Squeeze
from autoscaler.model import Allocation, DomainState, Outcome, Result, Step, StepKind, Transfer

# A smaller portion is not worth a call of its own; a balloon moves more than this between two looks.
PORTION_MIB = 64


@dataclass(frozen=True, slots=True)
class Edges:
    """What the engine needs of the world.

    ``wait`` sleeps for some seconds and returns True when the controller is stopping. ``record_asked`` writes the
    ledger durably. ``stall`` is how long nothing may move before a step ends as it is.
    """

    now: Callable[[], datetime]
    wait: Callable[[float], bool]
    record_asked: Callable[[str, int], None]
    stall: timedelta
    poll_s: float = 0.25


def carry_out(transfer: Transfer, hypervisor: Hypervisor, asked: Mapping[str, int], edges: Edges) -> Outcome:
    """Bring one host to its granted allocations; return what it came to, read back.

    A hypervisor or store that fails ends the transfer where it is; it never raises for them.
    """
    books = Books(hypervisor, asked, edges.record_asked, transfer.memory_for_guests_mib)
    run = _Run(transfer, hypervisor, edges, books)
    began_at = edges.now()
    try:
        result, reason = run.move()
    except (HypervisorError, StoreError) as error:
        result, reason = Result.FAILED, str(error)
        run.abandon()
    return Outcome(transfer.host, result, reason, began_at, edges.now(), books.domains, run.stuck, run.strained)


@dataclass
class _Run:
    """The state of one transfer on its way. ``given_up`` says in words why a domain is not waited for any more."""

    transfer: Transfer
    hypervisor: Hypervisor
    edges: Edges
    books: Books
    given_up: dict[str, str] = field(default_factory=dict)
    stuck: str | None = None
    _squeezes: dict[str, Squeeze] = field(default_factory=dict)
    _patience: dict[str, Patience] = field(default_factory=dict)
    _lent: set[str] = field(default_factory=set)
    _cpus_are_set: bool = False

    @property
    def strained(self) -> str | None:
        """The donor that began to swap."""
        return next((squeeze.name for squeeze in self._squeezes.values() if squeeze.strained), None)

    def move(self) -> tuple[Result, str]:
        """Lend CPU, move memory, read it back, set CPU for good; return how it ended."""
        self.books.read()
        self._release_what_is_off()
        self._settle_unfinished()
        self._lend()
        stopped = self._pump()
        missing = self._missing()
        if missing and not self._cpus_are_set:
            self._raise_cpus()
        if not missing and not stopped:
            self._sleep()
        self.books.read()
        if not missing:
            return Result.DONE, "reached and read back"
        if stopped:
            return Result.INTERRUPTED, f"the controller was stopped: {missing}"
        return Result.PARTIAL, "; ".join([*self._reasons(), missing])

    def abandon(self) -> None:
        """Take back what was asked for and lent, as far as that can still be done."""
        with suppress(HypervisorError, StoreError):
            self.books.read()
            for step in self._memory_steps():
                self._take_back(step.domain)
        with suppress(HypervisorError, StoreError):
            self.return_loans()

    def return_loans(self) -> None:
        """Give lent CPU back; what a domain is to have at last was not reached.

        A donor is left no less than it is to have: somebody else may have set it below its floor.
        """
        donors = {step.domain for step in self._steps(StepKind.SHRINK)}
        last = {step.domain: step.after for step in self._steps(StepKind.CPU) if step.domain in donors}
        for step in self._steps(StepKind.LEND):
            if step.domain in self._lent:
                had, least = step.before, last.get(step.domain, step.before)
                cap = max(had, least, key=cap_cores).cpu_cap_cores
                self.hypervisor.set_cpu(step.domain, max(had.cpu_weight, least.cpu_weight), cap)
        self._lent.clear()

    def _release_what_is_off(self) -> None:
        """A domain that holds no memory was asked for what the ledger says in its former life."""
        for domain in self.books.domains:
            if not domain.state.holds_memory and domain.asked_mib:
                self.books.record(domain.name, 0)

    def _settle_unfinished(self) -> None:
        """Repeat what the ledger says was asked for, a crash may have come before the call.

        Where the sum does not allow it (the domain was started anew with the ledger of its former life), take it back.
        So does one of which less is wanted: below its goal it grows there as acceptors do, others may hold that memory.
        """
        for step in self._memory_steps():
            domain = self.books.domain(step.domain)
            present = domain.allocation.memory_mib
            if domain.state is not DomainState.RUNNING or domain.committed_mib <= present:
                continue
            if step.kind is StepKind.SHRINK:
                self.books.ask(step.domain, present)
            elif self.books.free_mib >= 0:
                self.hypervisor.set_memory(domain.name, domain.committed_mib)
            else:
                self.books.ask(domain.name, present)

    def _lend(self) -> None:
        for step in self._steps(StepKind.LEND):
            self._lent.add(step.domain)
            self.hypervisor.set_cpu(step.domain, step.after.cpu_weight, step.after.cpu_cap_cores)

    def _pump(self) -> bool:
        """Hand over what is verified free until all is reached or nothing moves; return whether we were stopped."""
        stopped = False
        while not stopped:
            self.books.read()
            if self._donors_are_done():
                self._set_cpus()
            if self._act():
                continue
            self._give_up_what_is_over()
            if not self._under_way():
                return False
            stopped = self.edges.wait(self.edges.poll_s)
            self._look()
        self.books.read()
        for step in self._memory_steps():
            self._take_back(step.domain)
        return True

    def _act(self) -> bool:
        """Ask for whatever can be asked for now; return whether there was something."""
        asked = False
        for step in self._memory_steps():
            asks = self._squeeze(step).next_ask(self.books.domain(step.domain)) if self._is_donor(step) else None
            if asks is not None:
                self.books.ask(step.domain, asks)
                asked = True
        return self._wake() or self._give_free() or asked

    def _is_donor(self, step: Step) -> bool:
        """Whether a domain is above its goal: also one that was just started, and then is larger than wanted."""
        if step.domain in self.given_up or self.books.domain(step.domain).state is not DomainState.RUNNING:
            return False
        squeezed = step.domain in self._squeezes
        return squeezed or self.books.present_mib(step.domain) > step.after.memory_mib + BALLOON_TOLERANCE_MIB

    def _squeeze(self, step: Step) -> Squeeze:
        fresh = Squeeze(step.domain, step.after.memory_mib, step.keep_usable_mib, step.swap_down_to_mib)
        return self._squeezes.setdefault(step.domain, fresh)

    def _wake(self) -> bool:
        """Wake what is to be woken, as soon as there is room for what it takes at once."""
        for step in self._steps(StepKind.WAKE):
            domain = self.books.domain(step.domain)
            if domain.state is DomainState.RUNNING or step.domain in self.given_up:
                continue
            if not domain.state.holds_memory:
                if self.books.free_mib < domain.start_mib:
                    continue
                self.books.record(domain.name, domain.start_mib)
            failure = self._wake_failure(domain.name)
            if failure is not None:
                self.given_up[domain.name], self.stuck = failure, domain.name
            return True
        return False

    def _wake_failure(self, name: str) -> str | None:
        """Wake a domain; say why it does not run then, ``None`` when it does."""
        try:
            self.hypervisor.wake(name)
        except HypervisorError as error:
            failure = str(error)
        else:
            failure = f"{name} was woken and does not run"
        self.books.read()
        return None if self.books.domain(name).state is DomainState.RUNNING else failure

    def _give_free(self) -> bool:
        """Ask acceptors for what is free; return whether anything was asked.

        A last portion may be small, and short of what was wanted by what a donor's balloon settles above its target.
        """
        gave = False
        for step in self._memory_steps():
            domain = self.books.domain(step.domain)
            if domain.state is not DomainState.RUNNING or step.domain in self.given_up:
                continue
            wanted = self._goal_mib(step) - domain.committed_mib
            portion = min(wanted, self.books.free_mib)
            if portion > 0 and portion >= min(wanted - BALLOON_TOLERANCE_MIB, PORTION_MIB):
                self.books.ask(domain.name, domain.committed_mib + portion)
                gave = True
        return gave

    def _look(self) -> None:
        """Let every domain that is under way use up its patience."""
        for step in self._memory_steps():
            if self._waited_for(step):
                present = self.books.present_mib(step.domain)
                fresh = Patience(present, self.edges.stall.total_seconds())
                patience = self._patience.setdefault(step.domain, fresh)
                patience.look(present, self._goal_mib(step), self.edges.poll_s)

    def _give_up_what_is_over(self) -> None:
        for name, patience in self._patience.items():
            if name in self.given_up or not patience.over:
                continue
            asked = self._was_asked(name)
            how = "makes no reports" if not asked else "is far too slow" if patience.moved else "did not move"
            self.given_up[name] = f"{name} {how}, and was waited for long enough"
            self.stuck = self.stuck or (name if asked and not patience.moved else None)
            self._take_back(name)

    def _was_asked(self, name: str) -> bool:
        """Whether it is to move at all: a donor may wait for its guest to say how much it can spare."""
        domain = self.books.domain(name)
        off_mib = abs((domain.asked_mib or domain.allocation.memory_mib) - domain.allocation.memory_mib)
        return off_mib > BALLOON_TOLERANCE_MIB

    def _take_back(self, name: str) -> None:
        """Leave a domain at the size that it has; one whose memory others hold already must go on giving it."""
        domain = self.books.domain(name)
        present = domain.allocation.memory_mib
        asked = present if domain.asked_mib is None else domain.asked_mib
        if domain.state is not DomainState.RUNNING or (asked < present and self.books.free_mib < 0):
            return
        if abs(asked - present) > BALLOON_TOLERANCE_MIB:
            self.books.ask(name, present)

    def _under_way(self) -> bool:
        return any(self._waited_for(step) for step in self._memory_steps())

    def _waited_for(self, step: Step) -> bool:
        """Whether a domain is to move by itself now: a donor to its goal, an acceptor to what it was asked for."""
        domain = self.books.domain(step.domain)
        if step.domain in self.given_up or domain.state is not DomainState.RUNNING:
            return False
        present, goal = domain.allocation.memory_mib, self._goal_mib(step)
        grows = present < goal - BALLOON_TOLERANCE_MIB and domain.committed_mib > present
        return grows or present > goal + BALLOON_TOLERANCE_MIB

    def _goal_mib(self, step: Step) -> int:
        """Where a domain is to come to: its target, or what a donor that was stopped keeps."""
        squeeze = self._squeezes.get(step.domain)
        return step.after.memory_mib if squeeze is None else squeeze.goal_mib

    def _donors_are_done(self) -> bool:
        """Whether nobody needs its old CPU any more: only a domain that gives memory does, one that gets it needs more.

        What is to be woken has to run to be given its weight.
        """
        shrinks = self._steps(StepKind.SHRINK)
        given = all(self.books.present_mib(step.domain) <= _upper_mib(step) for step in shrinks)
        return given and all(self._runs(step) for step in self._steps(StepKind.WAKE))

    def _set_cpus(self) -> None:
        """Set weights and caps for good, once."""
        if not self._cpus_are_set:
            self._cpus_are_set = True
            self._lent.clear()
            for step in filter(self._runs, self._steps(StepKind.CPU)):
                self.hypervisor.set_cpu(step.domain, step.after.cpu_weight, step.after.cpu_cap_cores)

    def _raise_cpus(self) -> None:
        """While a donor has not given all of its memory, only raise weights and caps, and take back what was lent."""
        self.return_loans()
        for step in filter(self._runs, self._steps(StepKind.CPU)):
            if _raises(step.before, step.after):
                self.hypervisor.set_cpu(step.domain, step.after.cpu_weight, step.after.cpu_cap_cores)

    def _runs(self, step: Step) -> bool:
        return self.books.domain(step.domain).state is DomainState.RUNNING

    def _sleep(self) -> None:
        """Ask for it and go: a guest takes its time to shut down, and the next cycle sees whether it did.

        One that has become larger again (it was rebooted) would keep that memory while it is paused, and need it at
        once when it is restored.
        """
        for step in self._steps(StepKind.SLEEP):
            self.books.read()
            small = self.books.present_mib(step.domain) <= step.after.memory_mib + BALLOON_TOLERANCE_MIB
            if step.state is not None and small:
                self.hypervisor.sleep(step.domain, step.state)

    def _reasons(self) -> list[str]:
        stopped = [squeeze.stopped for squeeze in self._squeezes.values() if squeeze.stopped is not None]
        return [*stopped, *self.given_up.values()]

    def _missing(self) -> str:
        """Which domain has not reached its memory, in words; empty when all have."""
        found = ((step, self.books.present_mib(step.domain)) for step in self._memory_steps())
        return "; ".join(
            f"{step.domain} has {memory} MiB, not {step.after.memory_mib} MiB"
            for step, memory in found
            if abs(memory - step.after.memory_mib) > BALLOON_TOLERANCE_MIB
        )

    def _memory_steps(self) -> list[Step]:
        return [*self._steps(StepKind.SHRINK), *self._steps(StepKind.GROW)]

    def _steps(self, kind: StepKind) -> list[Step]:
        return [step for step in self.transfer.steps if step.kind is kind]


def _upper_mib(step: Step) -> int:
    return step.after.memory_mib + BALLOON_TOLERANCE_MIB


def _raises(before: Allocation, after: Allocation) -> bool:
    return after.cpu_weight >= before.cpu_weight and cap_cores(after) >= cap_cores(before)
