"""How long signals have been unknown without a break, and which hosts are then walked to the safe split.

It is unknown then whether somebody uses PROOF, but a hypervisor shows it all the same: workers that compute take CPU,
and what a session holds is memory that the guest uses. So a host walks only after its PROOF domain has done next to
nothing for all of that time, and never below what its guest uses; one whose guest does not tell that stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from autoscaler.core.guards import CLOCK_SKEW, unknown_reason
from autoscaler.core.words import clock
from autoscaler.model import (
    Decision,
    DomainState,
    Facility,
    GuardLimits,
    Host,
    HostObservation,
    HostState,
    Quiet,
    Situation,
)

# Nobody knows what was while nobody looked. A controller that hangs is started anew after ten minutes.
LOOKS_APART = timedelta(minutes=15)

# What a guest's own housekeeping stays below in the mean over this time. One worker that computes takes many times as
# much, one that mostly waits for its files still more; a few seconds of work in it are found at the next look.
QUIET_CORES = 0.05
QUIET_SPAN = timedelta(minutes=5)


def watching(
    situation: Situation,
    before: Decision | None,
    facility: Facility,
    acting: Mapping[str, tuple[str, ...]],
    limits: GuardLimits,
) -> Situation:
    """The situation with since when signals are unknown, and since when PROOF is quiet; ``before`` knows it until then.

    ``acting`` are the signals of each policy that acts, by its name.
    """
    window = situation.window
    unknown = [who for who, signals in acting.items() if unknown_reason(window, signals, limits) is not None]
    if not unknown:
        return situation
    last = None if before is None or not _unbroken(before.at, window.now) else before.situation
    since = {} if last is None else last.unknown_since
    known = {} if last is None else {quiet.host: quiet for quiet in last.quiet}
    looked = (_look(facility, seen, known.get(seen.host), window.now) for seen in situation.hosts)
    return replace(
        situation,
        unknown_since={who: min(since.get(who, window.now), window.now) for who in unknown},
        quiet=tuple(quiet for quiet in looked if quiet is not None),
    )


def walk_words(situation: Situation, who: str, unknown: str | None, limits: GuardLimits) -> str | None:
    """Why hosts of this policy are walked to the safe split, ``None`` = not (yet); ``unknown`` is what it misses."""
    since, wait = situation.unknown_since.get(who), limits.unknown_to_safe
    if unknown is None or since is None or wait is None or situation.window.now - since < wait:
        return None
    return f"safe split, signals have been unknown since {clock(since)}"


def walks_to(
    host: Host, observed: HostObservation, quiet: Sequence[Quiet], limits: GuardLimits, now: datetime
) -> tuple[int | None, str]:
    """The fewest workers that a host may be walked to, ``None`` = it keeps what it has, and why no fewer."""
    proof, wait = observed.domain(host.proof.name), limits.unknown_to_safe
    found = next((each for each in quiet if each.host == host.name), None)
    if found is None or wait is None:
        return None, f"it is not known whether {proof.name} works"
    if now - found.since < wait:
        return None, f"{proof.name} is quiet only since {clock(found.since)}"
    if proof.used_mib is None:
        # A session that nobody has touched for hours may still hold all of it.
        return None, f"{proof.name} does not say how much memory it uses"
    held_mib = max(0, proof.used_mib - host.proof.dormant.memory_mib)
    return -(-held_mib // host.proof.memory_per_worker_mib), f"{proof.name} uses {proof.used_mib} MiB"


def _unbroken(before: datetime, now: datetime) -> bool:
    """Whether so little time has passed since the look before that what was seen then counts as true ever since."""
    return -CLOCK_SKEW <= now - before <= LOOKS_APART


def _look(facility: Facility, seen: HostObservation, before: Quiet | None, now: datetime) -> Quiet | None:
    host = facility.by_name.get(seen.host)
    if host is None or seen.state is not HostState.READY:
        # The next reading tells what was done until then, unless it comes too late: CPU time only adds up.
        return before
    proof = seen.domain(host.proof.name)
    if proof.state is not DomainState.RUNNING:
        return None
    fresh_look = Quiet(seen.host, now, now, proof.cpu_time_s)
    if before is None or not _unbroken(before.looked_at, now):
        return fresh_look
    took_s, passed = proof.cpu_time_s - before.cpu_time_s, now - before.looked_at
    # CPU time begins anew with a guest that was started anew, and nothing is known of what it did before.
    if took_s < 0 or took_s > QUIET_CORES * max(passed, QUIET_SPAN).total_seconds():
        return fresh_look
    return before if passed < QUIET_SPAN else replace(fresh_look, since=min(before.since, now))
