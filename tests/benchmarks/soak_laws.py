"""What must be true of every decision of a soak, whatever fails."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB, wn_floor_mib
from autoscaler.core.rules import Rules
from autoscaler.model import Decision, Facility, HostObservation, StepKind, TuningKind

# By so much a clock may jump, and what was unknown still counts as unknown ever since.
JUMPS = timedelta(minutes=15)


def broken_by(decision: Decision, facility: Facility, rules: Rules, unknown_for: timedelta) -> Iterator[str]:
    """Yield the laws that a decision breaks; ``unknown_for`` is how long the signals could not be read in truth."""
    if decision.error:
        yield f"deciding failed: {decision.error}"
    may_shrink = not unknown_for or unknown_for > (rules.limits.unknown_to_safe or timedelta.max) - JUMPS
    seen = {each.host: each for each in decision.situation.hosts}
    for decided in decision.hosts:
        host = facility.host(decided.host)
        if decided.granted is not None and decided.transfer is not None:
            if not 0 <= decided.granted <= host.proof.workers_max:
                yield f"{host.name}: {decided.granted} workers are granted, {host.proof.workers_max} are the most"
            yield from _of_steps(decision, facility, seen[host.name], may_shrink=may_shrink)
    yield from _of_tunings(decision, rules)


def _of_steps(decision: Decision, facility: Facility, seen: HostObservation, *, may_shrink: bool) -> Iterator[str]:
    host = facility.host(seen.host)
    transfer = next(each for each in decision.transfers if each.host == host.name)
    wns = {wn.name: wn for wn in host.wns}
    for step in transfer.steps:
        if step.kind is not StepKind.SHRINK:
            continue
        if step.domain == host.proof.name and not may_shrink:
            yield f"{host.name}: PROOF shrinks from {transfer.workers_from} workers while nothing is known"
        if step.domain in wns:
            floor = wn_floor_mib(wns[step.domain], seen)
            if floor is None or step.after.memory_mib < floor - BALLOON_TOLERANCE_MIB:
                yield f"{host.name}: {step.domain} shrinks to {step.after.memory_mib} MiB, below its floor {floor}"


def _of_tunings(decision: Decision, rules: Rules) -> Iterator[str]:
    counts = Counter(each.rule for each in decision.situation.tunings)
    yield from (f"{rule} acts {number} times" for rule, number in counts.items() if number > 1)
    most = _most_wanted(decision, rules)
    # Where nothing is to shrink, by a freeze or for want of knowledge, hosts keep what they have.
    present = sum(each.current or 0 for each in decision.hosts if each.wanted is not None)
    wanted = sum(each.wanted or 0 for each in decision.hosts)
    if wanted > max(most, present):
        yield f"{wanted} workers are wanted on hosts that have {present}, policy and tunings want {most}"


def _most_wanted(decision: Decision, rules: Rules) -> int:
    """What the policy wants, with all that is in force."""
    tunings = decision.situation.tunings
    untuned = rules.policy.decide(decision.situation.window).workers
    # A boost waits while the policy holds, but stands above the walk of what is unknown for long.
    waits = untuned is None and decision.safe_split is None
    kinds = (TuningKind.SESSION,) if waits else (TuningKind.SESSION, TuningKind.BOOST)
    wanted = (untuned or 0) + sum(each.workers or 0 for each in tunings if each.kind in kinds)
    caps = [each.workers for each in tunings if each.kind is TuningKind.CAP and each.workers is not None]
    return min([wanted, *caps])


def broken_ledger(
    ledger: Mapping[tuple[str, str], int], asked: Mapping[tuple[str, str], tuple[int, int]]
) -> Iterator[str]:
    """Yield the domains of which the ledger knows less than was asked; ``asked`` has their sizes and targets."""
    for key, (memory_mib, target_mib) in asked.items():
        if target_mib > max(memory_mib, ledger.get(key, 0)) + BALLOON_TOLERANCE_MIB:
            yield f"{key}: was asked for {target_mib} MiB and has {memory_mib} MiB, the ledger says {ledger.get(key)}"
