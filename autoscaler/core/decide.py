"""One cycle's decision: demand, placement, guards, plan. No clock, no I/O, no logging; reasons are data."""

from collections.abc import Collection, Container, Mapping
from dataclasses import replace
from datetime import datetime

from autoscaler.core.allocation import workers_now
from autoscaler.core.calendar import NO_FREEZE, CalendarEntry, Freeze, freezes_by_host, limited_demand
from autoscaler.core.guards import HostView, fresh, run_guards, strained_for, unknown_reason
from autoscaler.core.orders import NO_ORDERS, HostOrders, orders_by_host
from autoscaler.core.placement import place
from autoscaler.core.plan import plan, probe
from autoscaler.core.rest import Rest
from autoscaler.core.rules import Rules
from autoscaler.core.tuned_policy import tuned_policy
from autoscaler.core.tuning import tuned_demand
from autoscaler.core.unknown import walk_words, walks_to
from autoscaler.core.voices import ACTING, Voice, ask, canary_voice, opinions
from autoscaler.core.words import clock
from autoscaler.model import (
    Cut,
    Decision,
    Demand,
    DomainState,
    Facility,
    GuardLimits,
    Host,
    HostDecision,
    HostObservation,
    HostState,
    HostTimers,
    Opinion,
    Quarantine,
    Situation,
    Transfer,
)
from autoscaler.value import Value


def decide(situation: Situation, facility: Facility, rules: Rules, rest: Rest | None = None) -> Decision:
    """Decide one cycle; the same function runs live, in a dry run, in the simulation and over stored situations.

    It never raises for what a policy or guard does: a policy that raises holds every host, a guard that raises empties
    the plan of the whole cycle (fail closed). Both are recorded in ``error``. ``rest`` only saves time.
    """
    policy, changed = tuned_policy(rules.policy, situation.tunings if rules.tuned else ())
    demand, memory, error = ask(policy, situation.window)
    if changed:
        demand = replace(demand, reason="; ".join([demand.reason, *changed]))
    shadows = opinions(rules.shadows, situation, rules.told)
    cycle = _Cycle.of(situation, facility, rules, rest)
    acting, unplaced = cycle.acting(Voice(ACTING, demand, rules.policy.signals))
    canary = _acting_canary(cycle, acting, shadows)
    group = rules.canary.hosts if rules.canary else frozenset()
    decided = _resting(acting, canary, group)
    for observed in situation.hosts:
        if observed.host in decided:
            continue
        who = canary if observed.host in group else acting
        apart = who.not_placed(observed)
        if apart is not None:
            decided[observed.host] = apart
            continue
        try:
            decided[observed.host] = who.with_guards(observed)
        except Exception as problem:  # noqa: BLE001 - whatever a guard raises empties the plan, it ends no loop
            error = error or f"guard failed on {observed.host}: {type(problem).__name__}: {problem}"
            decided[observed.host] = HostDecision(observed.host, None, who.wanted[observed.host], None, error)
    decision = Decision(
        situation.window.now,
        rules.told(ACTING, policy),
        situation,
        demand,
        tuple([decided[observed.host] for observed in situation.hosts]),
        unplaced,
        error,
        memory,
        shadows,
        None if error else acting.walk or canary.walk,
        rules.model,
        None if acting.voice.demand == demand else acting.voice.demand,
    )
    return _without_plan(decision) if error else decision


class _Cycle(Value, frozen=True):
    """What all hosts of a cycle are decided with, whoever acts on them; ``entries`` are those of the calendar now."""

    situation: Situation
    facility: Facility
    rules: Rules
    rest: Rest | None
    timers: Mapping[str, HostTimers]
    quarantines: Mapping[str, Quarantine]
    barred: Mapping[str, Quarantine]
    orders: Mapping[str, HostOrders]
    entries: tuple[CalendarEntry, ...]
    freezes: Mapping[str, Freeze]

    @classmethod
    def of(cls, situation: Situation, facility: Facility, rules: Rules, rest: Rest | None) -> "_Cycle":
        timers = {each.host: each for each in situation.timers}
        quarantines, barred = _quarantines(situation, facility)
        orders = _orders(situation, barred)
        entries = tuple(entry for entry in rules.calendar if entry.hours.hold(situation.window.now))
        freezes = freezes_by_host(entries, facility.by_name)
        return cls(situation, facility, rules, rest, timers, quarantines, barred, orders, entries, freezes)

    def acting(self, voice: Voice) -> "tuple[_Acting, int]":
        """The voice with its placement, and the workers that found no place in it.

        What has been unknown for long leads to the safe split: no workers, but what the calendar and alerts keep.
        """
        limits = self.rules.limits
        unknown = unknown_reason(self.situation.window, voice.signals, limits)
        walk = walk_words(self.situation, voice.name, unknown, limits)
        if walk is not None:
            voice = replace(voice, demand=Demand(0, walk))
        # What people say in the calendar lies over what alerts say.
        tunings = self.situation.tunings if self.rules.tuned else ()
        demand = limited_demand(tuned_demand(voice.demand, tunings), self.entries)
        placement = place(
            demand,
            self.facility,
            self.situation.hosts,
            quarantined=self.quarantines.keys(),
            barred=self.barred.keys(),
            strained=_strained(self.situation, limits),
            orders=self.orders,
            freezes=self.freezes,
            entries=self.entries,
            seats_of=None if self.rest is None else self.rest.seats,
        )
        if self.entries or tunings:
            voice = replace(voice, demand=replace(demand, reason="; ".join([demand.reason, *placement.told])))
        known = voice.demand.workers is not None and not unknown
        rest = self.rest if known else None
        resting = {} if rest is None else rest.resting(self.situation.hosts, placement.wanted, f"hold: {voice.words}")
        for name in (*self.barred, *self.orders, *self.freezes):
            # Its reason says so; what people and the calendar say is over at some time, which no host would show.
            resting.pop(name, None)
        return _Acting(self, voice, placement.wanted, unknown, known, rest, resting, walk), placement.unplaced


