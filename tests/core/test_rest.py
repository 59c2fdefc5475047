"""Leaving out what is known to need nothing changes no decision."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.allocation import workers_now
from autoscaler.core.decide import decide
from autoscaler.core.plan import plan
from autoscaler.core.rest import REASONS, Rest
from autoscaler.core.rules import Rules
from autoscaler.core.voices import Canary
from autoscaler.model import (
    Demand,
    DomainState,
    Facility,
    GuardLimits,
    HostObservation,
    HostState,
    HostTimers,
    Quarantine,
    Situation,
    Window,
)
from autoscaler.testing import A_SWAPPING_WN, A_WN, NOW, a_host, observed, proof_window
from policies.static import Static
from tests.core.situations import observations, unhurried

HOSTS = tuple(
    replace(a_host(wns=(wn,)), name=name)
    for name, wn in (("host-1", A_WN), ("host-2", A_SWAPPING_WN), ("host-3", A_WN))
)
FACILITY = Facility(HOSTS)

_settled = st.builds(
    lambda number, workers, used_mib: observed(HOSTS[number], workers=workers, wn_used_mib=used_mib),
    st.integers(0, 2),
    st.integers(0, 8),
    st.sampled_from([0, 500, 5000, None]),
)
_disturbed = st.builds(
    lambda seen, change: replace(seen, **change),
    _settled,
    st.sampled_from(
        [
            {},
            {"unmanaged_mib": 700},
            {"cores": 2},
            {"memory_total_mib": 4000},
            {"control_mib": 900},
            {"state": HostState.LATE},
            {"state": HostState.MOVING, "moving_to_workers": 3},
        ]
    ),
)
_anything = st.builds(
    lambda seen, host: replace(
        seen,
        host=host.name,
        domains=tuple(replace(domain, name=name) for domain, name in zip(seen.domains, host.domain_names, strict=True)),
    ),
    observations,
    st.sampled_from(HOSTS),
)
_moments = st.lists(
    st.tuples(
        st.lists(_settled | _disturbed | _anything, min_size=1, max_size=3, unique_by=lambda seen: seen.host),
        st.integers(0, 24),
        st.booleans(),
        st.sampled_from([None, 10, 1000]),
    ),
    min_size=2,
    max_size=6,
)


class Broken:
    """A policy that raises."""

    signals = ()
    history = timedelta(0)

    def decide(self, _window: Window) -> Demand:
        raise ValueError("no")


def _situation(
    seen: list[HostObservation], known: bool, ago_s: int | None, quarantine: Quarantine | None = None
) -> Situation:
    window = proof_window([1.0 if known else None] * 7, [0.0] * 7)
    at = None if ago_s is None else NOW - timedelta(seconds=ago_s)
    return Situation(window, tuple(seen), tuple(HostTimers(each.host, at, None, at, quarantine) for each in seen))


@settings(unhurried, max_examples=300)
@given(_moments, st.sampled_from([1, 3]))
def test_with_rest_every_decision_of_a_row_is_as_without(moments: list, dead_band_workers: int) -> None:
    limits, rest = GuardLimits(dead_band_workers=dead_band_workers), Rest()
    for seen, workers, known, ago_s in moments:
        situation, rules = _situation(seen, known, ago_s), Rules(Static(workers), limits)
        assert decide(situation, FACILITY, rules, rest) == decide(situation, FACILITY, rules)


_quarantines = st.none() | st.builds(
    lambda domain, wait_s: Quarantine(domain, "it did not move", NOW, 1, NOW + timedelta(seconds=wait_s)),
    st.sampled_from(["proof", "wn"]),
    st.sampled_from([-1, 60]),
)
_asleep = st.builds(
    lambda seen, state: replace(seen, domains=(replace(seen.domains[0], state=state), *seen.domains[1:])),
    _settled,
    st.sampled_from([DomainState.SHUT_OFF, DomainState.PAUSED, DomainState.ABSENT]),
)


@settings(unhurried, max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.lists(_settled | _asleep, min_size=1, max_size=3, unique_by=lambda seen: seen.host),
            st.integers(0, 8),
            _quarantines,
        ),
        min_size=2,
        max_size=6,
    ),
    st.sampled_from([DomainState.RUNNING, DomainState.SHUT_OFF, DomainState.PAUSED]),
)
def test_with_rest_hosts_that_sleep_or_do_not_move_are_decided_as_without(
    moments: list, dormant_state: DomainState
) -> None:
    hosts = [replace(host, proof=replace(host.proof, dormant_state=dormant_state)) for host in HOSTS]
    facility, rest = Facility(tuple(hosts)), Rest()
    for seen, workers, quarantine in moments:
        situation = _situation(seen, known=True, ago_s=None, quarantine=quarantine)
        rules = Rules(Static(workers), GuardLimits())
        assert decide(situation, facility, rules, rest) == decide(situation, facility, rules)


@settings(unhurried, max_examples=300)
@given(
    st.lists(st.tuples(_settled | _disturbed | _anything, st.integers(0, 8)), min_size=2, max_size=8),
)
def test_a_transfer_that_is_remembered_is_the_one_that_would_be_planned(wishes: list) -> None:
    rest = Rest()
    for seen, granted in wishes:
        host = FACILITY.host(seen.host)
        current = workers_now(host, seen.domain("proof"))
        assert rest.plan(host, seen, current, granted) == plan(host, seen, current, granted)


def test_a_transfer_is_planned_again_only_when_the_worker_node_may_become_smaller_or_not_as_small() -> None:
    """The one of host-1 keeps what it uses, the one of host-2 may swap down to its floor."""
    for host, same in ((HOSTS[0], False), (HOSTS[1], True)):
        rest, one, other = Rest(), observed(host, wn_used_mib=4000), observed(host, wn_used_mib=5000)
        assert (rest.plan(host, one, 0, 4) is rest.plan(host, other, 0, 4)) == same


def test_the_same_words_again_are_the_same_decision_and_old_words_are_forgotten() -> None:
    rest, seen, wanted = Rest(), observed(HOSTS[0], workers=2), {"host-1": 2}
    decide(_situation([seen], known=True, ago_s=None), FACILITY, Rules(Static(2), GuardLimits()), rest)
    first = rest.resting([seen], wanted, "so")["host-1"]
    assert rest.resting([seen], wanted, "so")["host-1"] is first
    for number in range(REASONS):
        assert rest.resting([seen], wanted, f"{number}")["host-1"].reason == f"{number}"
    again = rest.resting([seen], wanted, "so")["host-1"]
    assert again == first
    assert again is not first


def test_a_canary_that_could_not_be_asked_is_told_of_hosts_at_rest_too() -> None:
    rest, situation = Rest(), _situation([observed(HOSTS[0], workers=2)], known=True, ago_s=None)
    rules = Rules(
        Static(2), GuardLimits(), shadows={"broken": Broken()}, canary=Canary("broken", frozenset({"host-1"}))
    )
    first, second = (decide(situation, FACILITY, rules, rest) for _ in range(2))
    assert first == second == decide(situation, FACILITY, rules)
    assert "canary broken does not act" in second.hosts[0].reason


def test_a_host_that_stayed_as_it_is_is_known_to_rest() -> None:
    rest, seen = Rest(), observed(HOSTS[0], workers=2)
    assert not rest.resting([seen], {"host-1": 2}, "so")
    decide(_situation([seen], known=True, ago_s=None), FACILITY, Rules(Static(2), GuardLimits()), rest)
    assert rest.resting([seen], {"host-1": 2}, "so")
    assert not rest.resting([seen], {"host-1": 3}, "so")


def test_what_the_worker_node_uses_does_not_end_the_rest_but_its_size_does() -> None:
    rest, seen = Rest(), observed(HOSTS[0], workers=2)
    decide(_situation([seen], known=True, ago_s=None), FACILITY, Rules(Static(2), GuardLimits()), rest)
    assert rest.resting([observed(HOSTS[0], workers=2, wn_used_mib=900)], {"host-1": 2}, "so")
    assert not rest.resting([observed(HOSTS[0], workers=2, unmanaged_mib=64)], {"host-1": 2}, "so")


def test_a_worker_node_beyond_its_maximum_is_looked_at_until_its_jobs_let_it_shrink() -> None:
    host, rest = a_host(wns=(replace(A_WN, memory_max_mib=4000),)), Rest()
    rules, facility = Rules(Static(0), GuardLimits()), Facility((host,))
    for used_mib in (4900, 500):
        seen = observed(host, workers=0, wn_used_mib=used_mib)
        proof, wn = seen.domains
        seen = replace(seen, domains=(proof, replace(wn, allocation=wn.allocation.resized(5000))))
        situation = _situation([seen], known=True, ago_s=None)
        assert decide(situation, facility, rules, rest) == decide(situation, facility, rules)
