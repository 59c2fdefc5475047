"""From granted workers to steps: their order, their sums, and that a plan carried out leaves nothing to do."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB, memory_for_guests_mib
from autoscaler.core.plan import plan, probe
from autoscaler.model import (
    Allocation,
    DomainObservation,
    DomainState,
    Host,
    HostObservation,
    Step,
    StepKind,
    Transfer,
)
from autoscaler.testing import A_SWAPPING_WN, A_WN, a_host, observed
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
        if step.kind is StepKind.WAKE:
            # It starts with what it is to have, so that the next step finds it there.
            domains[step.domain] = replace(domain, state=DomainState.RUNNING, start_mib=0, asked_mib=None)
        elif step.kind is StepKind.SLEEP:
            domains[step.domain] = asleep_as(domain, step.state or DomainState.RUNNING)
        elif step.kind in (StepKind.LEND, StepKind.CPU):
            after = replace(step.after, memory_mib=domain.allocation.memory_mib)
            domains[step.domain] = replace(domain, allocation=after)
        else:
            after = replace(domain.allocation, memory_mib=step.after.memory_mib)
            domains[step.domain] = replace(domain, allocation=after, asked_mib=step.after.memory_mib)
    return replace(seen, domains=tuple(domains.values()))


def asleep_as(domain: DomainObservation, state: DomainState) -> DomainObservation:
    """The domain asleep: one that is off holds nothing, and is restored with what it had."""
    if state.holds_memory:
        return replace(domain, state=state)
    start_mib = domain.allocation.memory_mib
    return replace(domain, state=state, start_mib=start_mib, allocation=replace(domain.allocation, memory_mib=0))


def changed(seen: HostObservation, name: str, **changes: object) -> HostObservation:
    """The observation with fields of one domain changed."""
    domains = (replace(domain, **changes) if domain.name == name else domain for domain in seen.domains)
    return replace(seen, domains=tuple(domains))


def in_words(step: Step) -> str:
    if step.kind is StepKind.WAKE:
        return f"{step.kind} {step.domain}"
    if step.kind is StepKind.SLEEP:
        return f"{step.kind} {step.domain} {step.state}"
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


def asleep_host(state: DomainState) -> Host:
    """The prototype's host, where PROOF sleeps without workers."""
    host = a_host()
    return replace(host, proof=replace(host.proof, dormant_state=state))


def asleep(host: Host, start_mib: int = 572) -> HostObservation:
    """That host with PROOF asleep; it holds nothing where it is off, and a start takes ``start_mib`` at once."""
    seen = observed(host)
    domain = asleep_as(seen.domain("proof"), host.proof.dormant_state)
    off = {} if domain.state.holds_memory else {"start_mib": start_mib}
    return changed(seen, "proof", state=domain.state, allocation=domain.allocation, **off)


class TestWakingAndSleeping:
    """Steps of the same transfer: woken when there is room, asleep when the memory is given."""

    def test_a_saved_domain_is_woken_once_there_is_room_and_then_grows(self) -> None:
        host = asleep_host(DomainState.SAVED)
        assert steps(plan(host, asleep(host), 0, 3)) == [
            "shrink wn 6911 4535",
            "wake proof",
            "grow proof 0 2948",
            "cpu proof 256 3.0",
            "cpu wn 32 None",
        ]

    def test_a_paused_domain_keeps_its_memory_and_grows_from_there(self) -> None:
        host = asleep_host(DomainState.PAUSED)
        assert steps(plan(host, asleep(host), 0, 3))[1:3] == ["wake proof", "grow proof 572 2948"]

    def test_a_start_that_takes_more_than_is_wanted_gets_that_room_first(self) -> None:
        """It starts with 4000 MiB, the Worker Node may rest 8 MiB above its goal: 7483 - 4008 = 3475."""
        host = asleep_host(DomainState.SHUT_OFF)
        assert steps(plan(host, asleep(host, start_mib=4000), 0, 3))[:3] == [
            "shrink wn 6911 3475",
            "wake proof",
            "grow proof 0 2948",
        ]

    def test_what_a_domain_that_is_off_was_asked_for_in_its_former_life_does_not_count(self) -> None:
        host = asleep_host(DomainState.SAVED)
        former = changed(asleep(host), "proof", asked_mib=6908)
        assert "grow proof 0 2948" in steps(plan(host, former, 0, 3))

    def test_a_domain_goes_to_sleep_last(self) -> None:
        host = asleep_host(DomainState.SHUT_OFF)
        transfer = plan(host, observed(host, workers=3), 3, 0)
        assert steps(transfer)[-1] == "sleep proof shut_off"
        assert "shrink proof 2948 572" in steps(transfer)

    def test_one_that_sleeps_already_is_left_alone(self) -> None:
        for state in (DomainState.PAUSED, DomainState.SAVED, DomainState.SHUT_OFF):
            host = asleep_host(state)
            assert plan(host, asleep(host), 0, 0) is None

    def test_a_dormant_one_that_runs_on_is_not_put_to_sleep(self) -> None:
        host = a_host()
        assert plan(host, observed(host), 0, 0) is None

    def test_the_worker_node_gets_what_a_domain_that_is_off_held(self) -> None:
        """7483 MiB, of which it can hold 6911."""
        host = asleep_host(DomainState.SAVED)
        seen = changed(asleep(host), "wn", allocation=Allocation(6000, 256))
        assert steps(plan(host, seen, 0, 0)) == ["grow wn 6000 6911"]

    def test_a_domain_that_somebody_else_shut_off_is_kept_room_for(self) -> None:
        """7483 - 572 = 6911; PROOF runs on without workers here, and may be started again."""
        host = a_host()
        seen = changed(observed(host), "proof", state=DomainState.SHUT_OFF, allocation=Allocation(0, 256))
        assert plan(host, seen, 0, 0) is None