class _Acting(Value, frozen=True):
    """A voice in a cycle: the workers its placement wants by host, and whether its demand rests on what is known.

    ``resting`` has the decisions of hosts that are known to stay as they are; ``walk`` is why hosts are walked to the
    safe split, ``silent`` says which voice should have acted instead.
    """

    cycle: _Cycle
    voice: Voice
    wanted: Mapping[str, int]
    unknown: str | None
    known: bool
    rest: Rest | None
    resting: Mapping[str, HostDecision]
    walk: str | None = None
    silent: str | None = None

    def not_placed(self, observed: HostObservation) -> HostDecision | None:
        """Decide a host that has no part in the placement, ``None`` for the others: the guards decide them."""
        if observed.host in self.wanted:
            return None
        quarantine = self.cycle.quarantines.get(observed.host)
        if quarantine is None:
            return _left_alone(observed)
        left_alone = not self.known or self.cycle.orders.get(observed.host, NO_ORDERS).left_alone
        at = None if left_alone else self.cycle.situation.window.now
        return _quarantined(self.cycle.facility.by_name[observed.host], observed, quarantine, at)

    def with_guards(self, observed: HostObservation) -> HostDecision:
        """Decide a host by what the guards let through of what is wanted."""
        cycle, name = self.cycle, observed.host
        host = cycle.facility.by_name[name]
        current = workers_now(host, observed.domain(host.proof.name))
        timers = cycle.timers.get(name) or HostTimers(name)
        unknown, least = self._walked(host, observed)
        view = HostView(
            host=host,
            observed=observed,
            current=current,
            timers=timers,
            now=cycle.situation.window.now,
            unknown=unknown,
            limits=cycle.rules.limits,
            orders=cycle.orders.get(name, NO_ORDERS),
            freeze=cycle.freezes.get(name, NO_FREEZE),
            walks_to=least,
        )
        decided = self._decide_host(view, self.wanted[name])
        if self.rest is not None and name not in cycle.orders and name not in cycle.freezes:
            self.rest.note(host, observed, decided)
        barred = cycle.barred.get(name)
        more = [_told(barred)] if barred else []
        more += [self.silent] if self.silent else []
        return replace(decided, reason="; ".join([decided.reason, *more])) if more else decided

    def _walked(self, host: Host, observed: HostObservation) -> tuple[str | None, int | None]:
        """What holds the host, or where its walk to the safe split ends, and the fewest workers it may be walked to."""
        if self.walk is None:
            return self.unknown, None
        situation = self.cycle.situation
        least, why = walks_to(host, observed, situation.quiet, self.cycle.rules.limits, situation.window.now)
        return why, least

    def _decide_host(self, view: HostView, wanted: int) -> HostDecision:
        current, orders = view.current, view.orders
        granted, cuts = run_guards(wanted, view, self.cycle.rules.guards)
        walks = view.walks_to is not None and wanted < current
        if not self.known and orders.override is None and not walks:
            # Nothing is resized on unknown data, not even by the part of a worker that a repair would trim. Asked
            # anew, because the guard that holds cuts nothing where no change is wanted.
            granted, cuts, transfer = current, tuple(cut for cut in cuts if cut.guard == fresh.__name__), None
        elif granted == current and (orders.left_alone or not self.known):
            transfer = None
        else:
            planned = plan if self.rest is None else self.rest.plan
            transfer = planned(view.host, view.observed, current, granted)
        why = _why(_verb(current, granted, transfer), self.voice.words, cuts, view)
        return HostDecision(view.host.name, current, wanted, granted, why, cuts, transfer)


