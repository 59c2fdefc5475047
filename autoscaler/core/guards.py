"""How much of what is wanted, how fast: one law, one function, later ones win.

A guard takes the workers wanted so far and returns what it lets through, with a reason when that is less of a change.
Laws (tests/core/test_guards.py): a guard never increases the change; applied twice is applied once; the chain ends
within bounds and the host sum whatever goes in. Only ``bounds`` and ``host_sum`` may force a change, and only when what
is there now is already illegal; ``override`` makes the change that a person has ordered, within what the Worker Nodes
keep and within bounds, and ``pause`` leaves a host as it is even beyond its bounds, though not beyond its memory.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache

from autoscaler.core.allocation import (
    can_run,
    cores_for_guests,
    memory_for_guests_mib,
    proof_needs_mib,
    wn_floor_mib,
    workers_fitting,
)
from autoscaler.core.calendar import NO_FREEZE, Freeze, freeze_words
from autoscaler.core.orders import NO_ORDERS, HostOrders, override_words, pause_words
from autoscaler.model import Cut, GuardLimits, Host, HostObservation, HostTimers, Window
from autoscaler.value import Value

# Clocks of two well-kept machines differ by less; a value from further ahead has a wrong clock and an unknown age.
CLOCK_SKEW = timedelta(seconds=5)

_NO_TIME = timedelta(0)


class HostView(Value, frozen=True):
    """What a guard may look at: one ready host, its present workers and timers.

    ``unknown`` says which signal that the demand rests on is missing or stale, ``None`` when all are known;
    ``walks_to`` are the fewest workers that the host may be walked to nevertheless, ``None`` = it is not;
    ``orders`` are what people have said of the host, ``freeze`` is what the calendar forbids now.
    """

    host: Host
    observed: HostObservation
    current: int
    timers: HostTimers
    now: datetime
    unknown: str | None
    limits: GuardLimits
    orders: HostOrders = NO_ORDERS
    freeze: Freeze = NO_FREEZE
    walks_to: int | None = None

    @property
    def guests_mib(self) -> int:
        """The host's memory for guests."""
        return memory_for_guests_mib(self.host, self.observed)


class Verdict(Value, frozen=True):
    """The workers a guard lets through, and why."""

    workers: int
    reason: str


Guard = Callable[[int, HostView], Verdict]


@cache
def _let_through(workers: int) -> Verdict:
    """One and the same for each number: most verdicts are of this kind."""
    return Verdict(workers, "")


def fresh(wanted: int, view: HostView) -> Verdict:
    """Hold while a signal the demand rests on is missing or stale: never shrink PROOF, never grow on nothing.

    After a long time without it a host is walked to the safe split, as far as what is known of it allows that.
    """
    if view.unknown is None:
        return _let_through(wanted)
    least = view.current if view.walks_to is None else view.walks_to
    return Verdict(min(view.current, max(wanted, least)), view.unknown)


def calendar(wanted: int, view: HostView) -> Verdict:
    """Hold in the hours in which the calendar lets a host not change this way."""
    change = wanted - view.current
    when = view.freeze.of(change)
    if when is None:
        return _let_through(wanted)
    return Verdict(view.current, freeze_words("growing" if change > 0 else "shrinking", when))


def dead_band(wanted: int, view: HostView) -> Verdict:
    """Leave out small changes. Waking up and going dormant are never small."""
    small = 0 < abs(wanted - view.current) < view.limits.dead_band_workers
    if small and wanted and view.current:
        return Verdict(view.current, f"a change of less than {view.limits.dead_band_workers} workers")
    return _let_through(wanted)


def cooldown(wanted: int, view: HostView) -> Verdict:
    """Wait after the last change, for a time of its own in each direction."""
    if wanted == view.current:
        return _let_through(wanted)
    direction, wait = (
        ("grow", view.limits.grow_cooldown) if wanted > view.current else ("shrink", view.limits.shrink_cooldown)
    )
    now = view.now
    # A timer from the future was written by a clock that was set back since; it would block the host until then.
    latest = now + CLOCK_SKEW
    changes = [at for at in (view.timers.grew_at, view.timers.shrank_at) if at is not None and at <= latest]
    left = wait - (now - max(changes)) if changes else _NO_TIME
    if left > _NO_TIME:
        return Verdict(view.current, f"may {direction} again in {left.total_seconds():.0f} s")
    return _let_through(wanted)


def strain(wanted: int, view: HostView) -> Verdict:
    """Leave the Worker Nodes alone for a while after one began to swap."""
    left = strained_for(view.timers, view.limits, view.now)
    if wanted <= view.current or left <= _NO_TIME:
        return _let_through(wanted)
    return Verdict(view.current, f"a Worker Node began to swap; may grow again in {left.total_seconds():.0f} s")


