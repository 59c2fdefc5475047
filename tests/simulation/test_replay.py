"""A policy over the windows of the past: hosts evolve by its decisions, everything else is as it was."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.allocation import memory_for_guests_mib
from autoscaler.core.rules import Rules
from autoscaler.model import (
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    Decision,
    Facility,
    GuardLimits,
    HostObservation,
    HostState,
    Sample,
    Series,
    Window,
)
from autoscaler.simulation.evolve import dormant
from autoscaler.simulation.replay import Replay
from autoscaler.store.records import decision_to_json
from autoscaler.testing import A_SWAPPING_WN, A_WN, NOW, a_host, observed
from policies.static import Static
from policies.threshold import Threshold

MINUTE = timedelta(minutes=1)
LIMITS = GuardLimits(shrink_cooldown=timedelta(0))
THRESHOLD = Rules(Threshold(workers_per_session=4, idle=2 * MINUTE), LIMITS)
FACILITY = Facility(tuple(a_host(name, wns=(A_SWAPPING_WN,)) for name in ("host-1", "host-2")))

loads = st.lists(st.none() | st.integers(0, 5).map(float), min_size=1, max_size=30)


def windows(queued: list[float | None]) -> Iterator[Window]:
    """One window a minute, with all that was before."""
    for cycle in range(len(queued)):
        now = NOW + cycle * MINUTE
        times = [NOW + n * MINUTE for n in range(-3, cycle + 1)]
        values = [0.0, 0.0, 0.0, *queued[: cycle + 1]]
        series = [
            _series(PROOF_QUEUED_SESSIONS, times, values, now),
            _series(PROOF_RUNNING_SESSIONS, times, [0.0] * len(times), now),
        ]
        yield Window(now, tuple(series))


def _series(name: str, times: list[datetime], values: list[float | None], now: datetime) -> Series:
    samples = tuple(Sample(at, value) for at, value in zip(times, values, strict=True))
    return Series(name, samples, None if values[-1] is None else now, "no value" if values[-1] is None else None)


def replayed(
    queued: list[float | None],
    *,
    facility: Facility = FACILITY,
    rules: Rules = THRESHOLD,
    seen: Mapping[str, HostObservation] | None = None,
) -> list[Decision]:
    replay = Replay(facility, rules, [dormant(host) for host in facility.hosts])
    return [replay.step(window, seen or {}) for window in windows(queued)]


def granted(decisions: list[Decision]) -> list[int | None]:
    return [host.granted for decision in decisions for host in decision.hosts if host.host == "host-1"]


def test_hosts_grow_with_a_queue_and_shrink_when_it_was_empty_for_long_enough() -> None:
    assert granted(replayed([0, 2, 0, 0, 0, 0])) == [0, 4, 4, 4, 0, 0]


def test_a_cooldown_counts_from_the_replayed_change() -> None:
    rules = replace(THRESHOLD, limits=GuardLimits(shrink_cooldown=4 * MINUTE))
    assert granted(replayed([0, 2, 0, 0, 0, 0], rules=rules)) == [0, 4, 4, 4, 4, 0]


def test_an_unknown_signal_holds() -> None:
    assert granted(replayed([0, 2, None, None, None, None, None])) == [0, 4, 4, 4, 4, 4, 4]


def test_what_a_worker_node_used_then_is_what_it_uses_in_the_replay() -> None:
    """5000 MiB used and 256 MiB of margin leave 2227 of 7483 MiB: two workers of 792 MiB beside 572 MiB."""
    facility = Facility((a_host(),))
    seen = {"host-1": observed(facility.hosts[0], wn_used_mib=5000)}
    rules = Rules(Static(8), LIMITS)
    (decision,) = replayed([0], facility=facility, rules=rules, seen=seen)
    assert granted([decision]) == [2]
    assert [cut.guard for cut in decision.hosts[0].cuts] == ["wn_floor"]


def test_a_worker_node_of_unknown_use_that_must_not_swap_keeps_its_memory() -> None:
    (decision,) = replayed([0], facility=Facility((a_host(wns=(A_WN,)),)), rules=Rules(Static(8), LIMITS))
    assert granted([decision]) == [0]
    assert "does not say how much memory it uses" in decision.hosts[0].reason


def test_a_host_that_could_not_be_read_then_is_left_alone_and_goes_on_afterwards() -> None:
    replay = Replay(FACILITY, Rules(Static(16), LIMITS), [dormant(host) for host in FACILITY.hosts])
    first, second, third = windows([0, 0, 0])
    replay.step(first)
    away = {"host-1": HostObservation("host-1", HostState.UNUSABLE, problem="host-1 does not answer in time")}
    assert replay.step(second, away).hosts[0].reason == "host-1 does not answer in time"
    assert replay.step(third).hosts[0].current == 8


def test_a_host_of_unknown_size_is_unusable_until_it_was_seen() -> None:
    host = a_host(memory_total_mib=None, wns=(A_SWAPPING_WN,))
    replay = Replay(Facility((host,)), Rules(Static(8), LIMITS), [dormant(host)])
    first, second = windows([0, 0])
    assert "memory_total" in replay.step(first).hosts[0].reason
    seen = replace(observed(replace(host, memory_total_mib=8056)), memory_total_mib=8056)
    assert replay.step(second, {"host-1": seen}).hosts[0].granted == 8


@settings(deadline=None, max_examples=50)
@given(queued=loads)
def test_the_sum_of_a_host_is_never_exceeded(queued: list[float | None]) -> None:
    for decision in replayed(queued):
        for seen in decision.situation.hosts:
            assert seen.committed_mib <= memory_for_guests_mib(FACILITY.host(seen.host), seen)


@settings(deadline=None, max_examples=20)
@given(queued=loads)
def test_two_replays_give_identical_bytes(queued: list[float | None]) -> None:
    one, two = ("\n".join(map(decision_to_json, replayed(queued))) for _ in range(2))
    assert one == two