def _resting(acting: _Acting, canary: _Acting, group: Collection[str]) -> dict[str, HostDecision]:
    """The decisions of hosts that are known to stay as they are, each by who acts on it."""
    resting = dict(acting.resting)
    for name in group:
        resting.pop(name, None)
        if name in canary.resting:
            resting[name] = canary.resting[name]
    return resting


def _acting_canary(cycle: _Cycle, acting: _Acting, shadows: tuple[Opinion, ...]) -> _Acting:
    """Who acts on the canary's hosts: the acting policy where the canary has no voice, which their reasons then say."""
    voice, silent = canary_voice(cycle.rules.canary, cycle.rules.shadows, shadows)
    if voice is not None:
        return cycle.acting(voice)[0]
    # What is known to rest would not say it.
    return acting if silent is None else replace(acting, silent=silent, rest=None, resting={})


def _orders(situation: Situation, barred: Container[str]) -> dict[str, HostOrders]:
    """What people have said of each host; a PROOF domain that could not be woken is not woken by an override either."""
    orders = orders_by_host(situation.orders, situation.window.now)
    return {name: replace(each, override=None) if name in barred else each for name, each in orders.items()}


def _strained(situation: Situation, limits: GuardLimits) -> set[str]:
    now = situation.window.now
    swapped = [timers for timers in situation.timers if timers.strained_at is not None]
    return {timers.host for timers in swapped if strained_for(timers, limits, now)}


def _quarantines(situation: Situation, facility: Facility) -> tuple[dict[str, Quarantine], dict[str, Quarantine]]:
    """The quarantines by host: those that bind it, and those that only keep its PROOF domain from being woken.

    A domain that does not run is not stuck, its host can go on without it; one that could not be woken gets no workers
    until the next try.
    """
    quarantines = {each.host: each.quarantine for each in situation.timers if each.quarantine is not None}
    binding, barring = {}, {}
    for observed in situation.hosts if quarantines else ():
        quarantine, host = quarantines.get(observed.host), facility.by_name[observed.host]
        if quarantine is None or observed.state is not HostState.READY or quarantine.domain not in host.domain_names:
            continue
        if observed.domain(quarantine.domain).state is DomainState.RUNNING:
            binding[observed.host] = quarantine
        elif quarantine.domain == host.proof.name and situation.window.now < quarantine.probe_at:
            barring[observed.host] = quarantine
    return binding, barring


def _verb(current: int, granted: int, transfer: Transfer | None) -> str:
    if granted != current:
        return "grow" if granted > current else "shrink"
    return "hold" if transfer is None else "put right"


def _why(verb: str, words: str, cuts: tuple[Cut, ...], view: HostView) -> str:
    limits = "".join([f"; {cut.guard}: {cut.reason}" for cut in cuts])
    # Where the placement has followed them already, no guard has anything to cut.
    said = *view.freeze.in_words(), *view.orders.in_words()
    limits += "".join([f"; {words}" for words in said if words not in limits])
    taken, guests = view.observed.committed_mib, view.guests_mib
    over = f"; overcommitted: {taken} MiB are taken of {guests} MiB for guests" if taken > guests else ""
    return f"{verb}: {words}{limits}{over}"


def _quarantined(host: Host, observed: HostObservation, quarantine: Quarantine, now: datetime | None) -> HostDecision:
    """Leave a host with a balloon that does not move as it is, and try it again when its time has come.

    ``now`` is ``None`` while the signals are unknown: then nothing is moved, not even to try.
    """
    current = workers_now(host, observed.domain(host.proof.name))
    since = clock(quarantine.since)
    if now is None or now < quarantine.probe_at:
        return HostDecision(host.name, current, None, current, f"quarantined since {since}: {_told(quarantine)}")
    # A balloon at its lower limit moves up only: the other way is tried every second time.
    transfer = probe(host, observed, current, quarantine.domain, growing=quarantine.failures % 2 == 0)
    tried = "it cannot be tried now" if transfer is None else "trying whether it moves now"
    why = f"quarantined since {since}: {quarantine.reason}; {tried}"
    return HostDecision(host.name, current, None, current, why, transfer=transfer)


def _told(quarantine: Quarantine) -> str:
    return f"{quarantine.reason}; tried again at {quarantine.probe_at:%H:%M:%S}"


def _left_alone(observed: HostObservation) -> HostDecision:
    if observed.state is HostState.MOVING:
        return HostDecision(observed.host, None, None, None, f"in transfer to {observed.moving_to_workers} workers")
    if observed.state is HostState.LATE:
        return HostDecision(observed.host, None, None, None, "late: this cycle did not wait for its answer")
    return HostDecision(observed.host, None, None, None, observed.problem or "unusable")


def _without_plan(decision: Decision) -> Decision:
    return replace(decision, hosts=tuple(replace(host, transfer=None) for host in decision.hosts))
