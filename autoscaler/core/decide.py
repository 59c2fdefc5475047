"""One cycle's decision: demand, placement, guards, plan. No clock, no I/O, no logging; reasons are data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from autoscaler.contracts import Policy
from autoscaler.core.allocation import memory_for_guests_mib, workers_now
from autoscaler.core.guards import GUARDS, Guard, HostView, fresh, run_guards, strained_for, unknown_reason
from autoscaler.core.placement import place
from autoscaler.core.plan import plan, probe
from autoscaler.core.rest import Rest
from autoscaler.core.voices import Canary, Voice, ask, canary_voice, opinions
from autoscaler.model import (
    Cut,
    Decision,
    DomainState,
    Facility,
    GuardLimits,
    Host,
    HostDecision,
    HostObservation,
    HostState,
    HostTimers,
    Quarantine,
    Situation,
    Transfer,
    Window,
)


@dataclass(frozen=True, slots=True)
class Rules:
    """How to decide: the policy, the guards in their order, and the numbers the guards work with.

    ``shadows`` are policies that are only asked, by their names; ``canary`` is the one of them that acts on some hosts.
    """

    policy: Policy
    limits: GuardLimits
    guards: tuple[Guard, ...] = GUARDS
    shadows: Mapping[str, Policy] = field(default_factory=dict)
    canary: Canary | None = None


def decide(situation: Situation, facility: Facility, rules: Rules, rest: Rest | None = None) -> Decision:
    """Decide one cycle; the same function runs live, in a dry run, in the simulation and over stored situations.

    It never raises for what a policy or guard does: a policy that raises holds every host, a guard that raises empties
    the plan of the whole cycle (fail closed). Both are recorded in ``error``. ``rest`` only saves time.
    """
    demand, memory, error = ask(rules.policy, situation.window)
    shadows = opinions(rules.shadows, situation)
    known = {host.name: host for host in facility.hosts}
    timers = {each.host: each for each in situation.timers}
    quarantines, barred = _quarantines(situation, known)
    placed = partial(
        place,
        facility=facility,
        observed=situation.hosts,
        quarantined=quarantines.keys(),
        barred=barred.keys(),
        strained=_strained(situation, rules.limits),
        seat_of=None if rest is None else rest.seat,
    )
    placement = placed(demand)
    acting = _Acting.of(Voice(demand, rules.policy.signals), placement.wanted, situation.window, rules.limits)
    voice, silent = canary_voice(rules.canary, rules.shadows, shadows)
    group = rules.canary.hosts if rules.canary else ()
    second = acting if silent is None else replace(acting, hold=f"{acting.hold}; {silent}")
    if voice is not None:
        second = _Acting.of(voice, placed(voice.demand).wanted, situation.window, rules.limits)
    hosts = []
    for observed in situation.hosts:
        name = observed.host
        who = second if name in group else acting
        wanted, known_now = who.wanted.get(name), who.known
        resting = rest if known_now else None
        if name in quarantines:
            at = situation.window.now if known_now else None
            hosts.append(_quarantined(known[name], observed, quarantines[name], at))
            continue
        if wanted is None:
            hosts.append(_left_alone(observed))
            continue
        if resting is not None and name not in barred and resting.needs_nothing(observed, wanted):
            hosts.append(HostDecision(name, wanted, wanted, wanted, who.hold))
            continue
        try:
            current = workers_now(known[name], observed.domain(known[name].proof.name))
            mine = timers.get(name, HostTimers(name))
            view = HostView(known[name], observed, current, mine, situation.window, who.voice.signals, rules.limits)
            decided = _decide_host(view, wanted, who.voice, rules.guards, known=known_now)
            if resting is not None:
                resting.note(known[name], observed, decided)
            if name in barred:
                decided = replace(decided, reason=f"{decided.reason}; {_told(barred[name])}")
            if silent and name in group:
                decided = replace(decided, reason=f"{decided.reason}; {silent}")
            hosts.append(decided)
        except Exception as problem:  # noqa: BLE001 - whatever a guard raises, the plan is emptied, not the loop ended
            error = error or f"guard failed on {name}: {type(problem).__name__}: {problem}"
            hosts.append(HostDecision(name, None, wanted, None, error))
    decision = Decision(
        situation.window.now,
        repr(rules.policy),
        situation,
        demand,
        tuple(hosts),
        placement.unplaced,
        error,
        memory,
        shadows,
    )
    return _without_plan(decision) if error else decision


@dataclass(frozen=True, slots=True)
class _Acting:
    """A voice, the workers its placement wants by host, and whether its demand rests on what is known."""

    voice: Voice
    wanted: Mapping[str, int]
    known: bool
    hold: str

    @classmethod
    def of(cls, voice: Voice, wanted: Mapping[str, int], window: Window, limits: GuardLimits) -> "_Acting":
        unknown = unknown_reason(window, voice.signals, limits)
        return cls(voice, wanted, voice.demand.workers is not None and not unknown, f"hold: {voice.words}")


def _strained(situation: Situation, limits: GuardLimits) -> set[str]:
    now = situation.window.now
    return {timers.host for timers in situation.timers if strained_for(timers, limits, now)}


def _quarantines(
    situation: Situation, known: Mapping[str, Host]
) -> tuple[dict[str, Quarantine], dict[str, Quarantine]]:
    """The quarantines by host: those that bind it, and those that only keep its PROOF domain from being woken.

    A domain that does not run is not stuck, its host can go on without it; one that could not be woken gets no workers
    until the next try.
    """
    quarantines = {each.host: each.quarantine for each in situation.timers if each.quarantine is not None}
    binding, barring = {}, {}
    for observed in situation.hosts if quarantines else ():
        quarantine, host = quarantines.get(observed.host), known[observed.host]
        if quarantine is None or observed.state is not HostState.READY or quarantine.domain not in host.domain_names:
            continue
        if observed.domain(quarantine.domain).state is DomainState.RUNNING:
            binding[observed.host] = quarantine
        elif quarantine.domain == host.proof.name and situation.window.now < quarantine.probe_at:
            barring[observed.host] = quarantine
    return binding, barring


def _decide_host(view: HostView, wanted: int, voice: Voice, guards: tuple[Guard, ...], *, known: bool) -> HostDecision:
    current = view.current
    granted, cuts = run_guards(wanted, view, guards)
    if not known:
        # Nothing is resized on unknown data, not even by the part of a worker that a repair would trim. Asked anew,
        # because the guard that holds cuts nothing where no change is wanted.
        granted, cuts, transfer = current, tuple(cut for cut in cuts if cut.guard == fresh.__name__), None
    else:
        transfer = plan(view.host, view.observed, current, granted)
    why = _why(_verb(current, granted, transfer), voice.words, cuts, view)
    return HostDecision(view.host.name, current, wanted, granted, why, cuts, transfer)


def _verb(current: int, granted: int, transfer: Transfer | None) -> str:
    if granted != current:
        return "grow" if granted > current else "shrink"
    return "hold" if transfer is None else "put right"


def _why(verb: str, words: str, cuts: tuple[Cut, ...], view: HostView) -> str:
    limits = "".join(f"; {cut.guard}: {cut.reason}" for cut in cuts)
    taken, guests = view.observed.committed_mib, memory_for_guests_mib(view.host, view.observed)
    over = f"; overcommitted: {taken} MiB are taken of {guests} MiB for guests" if taken > guests else ""
    return f"{verb}: {words}{limits}{over}"


def _quarantined(host: Host, observed: HostObservation, quarantine: Quarantine, now: datetime | None) -> HostDecision:
    """Leave a host with a balloon that does not move as it is, and try it again when its time has come.

    ``now`` is ``None`` while the signals are unknown: then nothing is moved, not even to try.
    """
    current = workers_now(host, observed.domain(host.proof.name))
    since = f"{quarantine.since:%Y-%m-%d %H:%M:%S %Z}"
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
