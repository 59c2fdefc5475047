"""The cycles as systemd, Prometheus and whoever reads the log see them: finished, failed, too often failed."""

import logging
import time
from collections.abc import Callable
from datetime import datetime

from autoscaler.contracts import DamagedStoreError, StoreError
from autoscaler.model import Decision
from autoscaler.service.controller import Controller, Cycle
from autoscaler.service.health import Health
from autoscaler.service.notify import tell

_log = logging.getLogger("autoscaler")


class Duty:
    """Runs the controller's cycles. Only one that finished feeds systemd's watchdog.

    After ``failures_to_safe`` that failed in a row the hosts are walked to the safe split, which feeds nothing: where
    it lasts, systemd starts the controller anew. When it is the store that fails they stay as they are, as nothing is
    done that cannot be recorded.
    """

    def __init__(
        self,
        controller: Controller,
        health: Health,
        failures_to_safe: int,
        record_failure: Callable[[datetime, str], None],
        clock: Callable[[], datetime],
    ) -> None:
        self.failures_to_safe = failures_to_safe
        self.newest: Cycle | None = None
        self._controller = controller
        self._health = health
        self._record_failure = record_failure
        self._clock = clock
        self._failing_since: datetime | None = None
        # What was logged of the walk to the safe split, so that it is logged once.
        self._walk_told: str | None = None
        self._refused: str | None = None
        # systemd takes READY=1 as that of the start, which something has to have come to its end for.
        self._ready = False
        self._text = ""

    def cycle(self) -> Cycle:
        """Run one cycle; raises what it raised, after all was done that is to be done then."""
        try:
            cycle = self._controller.cycle()
        except Exception as error:
            self._failed(error)
            raise
        self.newest = cycle
        self._health.finished()
        self._well(status_text(cycle))
        return cycle

    def stand_by(self, words: str, *, store_fails: bool) -> None:
        """Another controller leads, or nobody can: this one lives, and waits."""
        self.newest = None
        self._health.stands_by(store_fails=store_fails)
        self._well(words)

    def _well(self, text: str) -> None:
        self._failing_since = self._walk_told = None
        first, self._ready, self._text = not self._ready, True, text
        tell(*(["READY=1"] if first else []), "WATCHDOG=1", self._status(text))

    def reload(self, renew: Callable[[], str | None]) -> None:
        """Take over a changed configuration; ``renew`` says why it is refused, and then the old one stays in force."""
        if self._ready:
            tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        problem = renew()
        self._health.reloaded(refused=problem is not None)
        if problem is None:
            self._refused = None
            _log.info("the configuration was read again and is in force")
        else:
            self._refused = f"configuration refused at {clock_text(self._clock(), self._clock())}: {problem}"
            _log.error("the new configuration is refused, the old one stays in force: %s", problem)
        if self._ready:
            tell("READY=1", self._status(self._text))

    def _failed(self, error: Exception) -> None:
        by_store = isinstance(error, StoreError)
        why = str(error) if by_store else f"{type(error).__name__}: {error}"
        now = self._clock()
        self._failing_since = self._failing_since or now
        self._health.failed(by_store=by_store)
        if not isinstance(error, DamagedStoreError):
            self._record(now, why)
        in_a_row = self._health.failed_in_a_row
        doing = "hosts keep what they have"
        if in_a_row >= self.failures_to_safe and not by_store:
            doing = self._walk_to_safe(f"{in_a_row} cycles failed in a row")
        since = clock_text(self._failing_since, now)
        tell(self._status(f"{in_a_row} cycles failed in a row since {since}: {why}; {doing}"))

    def _record(self, now: datetime, why: str) -> None:
        try:
            self._record_failure(now, why)
        except StoreError as error:
            _log.debug("a failed cycle cannot be recorded: %s", error)

    def _walk_to_safe(self, because: str) -> str:
        """Walk the hosts to the safe split; return what is done, in words."""
        self._health.gives_up()
        doing = "hosts are walked to the safe split"
        try:
            self._controller.walk_to_safe(because)
        except Exception as error:  # noqa: BLE001 - the loop outlives it, and a next cycle tries again
            doing = f"hosts keep what they have, no safe split: {error}"
        if doing != self._walk_told:
            _log.error("%s: %s", because, doing)
        self._walk_told = doing
        return doing

    def _status(self, text: str) -> str:
        return f"STATUS={text}" if self._refused is None else f"STATUS={text}; {self._refused}"


def status_text(cycle: Cycle) -> str:
    """One cycle in a line, as ``systemctl status`` shows it."""
    decision = cycle.decision
    demand = decision.demand.workers
    wanted = "holding" if demand is None else f"{demand} workers wanted"
    if decision.safe_split:
        wanted = "walking to the safe split, as signals are unknown for long"
    granted = [workers for workers in _granted(decision) if workers]
    hosts = f"{sum(granted)} granted on {len(granted)} of {len(decision.hosts)} hosts"
    changed = _last_change(decision)
    last = "no change yet" if changed is None else f"last change {clock_text(changed, decision.at)}"
    return f"cycle {cycle.number}: {wanted}, {hosts}; {last}"


def clock_text(at: datetime, now: datetime) -> str:
    """A time as the administrator's clock shows it, with the date when that is not today's."""
    at, now = at.astimezone(), now.astimezone()
    return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S}"


def _granted(decision: Decision) -> list[int]:
    """Workers by host, those on the way included; a host of which nothing is known has none."""
    moving = {host.host: host.moving_to_workers or 0 for host in decision.situation.hosts}
    return [moving.get(host.host, 0) if host.granted is None else host.granted for host in decision.hosts]


def _last_change(decision: Decision) -> datetime | None:
    if any(transfer.workers_from != transfer.workers_to for transfer in decision.transfers):
        return decision.at
    changes = [at for each in decision.situation.timers for at in (each.grew_at, each.shrank_at) if at is not None]
    return max(changes, default=None)
