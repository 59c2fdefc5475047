"""What a policy sees: the history of its signals, and what it remembers itself."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from autoscaler.value import Value

# Signals the built-in policies read. A site may configure more of them for its own policies.
PROOF_QUEUED_SESSIONS = "proof_queued_sessions"
PROOF_RUNNING_SESSIONS = "proof_running_sessions"
WN_RUNNING_JOBS = "wn_running_jobs"
XROOTD_READ_BYTES_PER_SECOND = "xrootd_read_bytes_per_second"
DOMAIN_SWAP_IN_BYTES_PER_SECOND = "domain_swap_in_bytes_per_second"


class Sample(Value, frozen=True):
    """One reading of a signal; ``value`` is ``None`` where nothing is known."""

    at: datetime
    value: float | None


class Series(Value, frozen=True):
    """One signal's history, oldest first.

    ``fresh_at`` is when the newest value was true at its origin (not when it was asked for); ``problem`` says in words
    why the newest value is missing.
    """

    signal: str
    samples: tuple[Sample, ...] = ()
    fresh_at: datetime | None = None
    problem: str | None = None

    @property
    def latest(self) -> float | None:
        """The newest value, ``None`` when unknown."""
        return self.samples[-1].value if self.samples else None

    def age(self, now: datetime) -> timedelta | None:
        """How old the newest value is, ``None`` when there is none."""
        if self.latest is None or self.fresh_at is None:
            return None
        return now - self.fresh_at


# What a policy wants to know again in the next cycle: numbers by name.
Memory = Mapping[str, tuple[float | None, ...]]


class Window(Value, frozen=True):
    """The metric history up to ``now``, and what the policy remembered in the cycle before: what a policy sees."""

    now: datetime
    series: tuple[Series, ...] = ()
    memory: Memory = msgspec.field(default_factory=dict)

    def signal(self, name: str) -> Series:
        """Return the series of a signal; one that was not read is an empty series with its problem."""
        for series in self.series:
            if series.signal == name:
                return series
        return Series(name, problem=f"signal {name} is not configured")

    def latest(self, name: str) -> float | None:
        """Return the newest value of a signal, ``None`` when unknown."""
        return self.signal(name).latest