def wn_floor(wanted: int, view: HostView) -> Verdict:
    """Leave each Worker Node what it uses plus a margin; less, down to its floor, only where the site lets it swap."""
    if wanted <= view.current:
        return _let_through(wanted)
    floors = {wn.name: wn_floor_mib(wn, view.observed) for wn in view.host.wns}
    silent = [name for name, floor in floors.items() if floor is None]
    if silent:
        reason = f"{silent[0]} does not say how much memory it uses (balloon statistics, or set swap_down_to)"
        return Verdict(view.current, reason)
    kept = sum(floor or 0 for floor in floors.values())
    allowed = max(view.current, _most_within(wanted, kept, view))
    if allowed == wanted:
        return _let_through(wanted)
    return Verdict(allowed, f"{' and '.join(floors)} keep{'s' if len(floors) == 1 else ''} {kept} MiB")


def bounds(wanted: int, view: HostView) -> Verdict:
    """Stay between the configured minimum and maximum, within the PROOF domain's own memory, and the host's cores."""
    proof = view.host.proof
    domain = view.observed.domain(proof.name)
    if not can_run(view.host, domain):
        return Verdict(0, f"domain {proof.name} is {domain.state.in_words}: start it with virsh")
    domain_max = workers_fitting(view.host, domain.memory_max_mib)
    cores = cores_for_guests(view.host, view.observed)
    configured = proof.workers_max if proof.workers_max < domain_max else domain_max
    most = configured if configured <= cores else int(cores)
    least = proof.workers_min if proof.workers_min < most else most
    if least <= wanted <= most:
        return _let_through(wanted)
    of_cores = "" if cores >= configured else f"; the host has {cores:g} cores for guests"
    reason = f"between {least} and {most} workers (domain {proof.name} holds {domain_max} at most{of_cores})"
    return Verdict(min(max(wanted, least), most), reason)


def override(wanted: int, view: HostView) -> Verdict:
    """Give what a person has ordered, whatever anybody else wants, as far as the Worker Nodes and the bounds allow.

    It does not rest on the signals, and waits for no cooldown; a Worker Node that began to swap is left alone.
    """
    order = view.orders.override
    if order is None:
        return _let_through(wanted)
    workers, reason = order.workers, override_words(order)
    for guard in (strain, wn_floor, bounds):
        verdict = guard(workers, view)
        if verdict.workers != workers:
            reason = f"{reason}; {verdict.reason}"
        workers = verdict.workers
    return Verdict(workers, reason)


def pause(wanted: int, view: HostView) -> Verdict:
    """Leave a paused host as it is."""
    order = view.orders.pause_of(wanted - view.current)
    return _let_through(wanted) if order is None else Verdict(view.current, pause_words(order))


def host_sum(wanted: int, view: HostView) -> Verdict:
    """Keep PROOF, the Worker Nodes' floors and every other domain within the host's memory for guests."""
    kept = sum([wn.memory_floor_mib for wn in view.host.wns])
    allowed = _most_within(wanted, kept, view)
    if allowed == wanted:
        return _let_through(wanted)
    needs = proof_needs_mib(view.host, view.observed, wanted)
    return Verdict(allowed, f"{needs} MiB for PROOF and {view.host.name} has {view.guests_mib} MiB for guests")


def _most_within(wanted: int, kept_mib: int, view: HostView) -> int:
    """How many of the wanted workers fit beside what the Worker Nodes keep; none where PROOF could not even start."""
    room = view.guests_mib - view.observed.unmanaged_mib - kept_mib
    fitting = workers_fitting(view.host, room)
    if fitting > wanted:
        fitting = wanted
    return fitting if fitting and proof_needs_mib(view.host, view.observed, fitting) <= room else 0


GUARDS: tuple[Guard, ...] = (
    fresh,
    calendar,
    dead_band,
    cooldown,
    strain,
    wn_floor,
    bounds,
    override,
    pause,
    host_sum,
)


def strained_for(timers: HostTimers, limits: GuardLimits, now: datetime) -> timedelta:
    """How long the host's Worker Nodes are still to be left alone, because one began to swap; 0 = they need not be."""
    at = timers.strained_at
    if at is None or at > now + CLOCK_SKEW:
        return _NO_TIME
    return max(_NO_TIME, limits.strain_cooldown - (now - at))


def unknown_reason(window: Window, signals: tuple[str, ...], limits: GuardLimits) -> str | None:
    """Why a signal that a demand rests on is missing or stale, ``None`` when all are known."""
    for name in signals:
        series = window.signal(name)
        age = series.age(window.now)
        if age is None:
            return f"{name} is unknown: {series.problem or 'no value'}"
        if not -CLOCK_SKEW <= age <= limits.fresh_for:
            most = limits.fresh_for.total_seconds()
            return f"{name} is {age.total_seconds():.0f} s old, fresh is 0 to {most:.0f} s"
    return None


def run_guards(wanted: int, view: HostView, guards: tuple[Guard, ...]) -> tuple[int, tuple[Cut, ...]]:
    """Pass ``wanted`` through all guards; return what is granted and each guard's cut."""
    cuts: list[Cut] = []
    for guard in guards:
        verdict = guard(wanted, view)
        if verdict.workers != wanted:
            cuts.append(Cut(guard.__name__, wanted, verdict.workers, verdict.reason))
            wanted = verdict.workers
    return wanted, tuple(cuts)
