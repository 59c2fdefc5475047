"""The safe split: what the hosts are given when the loop itself does not work.

Where it is known that nobody uses PROOF, it goes dormant and the Worker Nodes get everything. Workers of a running
query are never taken: while sessions run or wait, or that is unknown, every host keeps what it has.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from autoscaler.contracts import Policy
from autoscaler.core.rules import Rules
from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Decision, Demand, Window

# What a decision calls this policy, and how older versions begin to call it.
_TOLD = "safe split"
_TOLD_ONCE = "SafeSplit("


@dataclass(frozen=True, slots=True)
class SafeSplit:
    """Dormant when nobody works, hold otherwise; ``because`` is why nobody else is asked."""

    because: str
    signals: ClassVar[tuple[str, ...]] = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS)
    history: ClassVar[timedelta] = timedelta(0)

    def decide(self, window: Window) -> Demand:
        """Want no workers when no session runs or waits."""
        queued, running = (window.latest(name) for name in self.signals)
        if queued is None or running is None:
            return Demand(None, f"safe split, {self.because}: it is unknown whether sessions run")
        if queued or running:
            return Demand(None, f"safe split, {self.because}: {queued:g} sessions wait and {running:g} run")
        return Demand(0, f"safe split, {self.because}: no session runs or waits")


def as_safe_split(_name: str, _policy: Policy) -> str:
    """What decisions to the safe split call their policy."""
    return _TOLD


def safe_rules(rules: Rules, because: str) -> Rules:
    """The rules of a cycle to the safe split; ``because`` is why."""
    # A minimum of the calendar, or a boost, would let hosts grow while something is wrong.
    return replace(
        rules, policy=SafeSplit(because), shadows={}, canary=None, calendar=(), tuned=False, told=as_safe_split
    )


def is_of_safe_split(decision: Decision) -> bool:
    """Whether a decision was made because cycles failed."""
    return decision.policy == _TOLD or decision.policy.startswith(_TOLD_ONCE)
