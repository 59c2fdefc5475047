"""The seams: what a policy, a source, a hypervisor and a store promise beyond their types."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from autoscaler.model import (
    Decision,
    Demand,
    DomainState,
    HostReading,
    HostTimers,
    Memory,
    Orders,
    Outcome,
    Quarantine,
    Tuning,
    Window,
)

if TYPE_CHECKING:
    # An exporter node has no numpy, and policies without a model are tried there too.
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class HypervisorError(Exception):
    """A hypervisor did not do, or could not say, what it was asked; the message names host and domain."""


class StoreError(Exception):
    """The store could not be read or written; the message names the file and what to do."""


class DamagedStoreError(StoreError):
    """The store holds something else than was written: nothing is to be written into it any more."""


class Policy(Protocol):
    """Says how many workers the facility should have.

    Pure and without state: the same window gives the same demand, history is the window. A policy never assumes that a
    missing value is 0; when it does not know, it returns ``Demand(None, why)``, which holds. ``signals`` names all that
    it looks at: when one of them is stale, nothing is resized, and the facility model shows it no others.

    A policy may name in ``heeds`` further signals that it looks at where they are known and does without where not.

    A policy may say ``timeless = True``: its demand depends on how long ago readings are, not on the date or the hour,
    so that the same window at another time gives the same one. The facility model does not ask it again while nothing
    changes. ``prices`` names those of its fields that are prices, for alerts that change one.
    """

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals the demand rests on, empty when it rests on none."""
        ...

    @property
    def history(self) -> timedelta:
        """How far back the policy looks; the sources keep at least that much."""
        ...

    def decide(self, window: Window) -> Demand:
        """Return the demand for the whole facility, with its reason in words."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """A policy that carries something from cycle to cycle, and yet has no state of its own.

    What ``remember`` returns is stored with the decision and comes back in the next cycle's window, after a restart
    too, so that a stored decision can still be decided again. It is empty in the first cycle of all.
    """

    def remember(self, window: Window, demand: Demand) -> Memory:
        """Return what the next cycle is to know, after this window was answered with this demand; pure as well."""
        ...


class Forecaster(Protocol):
    """A trained model of the PROOF load: how much it grows, by quantiles. Immutable.

    What grows is ``max(load[t + L .. t + 2 L]) - load[t]`` in sessions, L being ``horizon_min``; it may be negative.
    ``predict`` takes a time that its size bounds: whoever wants a limit by the clock keeps it where a clock is.
    """

    @property
    def levels(self) -> Sequence[float]:
        """The quantiles it tells, rising, between 0 and 1."""
        ...

    @property
    def horizon_min(self) -> int:
        """L, in minutes."""
        ...

    @property
    def features(self) -> Sequence[str]:
        """What a row holds, by name."""
        ...

    @property
    def low(self) -> "Floats":
        """The least of each feature in training."""
        ...

    @property
    def high(self) -> "Floats":
        """The most of each feature in training."""
        ...

    def predict(self, row: "Floats") -> "Floats":
        """Return the growth at each level, sorted, in sessions."""
        ...


class Source(Protocol):
    """Reads signals.

    ``read`` never raises for what a server or network does: a signal that cannot be read is a series whose newest
    value is ``None`` with a ``problem`` in words. It returns within its stated time-out. NaN, infinities and negative
    values arrive as ``None``. A sum of which a part is missing is missing. A stretch without readings holds at least
    one sample of ``None``: two neighbouring values mean that the time between them was watched.
    """

    def read(self, now: datetime) -> Window:
        """Return every configured signal's history up to ``now``."""
        ...


class Hypervisor(Protocol):
    """One host's hypervisor.

    A call that returns has been *accepted*, nothing more: whoever needs the effect reads it back. Every failure of the
    connection, the host or a domain is a ``HypervisorError``. Not thread-safe: one thread per host.
    """

    def read(self) -> HostReading:
        """Return our domains as they are now, and the host. A domain that does not run is a state, not an error."""
        ...

    def set_memory(self, domain: str, memory_mib: int) -> None:
        """Ask for a balloon size, live."""
        ...

    def wake(self, domain: str) -> None:
        """Resume a paused domain, restore a saved one, start one that is shut off."""
        ...

    def sleep(self, domain: str, state: DomainState) -> None:
        """Ask a running domain to be paused, saved or shut off; the guest shuts itself down, it is never forced."""
        ...

    def set_cpu(self, domain: str, weight: int, cap_cores: float | None) -> None:
        """Set weight (Xen's scale) and cap (cores, ``None`` = none), live."""
        ...

    def close(self) -> None:
        """Let go of the connection; closing twice is fine."""
        ...


class Store(Protocol):
    """Remembers decisions, outcomes, timers, orders and what was asked for, across restarts and crashes.

    What a method writes is written whole or not at all; when it returns, a crash loses nothing of it. Thread-safe, also
    for as many threads as there are hosts. Failures are ``StoreError``. Where several controllers use one store, it
    refuses what one that leads no more writes of its decisions and transfers.
    """

    def confirm(self) -> None:
        """Raise unless this controller may write to hosts now; asked before each time that it does."""
        ...

    def record_decision(self, decision: Decision) -> int:
        """Write a decision before anything is done about it; return its number.

        With it each transfer starts its host's timer of that direction; a change of no workers starts none.
        """
        ...

    def record_outcome(self, decision: int, outcome: Outcome) -> None:
        """Write what became of one of the decision's transfers."""
        ...

    def record_asked(self, host: str, domain: str, memory_mib: int) -> None:
        """Write which balloon size a domain is (about to be) asked for."""
        ...

    def asked(self) -> Mapping[tuple[str, str], int]:
        """Return the balloon size last asked for, MiB by (host, domain)."""
        ...

    def newest(self) -> Decision | None:
        """Return the newest decision, ``None`` where there is none or it cannot be read."""
        ...

    def record_strain(self, host: str, at: datetime) -> None:
        """Write that a donor of the host began to swap."""
        ...

    def record_quarantine(self, host: str, quarantine: Quarantine | None) -> None:
        """Write the quarantine a host is in, ``None`` lifts it."""
        ...

    def timers(self) -> Sequence[HostTimers]:
        """Return what is remembered of every host of which there is something."""
        ...

    def orders(self, now: datetime) -> Orders:
        """Return the pauses and overrides that are in force; they come from other processes at any time."""
        ...

    def tunings(self, now: datetime) -> tuple[Tuning, ...]:
        """Return the tunings that are in force, one for each rule; alerts begin and end them at any time."""
        ...

    def end_tunings(self, rules: Collection[str] | None, by: str, now: datetime) -> int:
        """End the tunings of these rules, or all with ``None``, and return how many; they do not begin again."""
        ...