class TestLoans:
    """A donor needs CPU to give its memory."""

    def test_a_donor_that_weighs_as_much_as_any_other_is_lent_nothing(self) -> None:
        host = a_host()
        assert "lend wn" not in " ".join(steps(plan(host, observed(host), 0, 3)))

    def test_a_donor_with_less_than_a_core_is_lent_all(self) -> None:
        host = a_host()
        capped = changed(observed(host), "wn", allocation=Allocation(6911, 256, 0.5))
        assert steps(plan(host, capped, 0, 3))[0] == "lend wn 256 None"

    def test_what_was_lent_is_given_back_at_the_end(self) -> None:
        host = a_host()
        transfer = plan(host, observed(host, workers=3), 3, 4)
        assert steps(transfer)[-1] == "cpu wn 32 None"

    def test_a_little_memory_is_not_worth_lending(self) -> None:
        host = a_host()
        assert steps(plan(host, with_memory(observed(host, workers=3), "proof", 2948 + 200), 3, 3)) == [
            "shrink proof 3148 2948"
        ]

    def test_nothing_is_lent_where_nothing_runs(self) -> None:
        """All is suspended by hand, and PROOF has more than is wanted: it is woken, and then shrinks."""
        host = asleep_host(DomainState.PAUSED)
        seen = changed(observed(host, workers=3), "proof", state=DomainState.PAUSED)
        assert steps(plan(host, changed(seen, "wn", state=DomainState.PAUSED), 0, 1)) == [
            "shrink proof 2948 1364",
            "wake proof",
            "cpu proof 256 1.0",
        ]


class TestSeveralWorkerNodes:
    """Each has floors of its own."""

    HOST = a_host(wns=(A_WN, replace(A_SWAPPING_WN, name="wn-2", swap_down_to_mib=1500)))

    def test_each_gives_and_each_is_set(self) -> None:
        """Both have 3455 MiB, one can spare 3455 - 756, the other as much: half of 4 * 792 each."""
        assert steps(plan(self.HOST, observed(self.HOST), 0, 4)) == [
            "lend proof 32 4.0",
            "shrink wn 3455 1871",
            "shrink wn-2 3455 1872",
            "grow proof 572 3740",
            "cpu proof 256 4.0",
            "cpu wn 32 None",
            "cpu wn-2 32 None",
        ]

    def test_one_that_is_off_is_neither_moved_nor_set_and_its_floor_is_kept(self) -> None:
        """7483 - 572 - 572 = 6339 MiB are for the other."""
        seen = changed(observed(self.HOST), "wn-2", state=DomainState.SHUT_OFF, allocation=Allocation(0, 256))
        assert steps(plan(self.HOST, seen, 0, 0)) == ["grow wn 3455 6339"]

    def test_one_that_was_suspended_on_its_way_up_is_kept_what_it_was_asked_for(self) -> None:
        """7483 - 572 - 3000 = 3911 MiB are for the other, although the suspended one has only 2000 so far."""
        paused = {"state": DomainState.PAUSED, "allocation": Allocation(2000, 256), "asked_mib": 3000}
        assert steps(plan(self.HOST, changed(observed(self.HOST), "wn-2", **paused), 0, 0)) == ["grow wn 3455 3911"]

    def test_a_step_carries_how_far_its_domain_may_be_squeezed(self) -> None:
        """Growing ones too: they may be found larger than their goal when their turn comes."""
        down, up = plan(self.HOST, observed(self.HOST), 0, 4), plan(self.HOST, observed(self.HOST, workers=4), 4, 0)
        for transfer in (down, up):
            assert transfer is not None
            moved = {step.domain: step for step in transfer.steps if step.kind in (StepKind.SHRINK, StepKind.GROW)}
            assert (moved["wn"].keep_usable_mib, moved["wn"].swap_down_to_mib) == (128, 0)
            assert (moved["wn-2"].keep_usable_mib, moved["wn-2"].swap_down_to_mib) == (None, 1500)
            assert (moved["proof"].keep_usable_mib, moved["proof"].swap_down_to_mib) == (None, 0)


