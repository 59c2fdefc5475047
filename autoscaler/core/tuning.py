"""What alerts change for a time: the configuration's rules make tunings of them, and tunings change the demand.

Alerts are told again and again, late, in any order, and by whoever has recorded one. So a tuning is of one firing, and
that begins it once; a rule acts once, however many alerts it matches.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from autoscaler.core.guards import CLOCK_SKEW
from autoscaler.core.words import clock
from autoscaler.model import AlertIdentity, Change, Demand, Direction, Orders, Pause, Tuning, TuningKind

# What Grafana calls an alert of a rule whose query gave nothing, or failed.
_WITHOUT_DATA = frozenset({"DatasourceNoData", "DatasourceError"})
_REASONS_WITHOUT_DATA = frozenset({"NoData", "Error"})

# The store remembers for longer which firings it has had; one from before it remembers may be a replay.
OLDEST = timedelta(days=7)
REMEMBERED = timedelta(days=14)
# Who announces a session again does so within the login, or the query, that it belongs to.
SESSIONS_REMEMBERED = timedelta(days=1)

MOST_SESSIONS_TOLD = 3
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a webhook. ``state_reason`` is Grafana's word on why it is in its state, empty where it has none."""

    identity: AlertIdentity
    firing: bool
    labels: Mapping[str, str]
    state_reason: str = ""

    @property
    def name(self) -> str:
        """What it is called, in one line and not too long: reasons, the log and terminals repeat it."""
        said = self.labels.get("alertname", "")[:LONGEST_NAME]
        return "".join(each if each.isprintable() else " " for each in said).strip() or "without a name"


@dataclass(frozen=True, slots=True)
class TuningRule:
    """The labels that an alert must have, and what is done while it fires, for ``span`` at most."""

    match: Mapping[str, str]
    kind: TuningKind
    span: timedelta
    workers: int | None = None
    direction: Direction | None = None
    hosts: tuple[str, ...] = ()
    where: str = ""
    change: Change | None = None

    @property
    def words(self) -> str:
        """What tells it from other rules; not its numbers, so that changing those begins nothing again."""
        of = self.direction or (self.change.parameter if self.change else "")
        what = f"{self.kind} {of}".rstrip()
        return f"{what} on {', '.join(f'{label}={value}' for label, value in sorted(self.match.items()))}"

    def matches(self, alert: Alert) -> bool:
        """Whether the alert has all of the labels."""
        return all(alert.labels.get(label) == value for label, value in self.match.items())

    def tuning(self, alert: Alert, now: datetime) -> Tuning:
        """What this alert begins now."""
        return Tuning(
            alert.identity,
            alert.name,
            self.words,
            self.kind,
            now,
            now + self.span,
            self.workers,
            self.direction,
            self.hosts,
            self.where,
            self.change,
        )


@dataclass(frozen=True, slots=True)
class Ignored:
    """An alert of which nothing comes, and why."""

    alert: str
    reason: str


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """What some alerts begin and end; ``over`` is what resolved ones would have begun, not to be begun any more."""

    begin: tuple[Tuning, ...] = ()
    end: tuple[AlertIdentity, ...] = ()
    over: tuple[Tuning, ...] = ()
    ignored: tuple[Ignored, ...] = ()


def decide_tuning(alerts: Iterable[Alert], rules: Sequence[TuningRule], now: datetime) -> TuningPlan:
    """What the alerts begin and end, by the rules.

    A resolved alert ends its own tunings, also those of rules that are gone, and does nothing else: that an alert is
    over does not say that nobody waits, its exporter may have died.
    """
    begin: list[Tuning] = []
    end: list[AlertIdentity] = []
    over: list[Tuning] = []
    ignored: list[Ignored] = []
    for alert in alerts:
        matching = [rule.tuning(alert, now) for rule in rules if rule.matches(alert)]
        reason = _unheard(alert, now) or (None if matching else "no rule of tuning matches its labels")
        if not alert.firing:
            end.append(alert.identity)
            over += matching
        elif reason is None:
            begin += matching
        if reason is not None:
            ignored.append(Ignored(alert.name, reason))
    return TuningPlan(tuple(begin), tuple(end), tuple(over), tuple(ignored))


def _unheard(alert: Alert, now: datetime) -> str | None:
    """Why a firing alert begins nothing, whatever the rules say; ``None`` where they decide."""
    if not alert.firing:
        return None
    if alert.name in _WITHOUT_DATA:
        return f"{alert.name} says that nothing is known, which is no reason to change anything"
    if why := _REASONS_WITHOUT_DATA & {each.strip() for each in alert.state_reason.split(",")}:
        return f"it fires because of {min(why)}: nothing is known, which is no reason to change anything"
    if alert.identity.starts_at > now + CLOCK_SKEW:
        return "it begins in the future: a clock is wrong"
    if now - alert.identity.starts_at > OLDEST:
        return f"it began more than {OLDEST.days} days ago"
    return None


