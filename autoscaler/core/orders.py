"""What people have said of a host, in the form in which placement and guards need it.

A pause wins over an override: whoever pauses a host may be at work on it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from autoscaler.core.words import clock
from autoscaler.model import Direction, Orders, Override, Pause


@dataclass(frozen=True, slots=True)
class HostOrders:
    """What is in force for one host; of two pauses in one direction, the one that ends last."""

    growing: Pause | None = None
    shrinking: Pause | None = None
    override: Override | None = None

    @property
    def left_alone(self) -> bool:
        """Whether nothing of the host is to change, be it only put right or tried."""
        return self.growing is not None and self.shrinking is not None

    def pause_of(self, change: int) -> Pause | None:
        """The pause that forbids a change by so many workers."""
        if change == 0:
            return None
        return self.growing if change > 0 else self.shrinking

    def in_words(self) -> list[str]:
        """A sentence for each; a pause in both directions is one."""
        growing, shrinking = self.growing, self.shrinking
        words = []
        if growing and shrinking and replace(growing, direction=shrinking.direction) == shrinking:
            words.append(f"paused {_until(growing)}")
        else:
            words += [pause_words(each) for each in (growing, shrinking) if each is not None]
        if self.override is not None:
            words.append(override_words(self.override))
        return words


NO_ORDERS = HostOrders()

# By whom the pauses are that a configuration states.
MAINTENANCE = "maintenance"


def orders_by_host(orders: Orders, now: datetime) -> dict[str, HostOrders]:
    """What is in force, of every host of which there is something."""
    found: dict[str, HostOrders] = {}
    valid = orders.in_force(now)
    for pause in sorted(valid.pauses, key=lambda each: each.until):
        mine = found.get(pause.host, NO_ORDERS)
        grows = pause.direction is Direction.GROW
        found[pause.host] = replace(mine, growing=pause) if grows else replace(mine, shrinking=pause)
    for override in valid.overrides:
        found[override.host] = replace(found.get(override.host, NO_ORDERS), override=override)
    return found


def with_maintenance(orders: Orders, maintenance: Iterable[Pause], now: datetime) -> Orders:
    """The orders with the maintenance that is under way."""
    under_way = tuple(each for each in maintenance if each.since <= now < each.until)
    return replace(orders, pauses=(*orders.pauses, *under_way))


def pause_words(pause: Pause) -> str:
    """A pause in one direction."""
    return f"{'growing' if pause.direction is Direction.GROW else 'shrinking'} paused {_until(pause)}"


def override_words(override: Override) -> str:
    """An override."""
    return f"set to {override.workers} workers {_until(override)}"


def _until(order: Pause | Override) -> str:
    return f"until {clock(order.until)} by {order.who}: {order.reason}"
