"""All that a decision rests on."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from autoscaler.model.observation import HostObservation
from autoscaler.model.orders import Orders
from autoscaler.model.tuning import Tuning
from autoscaler.model.window import Memory, Window
from autoscaler.value import Value


class Quarantine(Value, frozen=True):
    """A domain whose balloon did not move; its host is left as it is until a probe at ``probe_at`` moves it.

    ``failures`` counts the attempts in a row that moved nothing.
    """

    domain: str
    reason: str
    since: datetime
    failures: int
    probe_at: datetime


class HostTimers(Value, frozen=True):
    """What the controller remembers of a host.

    When its PROOF domain last grew and last shrank by the controller's own hand, when a donor last began to swap, and
    the quarantine it is in.
    """

    host: str
    grew_at: datetime | None = None
    shrank_at: datetime | None = None
    strained_at: datetime | None = None
    quarantine: Quarantine | None = None


class Quiet(Value, frozen=True):
    """A host's PROOF domain has done next to nothing ``since`` then, by its CPU time.

    ``cpu_time_s`` is what it had got when it was ``looked_at``: the next look is held against that.
    """

    host: str
    since: datetime
    looked_at: datetime
    cpu_time_s: float


class Situation(Value, frozen=True):
    """Everything a decision rests on; a stored situation can be decided again.

    ``memories`` are those of the shadow policies, by their names; that of the acting one is in the window. ``tunings``
    are those in force; what they freeze is among the ``orders`` already. ``unknown_since`` is since when a signal has
    been unknown without a break to each of the policies that act, and ``quiet`` what PROOF has done meanwhile; both are
    empty while all is known.
    """

    window: Window
    hosts: tuple[HostObservation, ...]
    timers: tuple[HostTimers, ...] = ()
    memories: Mapping[str, Memory] = msgspec.field(default_factory=dict)
    orders: Orders = msgspec.field(default_factory=Orders)
    tunings: tuple[Tuning, ...] = ()
    unknown_since: Mapping[str, datetime] = msgspec.field(default_factory=dict)
    quiet: tuple[Quiet, ...] = ()

    def host(self, name: str) -> HostObservation:
        """Return the observation of a host; raises ``KeyError``."""
        for observation in self.hosts:
            if observation.host == name:
                return observation
        raise KeyError(name)
