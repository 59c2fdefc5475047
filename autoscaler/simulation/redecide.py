"""A decision that was made, decided again by other rules, and what is different then."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from autoscaler.contracts import Policy
from autoscaler.core.decide import decide
from autoscaler.core.rules import Rules
from autoscaler.core.safe import is_of_safe_split, safe_rules
from autoscaler.model import Cut, Decision, Facility, Host, HostDecision, HostObservation


@dataclass(frozen=True, slots=True)
class Redecided:
    """The new decision, and by host why it is not in it."""

    decision: Decision
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two decisions say differently, and why each; ``host`` is ``None`` for the whole facility."""

    host: str | None
    what: str
    one: Any
    two: Any
    why_one: str
    why_two: str


def redecide(decision: Decision, facility: Facility, rules: Rules) -> Redecided:
    """Decide what was known then by these rules, on those of these hosts that were looked at then.

    No policy was asked where cycles had failed, and so none is now.
    """
    if is_of_safe_split(decision):
        rules = safe_rules(rules, "as then")
    situation = decision.situation
    known = {host.name: host for host in facility.hosts}
    left_out = {seen.host: why for seen in situation.hosts if (why := _strange(known.get(seen.host), seen)) is not None}
    there = {seen.host for seen in situation.hosts}
    left_out |= {name: "it was not looked at" for name in known if name not in there}
    hosts = tuple(seen for seen in situation.hosts if seen.host not in left_out)
    return Redecided(decide(replace(situation, hosts=hosts), facility, rules), left_out)


def missing_history(decision: Decision, policy: Policy) -> timedelta | None:
    """How far back the decision's window reaches when the policy looks back further, ``None`` when it does not.

    Signals without any sample are unknown, which is said elsewhere.
    """
    window = decision.situation.window
    oldest = [samples[0].at for name in policy.signals if (samples := window.signal(name).samples)]
    reach = window.now - max(oldest, default=window.now - policy.history)
    return reach if reach < policy.history else None


def _strange(host: Host | None, seen: HostObservation) -> str | None:
    if host is None:
        return "the configuration does not know it"
    there = {domain.name for domain in seen.domains}
    missing = [name for name in host.domain_names if name not in there] if there else []
    return f"its domain {' and '.join(missing)} was not looked at" if missing else None


def differences(one: Decision, two: Decision) -> tuple[Difference, ...]:
    """What two decisions say differently, of the facility and of each host that is in both.

    Demand, wanted, granted, cuts and transfers count; the words of a reason do not.
    """
    reasons = one.demand.reason, two.demand.reason
    found = _differing(None, _of_facility(one), _of_facility(two), reasons)
    others = {host.host: host for host in two.hosts}
    for first in one.hosts:
        if (second := others.get(first.host)) is not None:
            found += _differing(first.host, _of_host(first), _of_host(second), (first.reason, second.reason))
    return tuple(found)


def _differing(
    host: str | None, one: Mapping[str, Any], two: Mapping[str, Any], reasons: tuple[str, str]
) -> list[Difference]:
    return [Difference(host, what, one[what], two[what], *reasons) for what in one if one[what] != two[what]]


def _of_facility(decision: Decision) -> dict[str, Any]:
    demand = decision.demand
    return {
        "demand": demand.workers,
        "may_shrink": demand.may_shrink,
        "unplaced": decision.unplaced_workers,
        "error": decision.error,
    }


def _of_host(decided: HostDecision) -> dict[str, Any]:
    return {
        "wanted": decided.wanted,
        "granted": decided.granted,
        "cuts": tuple(_without_reason(cut) for cut in decided.cuts),
        "transfer": decided.transfer,
    }


def _without_reason(cut: Cut) -> Cut:
    return replace(cut, reason="")
