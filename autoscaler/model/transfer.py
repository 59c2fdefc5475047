"""The steps that change one host, and what became of them."""

from datetime import datetime
from enum import StrEnum

from autoscaler.model.facility import Allocation, DomainState
from autoscaler.model.observation import DomainObservation
from autoscaler.value import Value


class StepKind(StrEnum):
    """What a step does to its domain; ``lend`` is CPU for the time of the transfer."""

    LEND = "lend"
    SHRINK = "shrink"
    WAKE = "wake"
    GROW = "grow"
    CPU = "cpu"
    SLEEP = "sleep"


class Step(Value, frozen=True):
    """One change to one domain. Memory steps change only the memory, CPU steps only weight and cap.

    A domain that shrinks keeps ``keep_usable_mib`` of memory that it does not use; with ``None`` it may be squeezed
    into its swap, down to ``swap_down_to_mib``. ``state`` is what a sleep step leaves the domain in, when it is no
    larger than its ``after``.
    """

    kind: StepKind
    domain: str
    before: Allocation
    after: Allocation
    keep_usable_mib: int | None = None
    swap_down_to_mib: int = 0
    state: DomainState | None = None


class Transfer(Value, frozen=True):
    """One host's ordered steps: donors shrink, acceptors grow, weights last.

    ``memory_for_guests_mib`` is the sum that must hold at every instant. ``probe`` is the quarantined domain that the
    transfer only tries to move.
    """

    host: str
    workers_from: int
    workers_to: int
    memory_for_guests_mib: int
    steps: tuple[Step, ...]
    probe: str | None = None


class Result(StrEnum):
    """How a transfer ended."""

    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Outcome(Value, frozen=True):
    """What became of one transfer, read back from the hypervisor.

    ``stuck`` is a domain whose balloon did not move at all, ``strained`` a donor that began to swap.
    """

    host: str
    result: Result
    reason: str
    began_at: datetime
    ended_at: datetime
    observed: tuple[DomainObservation, ...] = ()
    stuck: str | None = None
    strained: str | None = None
