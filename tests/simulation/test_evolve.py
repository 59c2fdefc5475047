"""A host after a transfer: the same as the transfer engine leaves it in, and nothing more to do on it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.allocation import memory_for_guests_mib, workers_now
from autoscaler.core.plan import plan
from autoscaler.hypervisors.transfer import Edges, carry_out
from autoscaler.model import DomainState, Host, HostObservation, HostTimers, Quarantine, Transfer
from autoscaler.simulation.evolve import after, dormant, remembered
from autoscaler.testing import A_SWAPPING_WN, A_WN, NOW, FakeHost, a_host, observed

SHRUNK = NOW - timedelta(hours=1)

states = st.sampled_from([DomainState.RUNNING, DomainState.PAUSED, DomainState.SAVED, DomainState.SHUT_OFF])
workers = st.integers(0, 8)


def planned(host: Host, seen: HostObservation, granted: int) -> Transfer | None:
    return plan(host, seen, workers_now(host, seen.domain("proof")), granted)


def carried_out(transfer: Transfer, fake: FakeHost) -> None:
    """Let the real engine do it on a host whose balloons move at once."""
    fake.before_call = lambda _call: fake.step()
    edges = Edges(lambda: NOW, lambda _seconds: False, lambda _domain, _mib: None, timedelta(seconds=20))
    assert carry_out(transfer, fake, {}, edges).reason == "reached and read back"


def with_dormant_state(state: DomainState, *, wns: int = 1) -> Host:
    host = a_host(
        wns=tuple(
            replace(A_SWAPPING_WN, name=f"wn-{n}", memory_floor_mib=200, swap_down_to_mib=200) for n in range(wns)
        )
    )
    return replace(host, proof=replace(host.proof, dormant_state=state))


@settings(deadline=None)
@given(state=states, wns=st.integers(1, 3), moves=st.lists(workers, min_size=1, max_size=5))
def test_a_host_is_left_as_the_transfer_engine_leaves_it(state: DomainState, wns: int, moves: list[int]) -> None:
    host = with_dormant_state(state, wns=wns)
    seen = dormant(host)
    fake = FakeHost.of(seen)
    fake.speed_mib = 10_000
    for granted in moves:
        transfer = planned(host, seen, granted)
        if transfer is not None:
            carried_out(transfer, fake)
            seen = after(seen, transfer)
        read = fake.read().domains
        assert [(one.name, one.state, one.start_mib) for one in seen.domains] == [
            (one.name, one.state, one.start_mib) for one in read
        ]
        for one, two in zip(seen.domains, read, strict=True):
            assert one.allocation == two.allocation


@settings(deadline=None)
@given(state=states, wns=st.integers(1, 2), moves=st.lists(workers, min_size=1, max_size=8))
def test_after_its_transfers_a_host_has_its_workers_within_its_memory_and_wants_no_other(
    state: DomainState, wns: int, moves: list[int]
) -> None:
    """What a domain holds that goes to sleep is given away by the next transfer."""
    host = with_dormant_state(state, wns=wns)
    seen = dormant(host)
    for granted in moves:
        for _ in range(2):
            transfer = planned(host, seen, granted)
            seen = seen if transfer is None else after(seen, transfer)
            assert workers_now(host, seen.domain("proof")) == granted
            assert seen.committed_mib <= memory_for_guests_mib(host, seen)
        assert planned(host, seen, granted) is None


def test_what_was_asked_for_before_is_settled_by_a_transfer() -> None:
    host = a_host()
    seen = observed(host, workers=4)
    unfinished = replace(seen.domain("proof"), asked_mib=5000)
    seen = replace(seen, domains=(unfinished, seen.domain("wn")))
    transfer = planned(host, seen, 4)
    assert transfer is not None
    assert after(seen, transfer).domain("proof").asked_mib is None


@pytest.mark.parametrize(
    ("granted", "expected"),
    [
        (6, HostTimers("host-1", grew_at=NOW, shrank_at=SHRUNK)),
        (2, HostTimers("host-1", shrank_at=NOW)),
    ],
)
def test_a_transfer_starts_the_timer_of_its_direction(granted: int, expected: HostTimers) -> None:
    host = a_host()
    transfer = planned(host, observed(host, workers=4), granted)
    assert transfer is not None
    assert remembered(HostTimers("host-1", shrank_at=SHRUNK), transfer, NOW) == expected


def test_a_transfer_of_no_workers_starts_no_timer() -> None:
    transfer = Transfer("host-1", 4, 4, 7483, ())
    assert remembered(HostTimers("host-1"), transfer, NOW) == HostTimers("host-1")


def test_a_probe_lifts_the_quarantine_of_its_domain_and_no_other() -> None:
    quarantine = Quarantine("wn", "wn did not move", SHRUNK, 1, NOW)
    timers = HostTimers("host-1", quarantine=quarantine)
    assert remembered(timers, Transfer("host-1", 0, 0, 7483, (), probe="wn"), NOW).quarantine is None
    assert remembered(timers, Transfer("host-1", 0, 0, 7483, (), probe="proof"), NOW).quarantine == quarantine


def test_a_dormant_host_holds_all_its_memory_and_tells_nothing_of_use() -> None:
    host = a_host(wns=(replace(A_WN, memory_max_mib=4000), replace(A_WN, name="wn-2")))
    seen = dormant(host)
    assert seen.committed_mib == 7483
    assert [domain.used_mib for domain in seen.domains] == [None, None, None]
    assert workers_now(host, seen.domain("proof")) == 0


@pytest.mark.parametrize(("state", "held_mib"), [(DomainState.PAUSED, 572), (DomainState.SAVED, 0)])
def test_a_dormant_host_whose_proof_domain_sleeps_holds_what_it_then_holds(state: DomainState, held_mib: int) -> None:
    seen = dormant(with_dormant_state(state))
    proof = seen.domain("proof")
    assert (proof.state, proof.allocation.memory_mib) == (state, held_mib)
