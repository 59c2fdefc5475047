"""What a policy wants, and what one cycle decided."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from autoscaler.model.situation import Situation
from autoscaler.model.transfer import Transfer
from autoscaler.model.window import Memory
from autoscaler.value import Value


class Demand(Value, frozen=True):
    """How many workers a policy wants in the whole facility, and why.

    ``workers=None`` means *hold*: the policy does not know, every host keeps what it has. With ``may_shrink=False`` it
    means *at least* so many: the policy knows enough to grow, but not enough to take something away.
    """

    workers: int | None
    reason: str
    may_shrink: bool = True


class Cut(Value, frozen=True):
    """What one guard took away from a host's wanted workers, and why."""

    guard: str
    before: int
    after: int
    reason: str


class HostDecision(Value, frozen=True):
    """What one cycle decided for one host.

    ``current``, ``wanted`` and ``granted`` are workers; ``None`` where the host could not be read. ``reason`` is the
    sentence an administrator reads.
    """

    host: str
    current: int | None
    wanted: int | None
    granted: int | None
    reason: str
    cuts: tuple[Cut, ...] = ()
    transfer: Transfer | None = None


class Opinion(Value, frozen=True):
    """What a shadow policy would have the facility do; ``error`` is what it raised, which touches nobody else."""

    name: str
    policy: str
    demand: Demand
    memory: Memory = msgspec.field(default_factory=dict)
    error: str | None = None


# What a decision says of its model whose policies take one and had none.
NO_MODEL = "none"


class Decision(Value, frozen=True):
    """The durable record of one cycle: inputs with their age, demand, wanted, granted, cuts, transfers.

    ``unplaced_workers`` found no host with room; ``error`` is what a policy or guard raised (the plan is then empty);
    ``memory`` is what the policy is to know in the next cycle; ``opinions`` are those of the shadow policies.
    ``safe_split`` is why hosts are walked to the safe split because of what is unknown, ``None`` where they are not.
    ``policy`` is told as a configuration would write it; ``model`` is the one that the policies had, ``NO_MODEL`` where
    they take one and had none, ``None`` where none of them takes one.
    ``placed`` is what alerts, announced sessions, the calendar and the walk to the safe split made of the demand, and
    what hosts were given; ``None`` where that is the demand itself.
    """

    at: datetime
    policy: str
    situation: Situation
    demand: Demand
    hosts: tuple[HostDecision, ...]
    unplaced_workers: int = 0
    error: str | None = None
    memory: Memory = msgspec.field(default_factory=dict)
    opinions: tuple[Opinion, ...] = ()
    safe_split: str | None = None
    model: str | None = None
    placed: Demand | None = None

    @property
    def policy_error(self) -> str | None:
        """What the policy raised: then that is all that it says; ``None`` where a guard is to blame, or nobody."""
        return self.error if self.demand.reason == self.error else None

    @property
    def memories(self) -> Mapping[str, Memory]:
        """What the shadow policies are to know in the next cycle, by their names."""
        return {opinion.name: opinion.memory for opinion in self.opinions}

    @property
    def transfers(self) -> tuple[Transfer, ...]:
        """The transfers of this decision, one per host at most."""
        return tuple(host.transfer for host in self.hosts if host.transfer is not None)