def in_force(tunings: Iterable[Tuning], now: datetime) -> tuple[Tuning, ...]:
    """Those that are not over yet, for each rule the one that ends last."""
    found: dict[str, Tuning] = {}
    for tuning in sorted((each for each in tunings if each.until > now), key=lambda each: each.until):
        found[tuning.rule] = tuning
    return tuple(found[rule] for rule in sorted(found))


def tuned_demand(demand: Demand, tunings: Sequence[Tuning]) -> Demand:
    """What a policy wants with all boosts and announced sessions, and then at most what each cap lets it.

    Where it wants to hold it stays so, but for sessions: there are at least as many workers as those want.
    """
    holds = demand.workers is None
    boosts = [each for each in tunings if each.kind is TuningKind.BOOST]
    sessions = [each for each in tunings if each.kind is TuningKind.SESSION]
    # Who sees that an alert has begun, and no host that grows, finds out here why.
    waiting = [f"{tuning_words(each)} waits while the policy holds" for each in boosts if holds]
    if holds and not sessions:
        return replace(demand, reason="; ".join([demand.reason, *waiting])) if waiting else demand
    more = [*sessions] if holds else [*boosts, *sessions]
    workers = (demand.workers or 0) + sum(each.workers or 0 for each in more)
    reasons = [demand.reason, *waiting, *_told(more)]
    for tuning in (each for each in tunings if each.kind is TuningKind.CAP):
        if tuning.workers is not None and workers > tuning.workers:
            workers = tuning.workers
            reasons.append(tuning_words(tuning))
    return Demand(workers, "; ".join(reasons), demand.may_shrink and not holds)


def _told(tunings: Sequence[Tuning]) -> list[str]:
    """Each of them in words; of many sessions only how many: every host's reason repeats it."""
    sessions = [each for each in tunings if each.kind is TuningKind.SESSION]
    if len(sessions) <= MOST_SESSIONS_TOLD:
        return [tuning_words(each) for each in tunings]
    others = [tuning_words(each) for each in tunings if each.kind is not TuningKind.SESSION]
    return [*others, f"{len(sessions)} announced sessions: +{sum(each.workers or 0 for each in sessions)} workers"]


def with_freezes(orders: Orders, tunings: Iterable[Tuning]) -> Orders:
    """The orders with what the tunings freeze: a pause in one direction, whoever says it."""
    pauses = tuple(
        Pause(host, each.direction, each.begun_at, each.until, _who(each), "tuning")
        for each in tunings
        if each.direction is not None
        for host in each.hosts
    )
    return replace(orders, pauses=(*orders.pauses, *pauses))


def without_freezes(orders: Orders, tunings: Iterable[Tuning]) -> Orders:
    """The orders without what these tunings freeze."""
    frozen = with_freezes(Orders(), tunings).pauses
    return replace(orders, pauses=tuple(each for each in orders.pauses if each not in frozen))


def tuning_words(tuning: Tuning) -> str:
    """A tuning as the reason of a decision tells it."""
    return f"{_who(tuning)}: {doing(tuning)} until {clock(tuning.until)}"


def tuning_values(tuning: Tuning) -> dict[str, object]:
    """A tuning as JSON values, with the alert that began it."""
    return {
        "rule": tuning.rule,
        "kind": tuning.kind,
        "doing": doing(tuning),
        "begun_at": tuning.begun_at.isoformat(),
        "until": tuning.until.isoformat(),
        "alert": tuning.name,
        "source": tuning.alert.source,
        "group": tuning.alert.group,
        "fingerprint": tuning.alert.fingerprint,
        "starts_at": tuning.alert.starts_at.isoformat(),
    }


def doing(tuning: Tuning) -> str:
    """What it does."""
    match tuning.kind:
        case TuningKind.BOOST | TuningKind.SESSION:
            return f"+{tuning.workers} workers"
        case TuningKind.CAP:
            return f"at most {tuning.workers} workers"
        case TuningKind.FREEZE:
            ways = "growing" if tuning.direction is Direction.GROW else "shrinking"
            return f"{ways} frozen on {tuning.where}"
        case TuningKind.STEP | TuningKind.PRICE:
            return tuning.change.words if tuning.change else ""


def _who(tuning: Tuning) -> str:
    if tuning.kind is TuningKind.SESSION:
        return f"session {tuning.name}" + (f" of {tuning.alert.group}" if tuning.alert.group else "")
    return f"alert {tuning.name} ({tuning.alert.source})"
