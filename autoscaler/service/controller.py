"""One cycle of the loop: read, decide, record the intent, act, record the outcome."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from autoscaler.contracts import Hypervisor, Source, Store, StoreError
from autoscaler.core.decide import decide
from autoscaler.core.guards import unknown_reason
from autoscaler.core.quarantine import after, tried
from autoscaler.core.rules import Rules
from autoscaler.core.safe import SafeSplit, safe_rules
from autoscaler.core.sessions import SHOWN, shown_sessions
from autoscaler.core.situation import make_situation
from autoscaler.hypervisors.transfer import Edges, carry_out
from autoscaler.learning.standing import standing
from autoscaler.model import (
    Decision,
    Demand,
    Facility,
    Host,
    HostState,
    Opinion,
    Outcome,
    Quarantine,
    Result,
    Sample,
    Series,
    Transfer,
    Tuning,
    Window,
)
from autoscaler.service.fence import Fenced
from autoscaler.service.hosts import Connect, HostLane, Hosts
from autoscaler.service.log_format import FIELDS, change_fields

_log = logging.getLogger("autoscaler")

# How long a stopping controller lets transfers finish; below systemd's 90 s before it kills.
STOP_GRACE_S = 60.0

# Of what the log tells when it comes and when it is over.
_WALK = "walk to the safe split"


@dataclass(frozen=True, slots=True)
class Cycle:
    """A decision, its number in the store, and how long its parts took."""

    number: int
    decision: Decision
    read_s: float
    decide_s: float
    record_s: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Times of the edges: how long to wait for a host, and for a balloon that does not move."""

    host_timeout: timedelta
    transfer_stall: timedelta


