"""What people say of hosts, each for a time."""

from datetime import datetime
from enum import StrEnum

from autoscaler.value import Value


class Direction(StrEnum):
    """Which way a host's workers change."""

    GROW = "grow"
    SHRINK = "shrink"


class Pause(Value, frozen=True):
    """A host whose workers do not change in one direction before ``until``, and who said so, when and why."""

    host: str
    direction: Direction
    since: datetime
    until: datetime
    who: str
    reason: str


class Override(Value, frozen=True):
    """A host that has so many workers until ``until``, whatever a policy wants, and who said so, when and why."""

    host: str
    workers: int
    since: datetime
    until: datetime
    who: str
    reason: str


class Orders(Value, frozen=True):
    """What people have said of hosts, each for a time."""

    pauses: tuple[Pause, ...] = ()
    overrides: tuple[Override, ...] = ()

    def in_force(self, now: datetime) -> "Orders":
        """Those that are not over yet.

        When they were given does not matter: after a clock was set back, a pause must still be one.
        """
        return Orders(
            tuple(each for each in self.pauses if each.until > now),
            tuple(each for each in self.overrides if each.until > now),
        )