class TestProbing:
    """A quarantined balloon is moved a little, to see whether it moves; its floors hold."""

    def test_a_worker_node_with_memory_to_spare_is_to_give_a_little(self) -> None:
        host = a_host()
        transfer = probe(host, observed(host), 0, "wn")
        assert steps(transfer) == ["shrink wn 6911 6879"]
        assert transfer is not None
        assert (transfer.probe, transfer.workers_from, transfer.workers_to) == ("wn", 0, 0)

    def test_proof_is_to_give_a_little(self) -> None:
        host = a_host()
        assert steps(probe(host, observed(host, workers=3), 3, "proof")) == ["shrink proof 2948 2916"]

    def test_a_worker_node_at_its_floor_is_to_grow_into_what_is_free(self) -> None:
        """It uses 500 of its 756 MiB: 256 are its margin."""
        host = a_host()
        assert steps(probe(host, with_memory(observed(host), "wn", 756), 0, "wn")) == ["grow wn 756 788"]

    def test_a_worker_node_below_its_floor_is_to_grow_up_to_it(self) -> None:
        """Somebody else has set it to 0: 32 MiB would be a goal below its floor, and it may be found above that."""
        host = a_host()
        assert steps(probe(host, with_memory(observed(host), "wn", 0), 0, "wn")) == ["grow wn 0 572"]

    def test_a_worker_node_below_its_floor_waits_where_there_is_no_room(self) -> None:
        """Others hold it, and PROOF has nothing for workers that it could give."""
        host = a_host()
        full = replace(with_memory(observed(host, wn_used_mib=400), "wn", 575), unmanaged_mib=7000)
        assert probe(host, full, 0, "wn") is None

    def test_a_proof_domain_that_uses_all_it_has_is_to_grow(self) -> None:
        """It was quarantined because it did not grow: squeezed, it would begin to swap, and never be let out."""
        host = a_host()
        full = changed(with_memory(observed(host, workers=3), "wn", 2000), "proof", used_mib=2948)
        assert steps(probe(host, full, 3, "proof")) == ["grow proof 2948 2980"]

    def test_where_nothing_is_free_a_worker_node_gives_it(self) -> None:
        host = a_host()
        full = changed(observed(host, workers=3), "proof", used_mib=2948)
        assert steps(probe(host, full, 3, "proof")) == ["shrink wn 4535 4503", "grow proof 2948 2980"]

    def test_it_is_to_give_where_no_worker_node_can(self) -> None:
        host = a_host()
        full = changed(observed(host, workers=3, wn_used_mib=4535 - 256), "proof", used_mib=2948)
        assert steps(probe(host, full, 3, "proof")) == ["shrink proof 2948 2916"]

    def test_a_dormant_proof_domain_is_never_made_smaller(self) -> None:
        """What it has is the least that it can live with, whatever it says that it uses."""
        host = a_host()
        for seen in (observed(host), changed(observed(host), "proof", used_mib=100)):
            assert steps(probe(host, seen, 0, "proof")) == ["shrink wn 6911 6879", "grow proof 572 604"]
        assert probe(host, observed(host, wn_used_mib=None), 0, "proof") is None

    def test_a_worker_node_that_may_swap_is_rather_to_grow_than_to_swap(self) -> None:
        host = a_host(wns=(A_SWAPPING_WN,))
        used = changed(observed(host, workers=3), "wn", used_mib=4535)
        assert steps(probe(host, used, 3, "wn")) == ["shrink proof 2948 2916", "grow wn 4535 4567"]

    def test_where_nothing_is_free_proof_gives_it(self) -> None:
        host = a_host()
        at_floor = observed(host, workers=8, wn_used_mib=400)
        assert steps(probe(host, at_floor, 8, "wn")) == ["shrink proof 6908 6876", "grow wn 575 607"]

    def test_a_worker_node_that_says_nothing_is_not_made_smaller(self) -> None:
        host = a_host()
        assert steps(probe(host, observed(host, workers=3, wn_used_mib=None), 3, "wn")) == [
            "shrink proof 2948 2916",
            "grow wn 4535 4567",
        ]

    def test_one_that_can_neither_give_nor_take_is_not_probed(self) -> None:
        """It has its maximum, and does not say what it uses."""
        host = a_host()
        assert probe(host, observed(host, wn_used_mib=None), 0, "wn") is None

    def test_one_that_does_not_run_is_not_probed(self) -> None:
        host = a_host()
        assert probe(host, changed(observed(host), "wn", state=DomainState.PAUSED), 0, "wn") is None
