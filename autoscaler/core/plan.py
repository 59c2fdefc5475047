"""From granted workers to one host's ordered steps: donors shrink, acceptors grow, weights and caps last."""

from collections.abc import Mapping
from dataclasses import replace

from autoscaler.core.allocation import (
    cap_cores,
    memory_for_guests_mib,
    proof_allocation,
    proof_held_mib,
    proof_memory_mib,
    proof_needs_mib,
    same_cpu,
    settled,
    wn_cpu,
    wn_floor_mib,
)
from autoscaler.core.sharing import asleep_mib, share
from autoscaler.model import (
    Allocation,
    DomainObservation,
    DomainState,
    Host,
    HostObservation,
    Step,
    StepKind,
    Transfer,
    WnDomain,
)

# Small enough to disturb nobody, and more than a balloon trembles.
PROBE_MIB = 32

# Less is given within a moment whatever the donor weighs.
WORTH_LENDING_MIB = 256

_ORDER = tuple(StepKind)


def plan(host: Host, observed: HostObservation, current: int, granted: int) -> Transfer | None:
    """Return the transfer that brings the host to ``granted`` workers, ``None`` when it is there already.

    A domain without CPU cannot inflate its balloon, so the donor keeps its weight until its memory is given, and is
    lent as much as any other has. Waking and going to sleep are steps of the same transfer.
    """
    sizes = _wn_sizes(host, observed, granted)
    steps = [*_proof_steps(host, observed, granted, sizes), *_wn_steps(host, observed, granted, sizes)]
    steps += _loans(host, observed, steps)
    return _transfer(host, observed, current, granted, steps)


def probe(host: Host, observed: HostObservation, current: int, name: str, *, growing: bool = False) -> Transfer | None:
    """Return a transfer that only tries whether a quarantined domain's balloon moves, ``None`` when it cannot be tried.

    What it moves, the next cycle moves back. A domain without memory to spare is to grow, a Worker Node at PROOF's cost
    where nothing is free, and PROOF at a Worker Node's: one that begins to swap would say nothing of its balloon. With
    ``growing`` it is to grow in any case that allows it.
    """
    domain = observed.domain(name)
    if domain.state is not DomainState.RUNNING:
        return None
    wn = next((wn for wn in host.wns if wn.name == name), None)
    less_mib = domain.allocation.memory_mib - PROBE_MIB
    floor_mib = host.proof.dormant.memory_mib if wn is None else wn_floor_mib(wn, observed)
    legal = floor_mib is not None and less_mib >= floor_mib
    smaller = [_resize(StepKind.SHRINK, domain, less_mib, wn)] if legal else []
    spare = domain.used_mib is None or less_mib >= domain.used_mib + PROBE_MIB
    larger = _larger(host, observed, domain, wn)
    first, second = (larger, smaller) if growing or not spare else (smaller, larger)
    transfer = _transfer(host, observed, current, current, first or second)
    return None if transfer is None else replace(transfer, probe=name)


def _larger(host: Host, observed: HostObservation, domain: DomainObservation, wn: WnDomain | None) -> list[Step]:
    """Steps that let a domain grow a little, a Worker Node to its floor at least; none where there is no room."""
    goal_mib = max(domain.allocation.memory_mib + PROBE_MIB, 0 if wn is None else wn.memory_floor_mib)
    free_mib = memory_for_guests_mib(host, observed) - observed.committed_mib
    missing_mib = max(0, goal_mib - domain.committed_mib - free_mib)
    if goal_mib > domain.memory_max_mib:
        return []
    grow = _resize(StepKind.GROW, domain, goal_mib, wn)
    if not missing_mib:
        return [grow]
    donor, its_wn, spare_mib = max(_donors(host, observed, wn), key=lambda each: each[2])
    if spare_mib < missing_mib:
        return []
    return [_resize(StepKind.SHRINK, donor, donor.allocation.memory_mib - missing_mib, its_wn), grow]


def _donors(
    host: Host, observed: HostObservation, wn: WnDomain | None
) -> list[tuple[DomainObservation, WnDomain | None, int]]:
    """Who may give to a Worker Node, or to PROOF without one, and how much, in MiB."""
    floors: list[tuple[str, WnDomain | None, int | None]]
    if wn is not None:
        floors = [(host.proof.name, None, host.proof.dormant.memory_mib)]
    else:
        floors = [(each.name, each, wn_floor_mib(each, observed)) for each in host.wns]
    donors = []
    for name, its_wn, floor_mib in floors:
        domain = observed.domain(name)
        gives = floor_mib is not None and domain.state is DomainState.RUNNING
        donors.append((domain, its_wn, domain.allocation.memory_mib - (floor_mib or 0) if gives else 0))
    return donors


def _transfer(host: Host, observed: HostObservation, current: int, granted: int, steps: list[Step]) -> Transfer | None:
    if not steps:
        return None
    ordered = tuple(sorted(steps, key=lambda step: _ORDER.index(step.kind)))
    return Transfer(host.name, current, granted, memory_for_guests_mib(host, observed), ordered)


def _proof_steps(host: Host, observed: HostObservation, granted: int, wn_sizes: Mapping[str, int]) -> list[Step]:
    proof, target = observed.domain(host.proof.name), proof_allocation(host, granted)
    asleep = proof.state is not DomainState.RUNNING
    if asleep and not granted:
        return []
    steps = [Step(StepKind.WAKE, proof.name, proof.allocation, proof.allocation)] if asleep else []
    left = memory_for_guests_mib(host, observed) - observed.unmanaged_mib
    left -= sum(wn_sizes.values()) + asleep_mib(host, observed)
    within = target.resized(min(target.memory_mib, max(left, proof.allocation.memory_mib)))
    # What a domain without memory was asked for belongs to its former life.
    awake = proof if proof.state.holds_memory else replace(proof, asked_mib=None)
    steps += _memory_steps(awake, within.memory_mib)
    # A domain that is started anew has forgotten its weight and cap, whatever they look like now.
    steps += _cpu_step(proof, target, anew=asleep)
    if not granted and host.proof.dormant_state is not DomainState.RUNNING:
        dormant = proof.allocation.resized(host.proof.dormant.memory_mib)
        steps.append(Step(StepKind.SLEEP, proof.name, proof.allocation, dormant, state=host.proof.dormant_state))
    return steps


