"""From granted workers to steps: their order, their sums, and that a plan carried out leaves nothing to do."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB, memory_for_guests_mib
from autoscaler.core.plan import plan
from autoscaler.model import (
    Allocation,
    DomainObservation,
    Host,
    HostObservation,
    Step,
    StepKind,
    Transfer,
)
from autoscaler.testing import a_host, observed
from tests.core.situations import hosts, observations, unhurried

ORDER = list(StepKind)
granted_workers = st.integers(0, 16)


def legal(host: Host, seen: HostObservation, workers: int) -> bool:
    """What the guard host_sum lets through."""
    total_mib = (
        host.proof.dormant.memory_mib + workers * host.proof.memory_per_worker_mib + host.wns[0].memory_floor_mib
    )
    return total_mib + seen.unmanaged_mib <= memory_for_guests_mib(host, seen)


def carried_out(seen: HostObservation, transfer: Transfer) -> HostObservation:
    """The host when every step has been asked for and reached."""
    domains = {domain.name: domain for domain in seen.domains}
    for step in transfer.steps:
        domain = domains[step.domain]
        if step.kind in (StepKind.LEND, StepKind.CPU):
            after = replace(step.after, memory_mib=domain.allocation.memory_mib)
            domains[step.domain] = replace(domain, allocation=after)
        else:
            after = replace(domain.allocation, memory_mib=step.after.memory_mib)
            domains[step.domain] = replace(domain, allocation=after, asked_mib=step.after.memory_mib)
    return replace(seen, domains=tuple(domains.values()))


def changed(seen: HostObservation, name: str, **changes: object) -> HostObservation:
    """The observation with fields of one domain changed."""
    domains = (replace(domain, **changes) if domain.name == name else domain for domain in seen.domains)
    return replace(seen, domains=tuple(domains))


def in_words(step: Step) -> str:
    if step.kind in (StepKind.LEND, StepKind.CPU):
        return f"{step.kind} {step.domain} {step.after.cpu_weight} {step.after.cpu_cap_cores}"
    return f"{step.kind} {step.domain} {step.before.memory_mib} {step.after.memory_mib}"


def steps(transfer: Transfer | None) -> list[str]:
    return [] if transfer is None else [in_words(step) for step in transfer.steps]


@unhurried
@given(hosts, observations, granted_workers)
def test_donors_shrink_before_acceptors_grow_before_cpus_change(
    host: Host, seen: HostObservation, granted: int
) -> None:
    transfer = plan(host, seen, 0, granted)
    kinds = [step.kind for step in transfer.steps] if transfer else []
    assert kinds == sorted(kinds, key=ORDER.index)


@unhurried
@given(hosts, observations, granted_workers)
def test_a_plan_never_commits_more_than_the_memory_for_guests(host: Host, seen: HostObservation, granted: int) -> None:
    """Where more is in use already, it commits no more than that. One of the two may stay 8 MiB above its target."""
    transfer = plan(host, seen, 0, granted)
    if transfer is not None and legal(host, seen, granted):
        most_mib = max(memory_for_guests_mib(host, seen), seen.committed_mib)
        assert carried_out(seen, transfer).committed_mib <= most_mib + BALLOON_TOLERANCE_MIB


@unhurried
@given(hosts, observations, granted_workers)
def test_a_plan_never_takes_memory_in_use_from_the_worker_node(host: Host, seen: HostObservation, granted: int) -> None:
    wn = seen.domain("wn")
    transfer = plan(host, seen, 0, granted)
    for step in transfer.steps if transfer else ():
        if step.domain == "wn" and step.after.memory_mib < wn.allocation.memory_mib:
            assert host.wns[0].swap_down_to_mib is not None or wn.used_mib is not None
            assert (
                host.wns[0].swap_down_to_mib is not None
                or step.after.memory_mib >= wn.used_mib + host.wns[0].memory_margin_mib
            )


@unhurried
@given(hosts, observations, granted_workers)
def test_the_worker_node_is_never_asked_for_less_than_its_floor(
    host: Host, seen: HostObservation, granted: int
) -> None:
    transfer = plan(host, seen, 0, granted)
    asked = [step.after.memory_mib for step in transfer.steps if step.domain == "wn"] if transfer else []
    assert all(
        memory_mib >= min(host.wns[0].memory_floor_mib, seen.domain("wn").allocation.memory_mib) for memory_mib in asked
    )


@unhurried
@given(hosts, observations, granted_workers)
def test_a_plan_carried_out_leaves_nothing_to_do(host: Host, seen: HostObservation, granted: int) -> None:
    transfer = plan(host, seen, 0, granted)
    after = seen if transfer is None else carried_out(seen, transfer)
    assert plan(host, after, granted, granted) is None


@unhurried
@given(hosts, observations, granted_workers)
def test_a_memory_step_changes_only_memory_and_a_cpu_step_only_the_cpu(
    host: Host, seen: HostObservation, granted: int
) -> None:
    transfer = plan(host, seen, 0, granted)
    for step in transfer.steps if transfer else ():
        assert step.before == seen.domain(step.domain).allocation
        if step.kind in (StepKind.LEND, StepKind.CPU):
            assert step.after.memory_mib == step.before.memory_mib
        else:
            assert replace(step.after, memory_mib=step.before.memory_mib) == step.before


def test_waking_up_takes_from_the_worker_node_first_and_sets_weights_last() -> None:
    """3 workers are 572 + 3 * 792 = 2948 MiB; the Worker Node keeps 7483 - 2948 = 4535 MiB."""
    host = a_host()
    assert steps(plan(host, observed(host), 0, 3)) == [
        "lend proof 32 3.0",
        "shrink wn 6911 4535",
        "grow proof 572 2948",
        "cpu proof 256 3.0",
        "cpu wn 32 None",
    ]


def test_going_dormant_takes_from_proof_first_and_sets_weights_last() -> None:
    host = a_host()
    assert steps(plan(host, observed(host, workers=3), 3, 0)) == [
        "shrink proof 2948 572",
        "grow wn 4535 6911",
        "cpu proof 32 1.0",
        "cpu wn 256 None",
    ]


def test_one_more_worker_changes_the_cap_and_lends_the_donor_as_much_weight_as_proof_has() -> None:
    host = a_host()
    assert steps(plan(host, observed(host, workers=3), 3, 4)) == [
        "lend wn 256 None",
        "lend proof 256 4.0",
        "shrink wn 4535 3743",
        "grow proof 2948 3740",
        "cpu proof 256 4.0",
        "cpu wn 32 None",
    ]


def test_a_transfer_names_its_host_its_workers_and_the_sum_to_keep() -> None:
    host = a_host()
    transfer = plan(host, observed(host), 0, 3)
    assert transfer is not None
    assert (transfer.host, transfer.workers_from, transfer.workers_to) == ("host-1", 0, 3)
    assert transfer.memory_for_guests_mib == 8056 - 573


def test_nothing_is_planned_for_a_host_at_its_target() -> None:
    host = a_host()
    assert plan(host, observed(host, workers=3), 3, 3) is None


def with_memory(seen: HostObservation, name: str, memory_mib: int) -> HostObservation:
    domain: DomainObservation = seen.domain(name)
    return changed(seen, name, allocation=replace(domain.allocation, memory_mib=memory_mib))


def test_a_balloon_within_its_tolerance_is_left_alone() -> None:
    host = a_host()
    assert plan(host, with_memory(observed(host, workers=3), "wn", 4535 + 8), 3, 3) is None
    assert plan(host, with_memory(observed(host, workers=3), "wn", 4535 - 8), 3, 3) is None


def test_a_balloon_beyond_its_tolerance_is_corrected() -> None:
    host = a_host()
    assert steps(plan(host, with_memory(observed(host, workers=3), "wn", 4535 + 9), 3, 3)) == ["shrink wn 4544 4535"]
    assert steps(plan(host, with_memory(observed(host, workers=3), "wn", 4535 - 9), 3, 3)) == ["grow wn 4526 4535"]


def test_a_worker_node_made_larger_by_hand_is_not_shrunk_below_what_it_uses() -> None:
    """At 3 workers it shall have 4535 MiB, but it uses 5000 + 256."""
    host = a_host()
    enlarged = with_memory(observed(host, workers=3, wn_used_mib=5000), "wn", 6000)
    assert "shrink wn 6000 5256" in steps(plan(host, enlarged, 3, 3))


def test_a_worker_node_that_does_not_say_its_use_is_not_shrunk() -> None:
    host = a_host()
    enlarged = with_memory(observed(host, workers=3, wn_used_mib=None), "wn", 6000)
    assert plan(host, enlarged, 3, 3) is None


def test_proof_grows_only_into_what_the_worker_node_can_spare() -> None:
    """It shall have 6 workers (5324 MiB), but 7483 - (5000 + 256) = 2227 MiB are left."""
    host = a_host()
    assert steps(plan(host, observed(host, wn_used_mib=5000), 0, 6))[1:3] == [
        "shrink wn 6911 5256",
        "grow proof 572 2227",
    ]


def test_an_unfinished_growth_beyond_the_target_is_taken_back() -> None:
    """PROOF was asked to 6908 MiB, has reached 2000, and now shall have 2948: asking for less comes first."""
    host = a_host()
    growing = changed(with_memory(observed(host, workers=3), "proof", 2000), "proof", asked_mib=6908)
    assert steps(plan(host, growing, 1, 3))[0] == "shrink proof 2000 2948"


def test_an_unfinished_growth_of_a_domain_at_its_target_is_taken_back() -> None:
    host = a_host()
    growing = changed(observed(host, workers=3), "proof", asked_mib=6908)
    assert steps(plan(host, growing, 3, 3)) == ["shrink proof 2948 2948"]


def test_an_unfinished_growth_towards_the_target_goes_on() -> None:
    host = a_host()
    growing = changed(with_memory(observed(host, workers=3), "proof", 2000), "proof", asked_mib=2948)
    assert "grow proof 2000 2948" in steps(plan(host, growing, 1, 3))


def test_a_cap_of_all_cores_is_as_good_as_none() -> None:
    """Eight workers get a cap of eight cores; the hypervisor reads it back as no cap."""
    host = a_host()
    awake = observed(host, workers=8)
    allocation = awake.domain("proof").allocation
    uncapped = changed(awake, "proof", allocation=Allocation(allocation.memory_mib, allocation.cpu_weight, None))
    assert plan(host, uncapped, 8, 8) is None