class Controller:
    """Keeps one facility in step with its demand."""

    def __init__(
        self,
        *,
        facility: Facility,
        rules: Rules,
        source: Source,
        connect: Connect,
        store: Store,
        pace: Pace,
        clock: Callable[[], datetime],
        with_model: Callable[[Rules], Rules] = lambda rules: rules,
        on_decision: Callable[[int, Decision], None] = lambda _number, _decision: None,
        on_outcome: Callable[[Outcome], None] = lambda _: None,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self._facility = facility
        self._rules = rules
        self._with_model = with_model
        # Called when it is recorded, before anything is done about it.
        self._on_decision = on_decision
        # Called in the hosts' threads.
        self._on_outcome = on_outcome
        self._source = source
        self._store = store
        self._pace = pace
        self._clock = clock
        # Sleeps for so long, or until the controller stops; a facility in memory has a time of its own.
        self._wait = wait
        # Before the first cycle, the store has to be asked.
        self._begun = False
        self._newest: Decision | None = None
        # The rules of announced sessions that the store is still to be told of.
        self._shown: frozenset[str] = frozenset()
        self._hosts = Hosts(facility, connect, pace.host_timeout)
        self._stopping = threading.Event()
        self._told: dict[str, str] = {}

    def cycle(self) -> Cycle:
        """Run one cycle; transfers go on after it returns. Raises ``StoreError``, and then nothing was done."""
        return self._run(self._source.read, lambda: self._with_model(self._rules), lambda decision: decision)

    def walk_to_safe(self, because: str) -> Cycle:
        """Run one cycle to the safe split, in place of those that fail; ``because`` says why.

        Raises as ``cycle`` does: what cannot be recorded is not done.
        """
        rules = safe_rules(self._rules, because)
        return self._run(self._read_or_unknown, lambda: rules, lambda decision: _carrying(decision, self._newest))

    def _run(
        self, read: Callable[[datetime], Window], rules_now: Callable[[], Rules], last: Callable[[Decision], Decision]
    ) -> Cycle:
        began = time.perf_counter()
        now = self._clock()
        if not self._begun:
            self._newest, self._begun = self._store.newest(), True
        window, hosts = read(now), self._hosts.observe(self._store.asked)
        tunings, shown = self._tunings(window, now)
        orders, timers = self._store.orders(now), self._store.timers()
        seen = time.perf_counter()
        rules = rules_now()
        situation = make_situation(
            window,
            hosts,
            timers,
            orders=orders,
            tunings=tunings,
            before=self._newest,
            facility=self._facility,
            rules=rules,
        )
        decision = last(decide(situation, self._facility, rules))
        decided = time.perf_counter()
        number = self._store.record_decision(decision)
        self._newest = decision
        self._end_shown(shown, now)
        recorded = time.perf_counter()
        self._on_decision(number, decision)
        self._begin(number, decision)
        self._tell(number, decision, rules)
        return Cycle(number, decision, seen - began, decided - seen, recorded - decided)

    def _tunings(self, window: Window, now: datetime) -> tuple[tuple[Tuning, ...], frozenset[str]]:
        """Those in force, and the rules of the announced sessions that the signals show now."""
        tunings = [each for each in self._store.tunings(now) if each.rule not in self._shown]
        shown = shown_sessions(self._newest, window, tunings)
        return tuple(each for each in tunings if each.rule not in shown), shown

    def _end_shown(self, shown: frozenset[str], now: datetime) -> None:
        """An announced session that the signals show is no longer one, whatever they show later.

        Not before the decision that left it out is recorded: the next cycle would take the same rise for another one.
        """
        self._shown |= shown
        if self._shown:
            self._store.end_tunings(self._shown, SHOWN, now)
            self._shown = frozenset()

    def _read_or_unknown(self, now: datetime) -> Window:
        try:
            return self._source.read(now)
        except Exception as error:  # noqa: BLE001 - this is for when things raise that must not
            problem = f"reading it failed: {type(error).__name__}: {error}"
            unknown = (Sample(now, None),)
            return Window(now, tuple(Series(name, unknown, problem=problem) for name in SafeSplit.signals))

    def replace(self, facility: Facility, rules: Rules, source: Source | None, pace: Pace) -> None:
        """Go on with another configuration, and with the same source for ``None``; not to be called during a cycle.

        Raises what connecting to a host raises, and then nothing has changed.
        """
        self._hosts.replace(facility, pace.host_timeout)
        self._facility, self._rules, self._pace = facility, rules, pace
        self._source = self._source if source is None else source

    def lead(self, store: Store) -> None:
        """Begin anew from what the store says, another controller may have led; not to be called during a cycle.

        What is under way keeps its store, which refuses what belongs to an earlier term.
        """
        self._store, self._begun, self._shown = store, False, frozenset()
        self._hosts.forget()

    def settle(self, timeout_s: float | None = None) -> bool:
        """Wait until no transfer is under way; return whether that came true in time."""
        return self._hosts.settle(timeout_s)

    def stop(self) -> None:
        """Let running transfers finish, interrupt those that do not within the grace time, let go of the hosts."""
        if not self.settle(STOP_GRACE_S):
            self._stopping.set()
            self.settle(self._pace.host_timeout.total_seconds())
        self._hosts.end()

    def _begin(self, number: int, decision: Decision) -> None:
        """Start the transfers. What the store says of their hosts is handed to them, it cannot change meanwhile."""
        hosts = {host.host: host for host in decision.situation.hosts}
        quarantines = {each.host: each.quarantine for each in decision.situation.timers}
        for transfer in decision.transfers:
            seen, quarantine = hosts[transfer.host].domains, quarantines.get(transfer.host)
            asked = {domain.name: domain.asked_mib for domain in seen if domain.asked_mib is not None}
            lane = self._hosts.lane(transfer.host)
            work = partial(self._carry_out, number, transfer, asked, quarantine, lane, store=self._store)
            lane.begin_transfer(transfer, work)

    def _carry_out(
        self,
        number: int,
        transfer: Transfer,
        asked: Mapping[str, int],
        quarantine: Quarantine | None,
        lane: HostLane,
        *,
        store: Store,
    ) -> None:
        """Run in the host's lane; the configuration may have changed since the transfer was planned."""
        edges = Edges(
            now=self._clock,
            wait=partial(self._wait, self._stopping),
            record_asked=lambda domain, memory_mib: store.record_asked(transfer.host, domain, memory_mib),
            stall=self._pace.transfer_stall,
        )
        try:
            outcome = self._transfer(transfer, Fenced(lane.hypervisor, store.confirm), asked, edges)
            self._on_outcome(outcome)
            store.record_outcome(number, outcome)
            _tell_outcome(transfer, outcome)
            _remember(store, transfer, outcome, quarantine, lane.host)
        except StoreError as error:
            _log.error("%s: the outcome of the transfer cannot be recorded: %s", transfer.host, error)

    def _transfer(self, transfer: Transfer, hypervisor: Hypervisor, asked: Mapping[str, int], edges: Edges) -> Outcome:
        began_at = self._clock()
        try:
            return carry_out(transfer, hypervisor, asked, edges)
        except Exception as error:  # noqa: BLE001 - nothing that happens to one host may end its lane
            _log.exception("%s: the transfer failed unexpectedly; the next cycle plans anew", transfer.host)
            reason = f"unexpected {type(error).__name__}: {error}"
            return Outcome(transfer.host, Result.FAILED, reason, began_at, self._clock())

    def _tell(self, number: int, decision: Decision, rules: Rules) -> None:
        """Log what changes, and each problem once when it comes and once when it is over."""
        for host in decision.hosts:
            if (move := host.transfer) is not None:
                extra = {FIELDS: change_fields(number, decision, host, move)}
                words = host.host, move.workers_from, move.workers_to, host.reason
                _log.info("%s: %d -> %d workers: %s", *words, extra=extra)
        problems = {
            observed.host: observed.problem or "unusable"
            for observed in decision.situation.hosts
            if observed.state is HostState.UNUSABLE or observed.problem is not None
        }
        unknown = unknown_reason(decision.situation.window, rules.policy.signals, rules.limits)
        if unknown:
            problems["signals"] = unknown
        if decision.safe_split:
            problems[_WALK] = f"{decision.safe_split}; hosts whose PROOF does nothing give its workers back"
        if decision.error:
            problems["decision"] = decision.error
        doubts = _doubts(decision)
        problems |= doubts
        for subject in self._told.keys() - problems.keys():
            _log.info("%s: %s", subject, "over" if subject == _WALK else "well again")
        for subject, problem in problems.items():
            # Another doubt is told anew; the words of other problems change all the time.
            if subject not in self._told or (subject in doubts and problem != self._told[subject]):
                _log.warning("%s", problem)
        self._told = problems


def _carrying(decision: Decision, newest: Decision | None) -> Decision:
    """The decision with what the policies, who were not asked, knew before it: they find it after a restart."""
    if newest is None:
        return decision
    silent = Demand(None, "not asked")
    opinions = tuple(Opinion(each.name, each.policy, silent, each.memory) for each in newest.opinions)
    return replace(decision, memory=newest.memory, opinions=opinions)


def _doubts(decision: Decision) -> dict[str, str]:
    """Why learned policies have stepped back, by who did."""
    memories = {"the policy": decision.memory, **{f"shadow {name}": each for name, each in decision.memories.items()}}
    found = {who: standing(memory) for who, memory in memories.items()}
    doubts = {who: each.doubt for who, each in found.items() if each is not None and each.doubt is not None}
    return {f"forecast of {who}": f"{who}: the threshold rule decides alone: {doubt}" for who, doubt in doubts.items()}


def _tell_outcome(transfer: Transfer, outcome: Outcome) -> None:
    seconds = (outcome.ended_at - outcome.began_at).total_seconds()
    level = logging.INFO if outcome.result is Result.DONE else logging.WARNING
    _log.log(level, "%s: transfer %s after %.1f s: %s", transfer.host, outcome.result, seconds, outcome.reason)


def _remember(store: Store, transfer: Transfer, outcome: Outcome, before: Quarantine | None, host: Host) -> None:
    """Write what the next cycles must know: a donor that began to swap, a balloon that does not move."""
    # A PROOF domain that swaps wants more memory, and must not be kept from it.
    if outcome.strained not in (None, host.proof.name):
        store.record_strain(outcome.host, outcome.ended_at)
    quarantine = after(outcome, tried(transfer), before)
    if quarantine == before:
        return
    store.record_quarantine(outcome.host, quarantine)
    if quarantine is None:
        _log.info("%s: %s moves again, the quarantine is over", outcome.host, transfer.probe)
    else:
        _log.warning("%s: quarantined until it moves: %s", outcome.host, quarantine.reason)