def _wn_steps(host: Host, observed: HostObservation, granted: int, sizes: Mapping[str, int]) -> list[Step]:
    steps = []
    for wn in host.wns:
        if observed.domain(wn.name).state is DomainState.RUNNING:
            steps += _memory_steps(observed.domain(wn.name), sizes[wn.name], wn)
            steps += _cpu_step(observed.domain(wn.name), _wn_target(host, wn, granted, observed))
    return steps


def _wn_target(host: Host, wn: WnDomain, workers: int, observed: HostObservation) -> Allocation:
    return Allocation(observed.domain(wn.name).allocation.memory_mib, *wn_cpu(host, wn, workers, observed))


def _wn_sizes(host: Host, observed: HostObservation, granted: int) -> Mapping[str, int]:
    rest = memory_for_guests_mib(host, observed) - observed.unmanaged_mib - _held_by_proof_mib(host, observed, granted)
    return share(host, observed, rest)


def _held_by_proof_mib(host: Host, observed: HostObservation, granted: int) -> int:
    """What the Worker Nodes must leave to PROOF.

    A balloon that rests a little off its goal is left there, and holds what it holds. So does a paused domain. What
    somebody else has shut off may be started again by them, at its dormant size.
    """
    proof = observed.domain(host.proof.name)
    if proof.state is DomainState.RUNNING:
        goal_mib = proof_memory_mib(host, granted)
        return proof.committed_mib if settled(proof, goal_mib) else goal_mib
    if granted:
        return proof_needs_mib(host, observed, granted)
    if proof.state is DomainState.PAUSED:
        return proof.committed_mib
    ours = host.proof.dormant_state is not DomainState.RUNNING and proof.state is not DomainState.ABSENT
    return proof_held_mib(host, 0) if ours else proof_memory_mib(host, 0)


def _memory_steps(domain: DomainObservation, memory_mib: int, wn: WnDomain | None = None) -> list[Step]:
    if settled(domain, memory_mib):
        return []
    # An unfinished growth beyond the target is taken back first, even where the domain is still below the target.
    kind = StepKind.SHRINK if memory_mib < domain.committed_mib else StepKind.GROW
    return [_resize(kind, domain, memory_mib, wn)]


def _resize(kind: StepKind, domain: DomainObservation, memory_mib: int, wn: WnDomain | None = None) -> Step:
    """One that is to grow may be found larger than its goal when its turn comes: it has the same floors."""
    after = domain.allocation.resized(memory_mib)
    if wn is None:
        return Step(kind, domain.name, domain.allocation, after)
    # The margin is there to be eaten into while jobs come and go; half of it must be left on the way.
    keep_mib = wn.memory_margin_mib // 2 if wn.swap_down_to_mib is None else None
    return Step(kind, domain.name, domain.allocation, after, keep_mib, wn.swap_down_to_mib or 0)


def _cpu_step(domain: DomainObservation, target: Allocation, *, anew: bool = False) -> list[Step]:
    if not anew and same_cpu(domain.allocation, target, domain.vcpus):
        return []
    return [_cpu(StepKind.CPU, domain, target)]


def _cpu(kind: StepKind, domain: DomainObservation, target: Allocation) -> Step:
    return Step(kind, domain.name, domain.allocation, target.resized(domain.allocation.memory_mib))


def _loans(host: Host, observed: HostObservation, steps: list[Step]) -> list[Step]:
    """CPU for the time of the transfer.

    A donor gets as much weight as any other domain has and at least a core, and at the end what it had or is to have.
    PROOF gets its cap at once, so that its first workers need not wait for the last: it takes nothing from a donor
    that weighs as much.
    """
    shrinks = [step for step in steps if step.kind is StepKind.SHRINK]
    if sum(step.before.memory_mib - step.after.memory_mib for step in shrinks) < WORTH_LENDING_MIB:
        return []
    donors = [observed.domain(step.domain) for step in shrinks]
    cpu = {step.domain: step.after for step in steps if step.kind is StepKind.CPU}
    running = [domain for domain in observed.domains if domain.state is DomainState.RUNNING]
    # Nothing runs where all are suspended, and a paused donor first has to be woken.
    weight = max((domain.allocation.cpu_weight for domain in running), default=0)
    loans: list[Step] = []
    for donor in (donor for donor in donors if donor.state is DomainState.RUNNING):
        cap = donor.allocation.cpu_cap_cores
        lent = Allocation(donor.allocation.memory_mib, weight, None if cap is None or cap < 1 else cap)
        if not same_cpu(donor.allocation, lent, donor.vcpus):
            loans.append(_cpu(StepKind.LEND, donor, lent))
            loans += [] if donor.name in cpu else [_cpu(StepKind.CPU, donor, donor.allocation)]
    proof = observed.domain(host.proof.name)
    if proof.state is DomainState.RUNNING and proof not in donors and proof.name in cpu:
        lent = replace(proof.allocation, cpu_cap_cores=cpu[proof.name].cpu_cap_cores)
        if cap_cores(lent) > cap_cores(proof.allocation):
            loans.append(_cpu(StepKind.LEND, proof, lent))
    return loans
