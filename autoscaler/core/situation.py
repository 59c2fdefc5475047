"""How a situation is put together: what was read, with what people, alerts and the decision before have to say of it.

Who decides something new makes its situation here, be it live, in a dry run or in a replay: what one of them left out
would be decided otherwise there.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from autoscaler.core.orders import MAINTENANCE, with_maintenance
from autoscaler.core.rules import Rules
from autoscaler.core.tuning import with_freezes, without_freezes
from autoscaler.core.unknown import watching
from autoscaler.core.voices import remembering
from autoscaler.model import Decision, Facility, HostObservation, HostTimers, Orders, Situation, Tuning, Window


def make_situation(
    window: Window,
    hosts: tuple[HostObservation, ...],
    timers: Iterable[HostTimers],
    *,
    orders: Orders,
    tunings: tuple[Tuning, ...],
    before: Decision | None,
    facility: Facility,
    rules: Rules,
) -> Situation:
    """The situation at the time of ``window``; ``orders`` are those of people, ``before`` is the newest decision."""
    heard = all_orders(orders, tunings, rules, window.now)
    situation = Situation(window, hosts, tuple(timers), orders=heard, tunings=tunings)
    return watching(remembering(situation, before), before, facility, rules.acting_signals, rules.limits)


def all_orders(orders: Orders, tunings: Iterable[Tuning], rules: Rules, now: datetime) -> Orders:
    """What is said of hosts: by people, by the maintenance that is under way, and by alerts that freeze."""
    return with_freezes(with_maintenance(orders, rules.maintenance, now), tunings)


def heard_in(situation: Situation, now: datetime) -> tuple[Orders, tuple[Tuning, ...]]:
    """Of a situation the orders of people and the tunings that are in force now: another one can be made of them."""
    by_people = without_freezes(situation.orders, situation.tunings).in_force(now)
    pauses = tuple(each for each in by_people.pauses if each.who != MAINTENANCE)
    return replace(by_people, pauses=pauses), tuple(each for each in situation.tunings if each.until > now)
